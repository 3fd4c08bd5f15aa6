"""What `inspect` prints for people."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from edgepack.cli import model_facts
from edgepack.config.template import shape
from edgepack.records.facts import SavedModelFacts, TFLiteFacts
from edgepack.report import figures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgepack.records.manifest import Manifest, ModelEntry
    from edgepack.records.tensors import OpUse, Quantization, Signature, Tensor

OPS_SHOWN = 12
DIGEST_SHOWN = 16


def of(found: SavedModelFacts | TFLiteFacts | Manifest, path: Path) -> Iterator[Table]:
    """Tables of whatever was inspected."""
    if isinstance(found, SavedModelFacts):
        return _saved_model(found)
    return _tflite(found) if isinstance(found, TFLiteFacts) else _bundle(found, path)


def _saved_model(found: SavedModelFacts) -> Iterator[Table]:
    yield facts(*model_facts.of_file(found))
    yield _signatures((*found.signatures, *found.functions))
    for pairs in (model_facts.of_computations(found), model_facts.of_build(found)):
        yield facts(*pairs)
    yield _inference(found)


def _inference(found: SavedModelFacts) -> Table:
    """The operators that signatures reach most often, beside those of the whole file."""
    reached: Counter[str] = Counter()
    for computed in found.computations:
        reached |= Counter({op.name: op.count for op in computed.ops})
    ranked = sorted(found.ops, key=lambda op: (-reached[op.name], -op.count, op.name))
    table = grid("operator", "in inference", "in the file")
    for op in ranked[:OPS_SHOWN]:
        row(table, op.name, str(reached[op.name] or ""), str(op.count))
    _more(table, ranked)
    return table


def _more(table: Table, ranked: list[OpUse]) -> None:
    if len(ranked) > OPS_SHOWN:
        row(table, f"and {len(ranked) - OPS_SHOWN} more: --json lists all", "", "")


def _tflite(found: TFLiteFacts) -> Iterator[Table]:
    types = ", ".join(f"{count} {name}" for name, count in found.tensor_types.items())
    yield facts(
        ("TFLite", found.path),
        ("sha256", found.sha256),
        ("size", figures.size(found.size_bytes)),
        ("precision", found.precision),
        ("in float", _in_float(found)),
        ("tensors", types),
        ("description", found.description),
        ("says it needs", f"runtime {found.min_runtime_version}" * bool(found.min_runtime_version)),
        ("stateful", "yes: inference changes variables" if found.stateful else ""),
    )
    yield facts(*model_facts.of_least(found.least_releases))
    if found.metadata:
        yield facts(*model_facts.of_metadata(found.metadata))
    yield _signatures(found.signatures)
    yield _ops(found.ops)


def _in_float(found: TFLiteFacts) -> str:
    """What keeps a file of integers from being one of integers only."""
    if found.precision not in {"int8", "int16x8", "mixed"}:
        return ""
    return ", ".join(found.float_ops) or "nothing: full integer"


def _sequence(found: Manifest) -> str:
    return "" if found.sequence is None else f"{found.sequence} ({found.sequence_source})"


def _attached(found: Manifest) -> str:
    vectors = [name for name in found.attachments if name.startswith("vectors/")]
    others = [name for name in found.attachments if name not in vectors]
    return ", ".join(([f"golden vectors ({len(vectors)} files)"] if vectors else []) + others)


def _bundle(found: Manifest, path: Path) -> Iterator[Table]:
    fits = (f"{one.name}: {', '.join(one.variants) or 'none'}" for one in found.targets)
    samples = ", ".join(f"{count} to {split}" for split, count in found.dataset.samples.items())
    tools = found.tools
    yield facts(
        ("bundle", str(path)),
        ("checked", "only the manifest; edgepack verify checks every byte"),
        ("release", f"{found.name} {found.version}"),
        ("sequence", _sequence(found)),
        ("expires", found.expires),
        ("license", found.license),
        ("gate", "REFUSED, shipped by --allow-failed" if found.failed else "passed"),
        ("targets", "; ".join(fits)),
        ("dataset", f"{found.dataset.name}: {samples}"),
        ("classes", f"{len(found.classes)}: {', '.join(found.classes[:OPS_SHOWN])}"),
        ("source", f"sha256 {found.source.digest.sha256}, signature {found.source.signature}"),
        ("made by", f"edgepack {tools.edgepack}, TensorFlow {tools.tensorflow}, {tools.quantizer}"),
        ("app links", _needed("Select-TF ops", {op for m in found.models for op in m.select_ops})),
        ("app prepares", _prepared(found)),
        ("skipped", "; ".join(f"{one.variant}: {one.reason}" for one in found.skipped)),
        ("attached", _attached(found)),
    )
    models = grid("variant", "precision", "size", "accuracy", "sha256")
    for model in found.models:
        digest = f"{model.digest.sha256[:DIGEST_SHOWN]}..."
        size = figures.size(model.size_bytes)
        row(models, model.variant, model.precision, size, _accuracy(model), digest)
    yield models
    if found.models:
        yield _signatures(found.models[0].signatures)


def _needed(what: str, names: set[str]) -> str:
    return f"{what}: {', '.join(sorted(names))}" if names else ""


def _prepared(found: Manifest) -> str:
    """Inputs of the files that stand for others of the source."""
    inputs = {one for model in found.models for one in model.prepared_inputs}
    told = (f"{one.name} from {', '.join(one.sources)}" for one in inputs)
    return "; ".join(sorted(told))


def _accuracy(model: ModelEntry) -> str:
    first = next(iter(model.accuracy.metrics), None)
    return f"{first.name} {figures.metric(first)}" if first else ""


def _signatures(found: tuple[Signature, ...]) -> Table:
    table = grid("signature", "", "name", "type", "shape", "quantization")
    for signature in found:
        first = signature.name or "(none)"
        for role, tensors in (("in", signature.inputs), ("out", signature.outputs)):
            for tensor in tensors:
                row(table, first, role, *_tensor(tensor))
                first = ""
    return table


def _tensor(tensor: Tensor) -> tuple[str, str, str, str]:
    return tensor.name, tensor.dtype, shape(tensor), _quantization(tensor.quantization)


def _quantization(found: Quantization | None) -> str:
    if found is None or not found.scales:
        return ""
    if len(found.scales) > 1:
        return f"{len(found.scales)} scales along axis {found.axis}"
    return f"scale {found.scales[0]:.6g}, zero point {found.zero_points[0]}"


def _ops(found: tuple[OpUse, ...]) -> Table:
    """The commonest operators."""
    ranked = sorted(found, key=lambda op: (-op.count, op.name))
    table = grid("operator", "count", "version")
    for op in ranked[:OPS_SHOWN]:
        row(table, f"{op.name} (custom)" if op.custom else op.name, str(op.count), str(op.version))
    _more(table, ranked)
    return table


def facts(*pairs: tuple[str, str]) -> Table:
    """Names and values; what is empty is left out."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs:
        if value:
            row(table, name, value)
    return table


def grid(*headings: str) -> Table:
    """A table without lines yet."""
    table = Table(box=box.SIMPLE, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def row(table: Table, *cells: str) -> None:
    """Text as it is: neither markup nor control characters of a file's work on the terminal."""
    plain = ("".join(c if c.isprintable() else " " for c in cell) for cell in cells)
    table.add_row(*map(Text, plain))
