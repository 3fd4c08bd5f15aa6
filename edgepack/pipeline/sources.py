"""Which model is built: its signatures, the shapes they are pinned to, its private copy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgepack import repair
from edgepack.errors import ShapeError, SignatureError
from edgepack.records.facts import Repair
from edgepack.records.stages import FunctionPorts, SourceModel
from edgepack.savedmodel import selection, unsafe
from edgepack.savedmodel.functions import FUNCTION
from edgepack.savedmodel.selection import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.pipeline.exporting import Found
    from edgepack.records.dataset import SplitData
    from edgepack.records.facts import SavedModelFacts
    from edgepack.records.settings import ModelSettings
    from edgepack.records.tensors import Signature, Tensor

ALL = "*"
OPEN = -1
HANDLES = frozenset(("resource", "variant"))

Shapes = dict[str, tuple[int, ...]]


def signature(facts: SavedModelFacts, settings: ModelSettings) -> Signature:
    """The signature that samples are for, with the dimensions that the config pins.

    Raises:
        SignatureError: there is none, or no telling which, or it takes a handle of TensorFlow's.
        ShapeError: the config's shapes do not fit it.
    """
    found = selection.select_signature(facts, settings.signature)
    for tensor in found.inputs:
        if tensor.dtype in HANDLES:
            raise SignatureError(
                f"the input {tensor.name!r} of {found.name} takes {tensor.dtype}, not values",
                where=facts.path,
                hint="Export a signature that takes numbers, or name another one (--signature).",
            )
    unknown = settings.shapes.keys() - {tensor.name for tensor in found.inputs}
    if unknown:
        raise ShapeError(
            f"model.shapes names {sorted(unknown)}, which {found.name} does not take",
            where=facts.path,
            hint=f"Its inputs: {', '.join(tensor.name for tensor in found.inputs)}.",
        )
    given = found.inputs if settings.batched else tuple(map(_as_sample, found.inputs))
    inputs = tuple(_pinned(t, _wanted(t, settings), facts) for t in given)
    return found.model_copy(update={"inputs": inputs})


def _as_sample(tensor: Tensor) -> Tensor:
    """An input that takes one whole sample, as if samples were counted before it."""
    shape = None if tensor.dims is None else (OPEN, *tensor.dims)
    return tensor.model_copy(update={"shape": shape, "shape_signature": None})


def _wanted(tensor: Tensor, settings: ModelSettings) -> tuple[int, ...] | None:
    shape = settings.shapes.get(tensor.name)
    return shape if shape is None or settings.batched else (OPEN, *shape)


def require_safe(facts: SavedModelFacts, main: Signature, settings: ModelSettings) -> None:
    """Refuse a model that does more than compute, unless the config allows just that.

    Raises:
        UnsafeModelError: names each op, what it does, and who reaches it.
    """
    built = (main.name, *others(facts, main, settings.signatures))
    unsafe.refuse(facts.unsafe, settings.allow_unsafe_ops, facts.path, built)


def remarks(facts: SavedModelFacts, main: Signature) -> Iterator[str]:
    """What of the choice of model and signature should be said aloud."""
    if facts.version_directory:
        known = ", ".join(facts.versions)
        yield f"{Path(facts.path).parent} holds version {known}: building {facts.version_directory}"
    if main.method == FUNCTION:
        yield f"the model has no signature: building its function {main.name}"
    elif main.name != DEFAULT:
        yield f"building the signature {main.name}"
    for use in facts.unsafe:
        yield f"the model does more than compute: {unsafe.told(use)}"


def others(facts: SavedModelFacts, main: Signature, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the further signatures that are converted along.

    Raises:
        SignatureError: there is no such signature.
    """
    usable = selection.usable_signatures(facts)
    names = usable if ALL in wanted else [selection.select_signature(facts, n).name for n in wanted]
    return tuple(dict.fromkeys(name for name in names if name != main.name))


def source(found: Found, main: Signature, settings: ModelSettings, copy: Path) -> SourceModel:
    """The private copy of the model, repaired, below `copy`."""
    facts = found.facts
    leading = {tensor.dims[0] for tensor in main.inputs if tensor.dims}
    return SourceModel(
        path=str(copy),
        origin=facts.path,
        tags=facts.tags,
        signature=main.name,
        others=others(facts, main, settings.signatures),
        function=_ports(main),
        objects=facts.has_object_graph,
        stateful=facts.is_stateful(main),
        fixed_batch=max(leading) if leading and min(leading) > 0 else None,
        scalars=tuple(t.name for t in main.inputs if t.dims == () or not settings.batched),
        select_tf_ops=settings.allow_select_tf_ops,
        left_out=_texts(main),
        repairs=(
            *found.repairs,
            *repair.prepare(found.directory, facts, copy),
            *_of_texts(main),
            *_of_twins(main),
        ),
    )


def _texts(main: Signature) -> tuple[str, ...]:
    """Outputs that are text, where there are numbers beside them."""
    texts = tuple(tensor.name for tensor in main.outputs if tensor.dtype == "string")
    return texts if len(texts) < len(main.outputs) else ()


def _of_texts(main: Signature) -> Iterator[Repair]:
    if names := _texts(main):
        yield Repair(
            what=f"left out the outputs that are text: {', '.join(names)}",
            why="TFLite does not make text of numbers; the numbers beside it say the same",
        )


def _of_twins(main: Signature) -> Iterator[Repair]:
    first: dict[str, str] = {}
    for tensor in main.inputs:
        known = first.setdefault(tensor.tensor, tensor.name) if tensor.tensor else tensor.name
        if known != tensor.name:
            yield Repair(
                what=f"the file reads {known} and ignores {tensor.name}",
                why="both are names of one tensor of the graph",
            )


def known_shapes(main: Signature, settings: ModelSettings) -> Shapes | None:
    """What every input is pinned to, as far as no sample is needed to tell; else None."""
    wanted = settings.shapes
    if any(t.dims is None or OPEN in t.dims[1:] for t in main.inputs if t.name not in wanted):
        return None
    return {
        t.name: wanted.get(t.name) or _counted(_with_batch(t.dims or ()), settings)
        for t in main.inputs
    }


def shapes_of(main: Signature, settings: ModelSettings, samples: SplitData) -> Shapes:
    """What every input is pinned to: the config's word, else one sample at a time as it is."""
    return {
        t.name: settings.shapes.get(t.name)
        or _counted(_filled(t, samples.inputs[t.name].shape[1:]), settings)
        for t in main.inputs
    }


def _counted(shape: tuple[int, ...], settings: ModelSettings) -> tuple[int, ...]:
    """Without the count of samples, where the model's inputs have none."""
    return shape if settings.batched else shape[1:]


def _filled(tensor: Tensor, sample: tuple[int, ...]) -> tuple[int, ...]:
    if tensor.dims is None:
        return (1, *sample)
    known = zip(tensor.dims[1:], sample, strict=True)
    return _with_batch((*tensor.dims[:1], *(s if d == OPEN else d for d, s in known)))


def _with_batch(dims: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(1 if size == OPEN and not axis else size for axis, size in enumerate(dims))


def _pinned(tensor: Tensor, wanted: tuple[int, ...] | None, facts: SavedModelFacts) -> Tensor:
    """The tensor with the dimensions that the config pins, but for the batch."""
    if wanted is None:
        return tensor
    dims = tensor.dims if tensor.dims is not None else (OPEN,) * len(wanted)
    fits = len(dims) == len(wanted) and all(
        have in {OPEN, want} and (want > 0 or want == OPEN)
        for have, want in zip(dims, wanted, strict=True)
    )
    if not fits:
        raise ShapeError(
            f"model.shapes gives {tensor.name!r} the shape {list(wanted)}, "
            f"which the model's {list(tensor.dims or ())} does not allow",
            where=facts.path,
            hint="Give every dimension, the batch first; only those that the model leaves open "
            "(-1) may be set.",
        )
    shape = (*dims[:1], *wanted[1:])
    return tensor.model_copy(update={"shape": shape, "shape_signature": None})


def _ports(main: Signature) -> FunctionPorts | None:
    if main.method != FUNCTION:
        return None
    return FunctionPorts(
        inputs=tuple(tensor.name for tensor in main.inputs),
        outputs=tuple(tensor.name for tensor in main.outputs),
    )
