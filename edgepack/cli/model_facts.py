"""What `inspect` says of a SavedModel, in names and values; what has nothing to say is empty."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from edgepack.report import figures

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edgepack.records.compat import LeastRelease
    from edgepack.records.facts import Computation, SavedModelFacts, UnsafeUse
    from edgepack.records.metadata import ModelDescription, TensorDescription

NAMED = 8
Pair = tuple[str, str]


def of_file(found: SavedModelFacts) -> Iterator[Pair]:
    """The files, who wrote them, and what training left in them."""
    yield "SavedModel", found.path
    if found.versions:
        yield "version", f"{found.version_directory}, the highest of {', '.join(found.versions)}"
    yield "digest", f"sha256 {found.digest}"
    if found.identity:
        yield "computes", f"sha256 {found.identity.digest}"
        yield "", _named("not followed", found.identity.left_out)
    variables = figures.size(found.variables_bytes)
    yield "size", f"{figures.size(found.size_bytes)}, variables {variables}"
    yield "TensorFlow", _joined(found.tensorflow_version, found.tensorflow_git_version)
    yield "Keras", found.keras_version
    yield "tags", _tags(found)
    yield "assets", _listed(f"{a.path} ({figures.size(a.size_bytes)})" for a in found.asset_files)
    yield "training", _training(found)
    yield "types", _named("nobody registers with TensorFlow", found.unknown_types)
    yield from _rows("unsafe", map(_unsafe, found.unsafe))


def of_computations(found: SavedModelFacts) -> Iterator[Pair]:
    """What each signature, or function that stands in for one, computes."""
    usable = {one.name for one in (*found.signatures, *found.functions) if one.inputs}
    for one in found.computations:
        if one.name in usable:
            yield from _rows(one.name, filter(None, _computed(one)))


def of_build(found: SavedModelFacts) -> Iterator[Pair]:
    """What a build will repair, and whether it is likely to work."""
    yield from _rows("on build", (f"{one.what}: {one.why}" for one in found.foreseen))
    alike = groupby(found.outlook, key=lambda one: (one.expected, one.reason))
    for (expected, reason), group in alike:
        precisions = ", ".join(one.precision for one in group)
        yield precisions, f"{expected}: {reason}" if reason else expected


def of_least(found: tuple[LeastRelease, ...]) -> Iterator[Pair]:
    """From which release of each runtime on a .tflite runs, and what would lower that."""
    yield from _rows("runs from", map(_release, found))
    told = {one.remedy: _remedy(one) for one in reversed(found) if one.remedy}
    yield from _rows("lowered by", reversed(told.values()))


def _remedy(one: LeastRelease) -> str:
    if not one.remedy_proven:
        return one.remedy
    return f"{', '.join(one.operators)}: {one.remedy}"


def _release(one: LeastRelease) -> str:
    operators = ", ".join(one.operators)
    if one.release is None:
        return f"no {one.numbering} that was tried: {operators}"
    earlier = " or earlier" if one.or_earlier else ""
    said = f"{one.numbering} {one.release}{earlier}"
    lost = f", which {', '.join(one.lost)} lost" if one.lost else ""
    return f"{said}, for {operators}{lost}; else {one.without}" if operators else said


def of_metadata(found: ModelDescription) -> Iterator[Pair]:
    """What a .tflite says of itself."""
    yield "metadata", _joined(" ".join(filter(None, (found.name, found.version))), found.license)
    yield "for", found.description
    yield "author", found.author
    for tensor in (*found.inputs, *found.outputs):
        yield tensor.name, "; ".join(filter(None, _told(tensor)))


def _told(tensor: TensorDescription) -> Iterator[str]:
    yield tensor.content.kind if tensor.content else ""
    if said := tensor.normalization:
        yield f"mean {_numbers(said.mean)}, std {_numbers(said.std)}"
    yield tensor.description
    yield _named("labels", tensor.labels)


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _rows(name: str, values: Iterable[str]) -> Iterator[Pair]:
    """One row a value, the name on the first alone."""
    for index, value in enumerate(values):
        yield ("" if index else name), value


def _tags(found: SavedModelFacts) -> str:
    own = ", ".join(found.tags) or "(none)"
    others = [", ".join(tags) or "(none)" for tags in found.meta_graphs if tags != found.tags]
    return f"{own}; not read: {'; '.join(others)}" if others else own


def _training(found: SavedModelFacts) -> str:
    counts = (
        (found.slot_variables, "optimizer slot variable"),
        (found.optimizers, "optimizer"),
        (found.metrics, "metric"),
    )
    return ", ".join(_counted(count, noun) for count, noun in counts if count)


def _unsafe(use: UnsafeUse) -> str:
    by = f", reached by {', '.join(use.reached_by)}" if use.reached_by else ", which nothing runs"
    return f"{use.op} {use.does}{by}"


def _computed(one: Computation) -> Iterator[str]:
    state = "stateful: assigns to variables" if one.stateful else ""
    parameters = _counted(one.parameters, "parameter") if one.parameters else ""
    batch = f"batch baked in: {one.fixed_batch}" if one.fixed_batch else ""
    yield "; ".join(filter(None, (parameters, batch, state)))
    yield _named("unknown dimensions", one.open_dimensions)
    yield _named("custom ops", one.custom_ops)
    yield _named("ops that TFLite runs in no way", one.unconvertible_ops)
    yield _named("Select-TF ops", one.select_ops)
    yield _named("recurrent", one.recurrent)
    yield _named("control flow", one.control_flow)
    yield _named("gradients", one.gradients)
    yield _strings(one)
    references = one.reference_variables
    yield _counted(references, "reference variable") if references else ""
    yield _named("pinned to", one.devices)


def _strings(one: Computation) -> str:
    tables = _counted(one.tables, "lookup table") if one.tables else ""
    lengths = "padded to no fixed length" if one.unknown_lengths else ""
    return "; ".join(filter(None, (_named("takes strings", one.strings), tables, lengths)))


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _named(what: str, names: Iterable[str]) -> str:
    listed = _listed(names)
    return f"{what}: {listed}" if listed else ""


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - NAMED} more" if len(every) > NAMED else ""
    return f"{', '.join(every[:NAMED])}{more}"


def _joined(version: str, git: str) -> str:
    return f"{version} ({git})" if git else version
