"""Whether a target takes a file, and each reason why it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.compat import releases
from edgepack.compat.least import least
from edgepack.records.target import Objection, TargetFit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgepack.records.compat import LeastRelease
    from edgepack.records.facts import TFLiteFacts
    from edgepack.records.micro import MicroFit
    from edgepack.records.runtimes import RuntimeRun
    from edgepack.records.target import Candidate, Target
    from edgepack.records.tensors import OpUse, Tensor

SHOWN = 5  # of what may be many
NOT_RUN = "TensorFlow Lite Micro did not run it: its kernels refuse types that no list shows"
FLOAT_IO = "the variant int8-float-io takes and gives float32"


def fit(target: Target, one: Candidate) -> TargetFit:
    """Hold a file against everything that a profile asks."""
    return TargetFit(
        target=target.name,
        variant=one.variant,
        objections=tuple(_objections(target, one)),
        unchecked=tuple(_unchecked(target, one)),
    )


def _objections(target: Target, one: Candidate) -> Iterator[Objection]:
    if one.facts.precision not in target.precisions:  # all else would follow from it
        what = f"precision is {one.facts.precision}, not {_either(target.precisions)}"
        yield Objection(kind="precision", what=what)
        return
    yield from _types(target, one.facts)
    yield from _computing(target, one.facts)
    yield from _operators(target, one.facts)
    yield from releases.objections(target.runtime, _least(target, one))
    yield from _sizes(target, one)
    yield from _on_device(target, one)
    for runtime in target.runtimes:
        yield from (_failed(run) for run in one.runs if run.runtime == runtime and not run.holds)


def _types(target: Target, facts: TFLiteFacts) -> Iterator[Objection]:
    inputs = [tensor for signature in facts.signatures for tensor in signature.inputs]
    outputs = [tensor for signature in facts.signatures for tensor in signature.outputs]
    ports = [
        *_ports("input", inputs, target.input_dtypes),
        *_ports("output", outputs, target.output_dtypes),
    ]
    quantized = any(tensor.quantization for tensor in (*inputs, *outputs))
    helps = quantized and "float32" in target.input_dtypes and "float32" in target.output_dtypes
    yield from ports[:-1]
    for last in ports[-1:]:  # said once, for all of them
        yield last.model_copy(update={"change": FLOAT_IO if helps else ""})
    strange = sorted(facts.weight_types.keys() - set(target.weight_dtypes))
    if target.weight_dtypes and strange:
        what = f"constants are {_listed(strange)}, not {_either(target.weight_dtypes)}"
        yield Objection(kind="dtype", what=what)


def _ports(kind: str, tensors: Sequence[Tensor], accepted: tuple[str, ...]) -> Iterator[Objection]:
    for tensor in tensors:
        if accepted and tensor.dtype not in accepted:
            what = f"{kind} {tensor.name!r} is {tensor.dtype}, not {_either(accepted)}"
            yield Objection(kind="dtype", what=what)


def _computing(target: Target, facts: TFLiteFacts) -> Iterator[Objection]:
    if target.static_shapes and facts.open_tensors:
        yield Objection(
            kind="shape",
            what=f"{facts.open_tensors} tensors have a dimension that is not fixed",
            change="fix the inputs' shapes (model.shapes)",
        )
    if target.integer_only and facts.float_ops:
        yield Objection(
            kind="float",
            what=f"{_listed(facts.float_ops)} computes in float",
            change="the variant int8 computes in integers only where every operator can",
        )


def _operators(target: Target, facts: TFLiteFacts) -> Iterator[Objection]:
    custom = sorted({one.name for one in facts.ops if one.custom})
    if custom and not target.custom_operators:
        what = f"it has no way to bring operators along: {_listed(custom)}"
        yield _lacking(what, custom)
    builtin = [one for one in facts.asked or facts.ops if not one.custom]
    if not target.operators:
        return
    absent = sorted({one.name for one in builtin if one.name not in target.operators})
    if absent:
        yield _lacking(f"the platform has no {_listed(absent)}", absent)
    yield from (_too_new(one, target) for one in builtin if _is_too_new(one, target))


def _lacking(what: str, names: list[str]) -> Objection:
    return Objection(kind="operator", what=what, change=f"take {_listed(names)} out of the model")


def _is_too_new(one: OpUse, target: Target) -> bool:
    return 0 < target.operators.get(one.name, 0) < one.version


def _too_new(one: OpUse, target: Target) -> Objection:
    newest = target.operators[one.name]
    what = f"{one.name} is of version {one.version}, and the platform has it up to {newest}"
    return Objection(kind="operator", what=what)


def _least(target: Target, one: Candidate) -> tuple[LeastRelease, ...]:
    """Without what only releases lost that the target does not mean any more."""
    below = target.runtime.below_version if target.runtime else ""
    if not below or not any(found.lost for found in one.least_releases):
        return one.least_releases
    within = {had.numbering: had for had in least(one.facts.asked, one.facts.kernels, below)}
    pairs = ((found, within[found.numbering]) for found in one.least_releases)
    return tuple(had if found.lost and had.release else found for found, had in pairs)


def _sizes(target: Target, one: Candidate) -> Iterator[Objection]:
    size, most = one.facts.size_bytes, target.max_size_bytes
    if most is not None and size > most:
        yield Objection(kind="size", what=f"{size} bytes are more than {most}")
    most, arena = target.max_arena_bytes, one.micro.arena if one.micro else None
    if most is not None and arena and arena.bytes > most:
        what = f"{arena.bytes} bytes of tensor arena ({arena.method}) are more than {most}"
        yield Objection(kind="arena", what=what)
    most = target.max_memory_bytes
    if most is not None and one.memory_bytes is not None and one.memory_bytes > most:
        # Without the measured figure, which differs from run to run: bundles quote this.
        yield Objection(kind="memory", what=f"its peak memory here is more than {most} bytes")


def _on_device(target: Target, one: Candidate) -> Iterator[Objection]:
    """What the device's own compiler or runtime said, where it was there to ask."""
    if target.platform == "microcontroller" and one.micro:
        yield from _beyond_micro(target, one.facts, one.micro)
        yield from (Objection(kind="run", what=what) for what in one.micro.objections)
    refused = one.edgetpu.not_compiled if one.edgetpu else None
    if target.platform == "edgetpu" and refused and refused.log:
        yield Objection(kind="run", what=refused.why)


def _beyond_micro(target: Target, facts: TFLiteFacts, micro: MicroFit) -> Iterator[Objection]:
    """Operators that TFLite Micro does not have, where the profile lists none of its own."""
    custom = {one.name for one in facts.ops if one.custom}  # firmware may bring those along
    absent = [name for name in micro.unsupported if name not in custom]
    if absent and not target.operators:
        yield _lacking(f"TFLite Micro has no {_listed(absent)}", absent)


def _failed(run: RuntimeRun) -> Objection:
    return Objection(kind="run", what=f"on {run.runtime} {run.fault}")


def _unchecked(target: Target, one: Candidate) -> Iterator[str]:
    """What was asked and nothing was known of: never a silent pass."""
    listed = bool(target.operators)
    if said := releases.unchecked(target.runtime, _least(target, one), listed=listed):
        yield said
    if target.max_memory_bytes is not None and one.memory_bytes is None:
        yield "peak memory was not measured (max_memory_bytes)"
    if target.max_arena_bytes is not None and one.micro is None:
        yield "the tensor arena is not known (max_arena_bytes)"
    if target.platform == "microcontroller" and one.micro and one.micro.arena.method == "estimated":
        yield NOT_RUN
    run = {found.runtime for found in one.runs}
    for runtime in target.runtimes:
        if runtime not in run:
            yield f"it was not run on {runtime}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _either(names: Sequence[str]) -> str:
    return " or ".join(names)
