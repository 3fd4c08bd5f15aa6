"""Which signature is built, where the user names none, and what to name where none can be told."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING

from edgepack.errors import DamagedModelError, SignatureError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from edgepack.records.facts import SavedModelFacts
    from edgepack.records.tensors import Signature
    from edgepack.savedmodel.messages import MetaGraph

SERVE = "serve"
TRAINING = frozenset(("train", "eval"))  # tags of graphs that are not for inference
DEFAULT = "serving_default"
# They take tf.train.Example messages as bytes.
PARSES_EXAMPLES = frozenset(
    ("ParseExample", "ParseExampleV2", "ParseSingleExample", "ParseSequenceExampleV2")
)


def select_graph(metas: list[MetaGraph], file: Path, tags: Collection[str] = ()) -> MetaGraph:
    """The meta graph with these tags; by default the one that is tagged serve.

    Raises:
        DamagedModelError: there is none at all.
        SignatureError: none has these tags, or there is no telling which is meant.
    """
    if not metas:
        raise DamagedModelError("it holds no graph", where=file, hint="Save the model again.")
    known = "; ".join(",".join(meta.tags) or "(none)" for meta in metas)
    if tags:
        if found := [meta for meta in metas if set(meta.tags) == set(tags)]:
            return found[0]
        what = f"no graph is tagged {','.join(sorted(tags))}"
        raise SignatureError(f"{what}; their tags are: {known}", where=file, hint="Set model.tags.")
    serving = [meta for meta in metas if SERVE in meta.tags]
    served = serving or [meta for meta in metas if not TRAINING & set(meta.tags)]
    if len(served) == 1 or serving:
        return min(served, key=lambda meta: len(meta.tags))
    raise SignatureError(
        f"no graph is tagged {SERVE}; their tags are: {known}",
        where=file,
        hint=_name_tags(metas),
    )


def _name_tags(metas: list[MetaGraph]) -> str:
    named = next((list(meta.tags) for meta in metas if meta.tags), None)
    if named is None:
        return f"Save the one to build with the tag {SERVE}."
    return f"Name those of the one to build, such as model.tags = {json.dumps(named)}."


def select_signature(facts: SavedModelFacts, name: str = "") -> Signature:
    """The signature called `name`; without a name serving_default, or the only usable one.

    Where no signature is usable, functions of the object graph stand in for them.

    Raises:
        SignatureError: there is no such signature, or no telling which; lists the known ones.
    """
    usable = usable_signatures(facts)
    if name in usable:
        return usable[name]
    if name or not usable:
        raise _unknown(facts, usable, name)
    if DEFAULT in usable:
        _require_features(facts, usable)
        return usable[DEFAULT]
    if len(usable) == 1:
        return next(iter(usable.values()))
    raise SignatureError(
        f"the model has {len(usable)} signatures that could be built and none called {DEFAULT}",
        where=facts.path,
        hint=f"{_set_one(min(usable))} Known: {'; '.join(map(_call, usable.values()))}.",
    )


def usable_signatures(facts: SavedModelFacts) -> dict[str, Signature]:
    """By name, what has inputs and outputs: signatures, or where there is none, functions."""
    usable = {one.name: one for one in facts.signatures if one.inputs and one.outputs}
    return usable or {one.name: one for one in facts.functions}


def takes_examples(facts: SavedModelFacts, signature: Signature) -> bool:
    """Whether it takes serialized tf.Example messages instead of the features themselves."""
    computed = facts.computation(signature)
    strings = {tensor.dtype for tensor in signature.inputs} == {"string"}
    return bool(strings and computed and PARSES_EXAMPLES & {op.name for op in computed.ops})


def _require_features(facts: SavedModelFacts, usable: dict[str, Signature]) -> None:
    """Refuse serving_default where another signature spares it the parsing, which TFLite lacks."""
    if not takes_examples(facts, usable[DEFAULT]):
        return
    others = [one for one in usable.values() if not takes_examples(facts, one)]
    if others:
        raise SignatureError(
            f"{DEFAULT} takes serialized tf.Example messages; "
            f"the features themselves are taken by {', '.join(map(_call, others))}",
            where=facts.path,
            hint=_set_one(others[0].name),
        )


def _unknown(facts: SavedModelFacts, usable: dict[str, Signature], name: str) -> SignatureError:
    if not usable:
        return SignatureError(
            "the model has no signature with inputs and outputs",
            where=facts.path,
            hint="Save it with tf.saved_model.save(model, path, signatures=...).",
        )
    near = difflib.get_close_matches(name, usable, 1)
    hint = f"Did you mean {near[0]}? " if near else ""
    return SignatureError(
        f"no signature is called {name!r}",
        where=facts.path,
        hint=f"{hint}Known: {', '.join(sorted(usable))}. Set model.signature (--signature).",
    )


def _set_one(name: str) -> str:
    return f'Set model.signature, such as signature = "{name}" (--signature {name}).'


def _call(signature: Signature) -> str:
    return f"{signature.name}({', '.join(tensor.name for tensor in signature.inputs)})"
