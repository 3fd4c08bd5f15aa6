"""What a build of a SavedModel will do and come to, foreseen from its facts alone.

Rules of thumb, not a compiler: types, data formats and attributes of single ops are not looked at.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgepack.records.facts import Outlook, Repair

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgepack.records.facts import Computation, SavedModelFacts
    from edgepack.records.tensors import Signature

DEFAULT = "serving_default"
SERVE = ("serve",)
OPS_NAMED = 6
# Rewritten as lists, and as two-dimensional pooling, where their shapes can be told.
REWRITTEN = re.compile(r"TensorArray(Gather|Read|Scatter|Size|Write)?V3|MaxPool3D")
# Stand before the first numbers of a string input, where a model is cut.
FRONT_END = re.compile(
    r"(String|Unicode|StaticRegex|Regex|Ragged|Decode|Parse|Dense)\w*"
    r"|Bincount|AsString|Substr|ReduceJoin|LookupTable\w*|Sparse(Fill|Reshape|Segment|Slice)\w*"
)
# TFLite's arithmetic has no builtin kernels for them.
NO_ARITHMETIC = frozenset(("float64", "float16", "bfloat16", "complex64", "complex128"))
LOOPS = frozenset(("NextIteration", "RefNextIteration", "StatelessWhile", "While"))
SESSION = "load it through a TensorFlow 1 session and freeze one signature"


def foresee(facts: SavedModelFacts) -> SavedModelFacts:
    """The facts, with what a build will repair and whether it is likely to work."""
    found = {"foreseen": repairs(facts), "outlook": outlook(facts)}
    return facts.model_copy(update=found)


def subject(facts: SavedModelFacts) -> Signature | None:
    """The signature that a build is most likely about.

    serving_default, else the one that computes most; a function where there is no signature.
    """
    usable = [one for one in facts.signatures if one.inputs and one.outputs] or facts.functions
    default = [one for one in usable if one.name == DEFAULT]
    ranked = sorted(usable, key=lambda one: (-_work(facts, one), one.name))
    return next(iter([*default, *ranked]), None)


def _work(facts: SavedModelFacts, signature: Signature) -> int:
    found = facts.computation(signature)
    return sum(op.count for op in found.ops) if found else 0


def repairs(facts: SavedModelFacts) -> tuple[Repair, ...]:
    """What a build will change on its private copy of the model, and why."""
    main = subject(facts)
    computed = facts.computation(main) if main else None
    return (*_of_file(facts), *_of_choice(facts, main), *_of_graph(facts, computed))


def _of_file(facts: SavedModelFacts) -> Iterator[Repair]:
    if facts.slot_variables:
        yield Repair(
            what=f"drop {facts.slot_variables} optimizer slot variables from the object graph",
            why="training state that inference does not use stops TensorFlow from loading it",
        )
    if facts.tags != SERVE:
        yield Repair(
            what=f"load the meta graph tagged {', '.join(facts.tags) or 'nothing'}",
            why="TensorFlow looks for the tag serve alone",
        )


def _of_choice(facts: SavedModelFacts, main: Signature | None) -> Iterator[Repair]:
    usable = [one.name for one in facts.signatures if one.inputs and one.outputs]
    if not usable and facts.functions:
        names = ", ".join(one.name for one in facts.functions)
        yield Repair(what=f"build one of its functions, {names}", why="it has no signature")
    elif main and main.name != DEFAULT and len(usable) == 1:
        yield Repair(what=f"build the signature {main.name}", why=f"there is no {DEFAULT}")


def _of_graph(facts: SavedModelFacts, computed: Computation | None) -> Iterator[Repair]:
    if not facts.has_object_graph:
        yield Repair(what=SESSION, why="it was saved without an object graph")
    elif facts.unknown_types:
        names = ", ".join(facts.unknown_types)
        yield Repair(what=SESSION, why=f"nobody registers its types {names} with TensorFlow")
    if computed is None:
        return
    if computed.reference_variables:
        yield Repair(
            what=f"freeze {computed.reference_variables} reference variables as constants",
            why="TensorFlow 2 cannot lift variables of TensorFlow 1's reference types",
        )
    if computed.devices:
        yield Repair(
            what=f"unpin ops from {', '.join(computed.devices)}",
            why="the machine that converts has no such device",
        )
    if computed.recurrent and computed.fixed_batch is None:
        yield Repair(
            what="fix the batch to 1",
            why=f"recurrent structure needs a known batch: {', '.join(computed.recurrent)}",
        )


def outlook(facts: SavedModelFacts) -> tuple[Outlook, ...]:
    """Whether float32, float16 and int8 are likely to work, and why not."""
    main = subject(facts)
    floats = _float(facts, main)
    half = Outlook(precision="float16", expected=floats.expected, reason=floats.reason)
    computed = facts.computation(main) if main else None
    return (floats, half, _int8(floats, computed))


def _float(facts: SavedModelFacts, main: Signature | None) -> Outlook:
    if main is None:
        reason = "no signature has inputs and outputs, and no function stands in for one"
        return Outlook(precision="float32", expected="no", reason=reason)
    computed = facts.computation(main)
    for found in (_unsafe(facts, main), _inputs(main), _ops(computed) if computed else None):
        if found:
            return found
    return Outlook(precision="float32", expected="likely", reason=_left_out(computed))


def _unsafe(facts: SavedModelFacts, main: Signature) -> Outlook | None:
    run = {"loading", f"signature {main.name}", f"function {main.name}"}
    found = [f"{use.op} {use.does}" for use in facts.unsafe if run & set(use.reached_by)]
    if not found:
        return None
    reason = f"{_listed(found)}: refused unless model.allow_unsafe_ops allows it"
    return Outlook(precision="float32", expected="no", reason=reason)


def _inputs(main: Signature) -> Outlook | None:
    handles = [t.name for t in main.inputs if t.dtype in {"resource", "variant"}]
    if handles:
        reason = f"{_listed(handles)} takes a handle of TensorFlow's, which no sample can be"
        return Outlook(precision="float32", expected="no", reason=reason)
    wide = [f"{t.name} is {t.dtype}" for t in main.inputs if t.dtype in NO_ARITHMETIC]
    if wide:
        reason = f"{_listed(wide)}, and TFLite's builtin operators do not compute with it"
        return Outlook(precision="float32", expected="unlikely", reason=reason)
    return None


def _ops(computed: Computation) -> Outlook | None:
    if computed.custom_ops:
        reason = f"{_listed(computed.custom_ops)}: not TensorFlow's own"
        return Outlook(precision="float32", expected="no", reason=reason)
    front = FRONT_END if computed.strings else None
    nowhere = [op for op in computed.unconvertible_ops if not (front and front.fullmatch(op))]
    if nowhere:
        reason = f"TFLite has neither a builtin nor a Select-TF kernel for {_listed(nowhere)}"
        return Outlook(precision="float32", expected="no", reason=reason)
    select = [op for op in computed.select_ops if not (front and front.fullmatch(op))]
    select = [op for op in select if not REWRITTEN.fullmatch(op)]
    if select:
        reason = f"needs Select-TF ops, which are off by default: {_listed(select)}"
        return Outlook(precision="float32", expected="unlikely", reason=reason)
    if computed.unknown_lengths:
        reason = "its text is padded to no fixed length (RaggedTensorToTensor without a shape)"
        return Outlook(precision="float32", expected="unlikely", reason=reason)
    return None


def _left_out(computed: Computation | None) -> str:
    """What the app has to do instead of the model."""
    if computed is None or not computed.strings or not computed.select_ops:
        return ""
    return f"without what it does to strings ({_listed(computed.select_ops)}), left to the app"


def _int8(floats: Outlook, computed: Computation | None) -> Outlook:
    if floats.expected != "likely" or computed is None:
        return Outlook(precision="int8", expected=floats.expected, reason=floats.reason)
    reason = ""
    if set(computed.control_flow) & LOOPS:
        named = ", ".join(computed.recurrent) or "a loop"
        reason = f"{named}: a loop stays float, so the file is mixed: the variant auto takes it"
    elif computed.stateful:
        reason = "inference assigns to variables, whose range no calibration sees"
    return Outlook(precision="int8", expected="unlikely" if reason else "likely", reason=reason)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - OPS_NAMED} more" if len(names) > OPS_NAMED else ""
    return f"{', '.join(names[:OPS_NAMED])}{more}"
