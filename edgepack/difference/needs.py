"""What a model asks of the runtime and the app: operators, kernels, a least version."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from edgepack.difference.fields import About, listed, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from edgepack.records.difference import Change
    from edgepack.records.manifest import ModelEntry
    from edgepack.records.tensors import OpUse

    Ops = Mapping[str, tuple[int, int]]  # count and highest version by name

SELECT = "apps must link TensorFlow's kernels (Select-TF ops) for it"
CUSTOM = "apps must register it themselves"
NEWER = "the least runtime that a target declares may not know it"
STATE = "its answers now depend on earlier calls"
STATELESS = "it no longer keeps anything from one call to the next"


def needs(old: ModelEntry, new: ModelEntry, *, declared: bool) -> Iterator[Change]:
    """Operators, runtime version and state of one variant.

    Args:
        old: as apps run it.
        new: as they would run it.
        declared: whether a target that takes the variant declares a least runtime.
    """
    known, about = NEWER if declared else "", About("runtime", new.variant)
    yield from _ops(about, old.ops, new.ops, known)
    least = old.min_runtime_version, new.min_runtime_version
    if least[0] != least[1]:
        yield about.change("least runtime", least, known if is_higher(*least) else "")
    yield from _sets(about, "Select-TF ops", (old.select_ops, new.select_ops), SELECT)
    if old.float_ops is not None and new.float_ops is not None:
        yield from _sets(about, "float ops", (old.float_ops, new.float_ops))
    else:
        yield from plain(about, old, new, "float_ops")
    if old.stateful != new.stateful:
        pair = ("no", "yes") if new.stateful else ("yes", "no")
        yield about.change("stateful", pair, STATE if new.stateful else STATELESS)


def is_higher(before: str, after: str) -> bool:
    """Whether a version is above another one, or cannot be compared with it."""
    if not after or not before:
        return bool(after)
    try:
        return Version(after) > Version(before)
    except InvalidVersion:
        return after != before


def _ops(
    about: About, old: tuple[OpUse, ...], new: tuple[OpUse, ...], known: str
) -> Iterator[Change]:
    for what, why, custom in (("custom ops", CUSTOM, True), ("ops", "", False)):
        before, after = (_used(side, custom=custom) for side in (old, new))
        yield from _sets(about, what, (before, after), why)
        both = sorted(before.keys() & after.keys())
        for name in both:
            yield from _version(
                replace(about, part=f"op {name}"), before[name][1], after[name][1], known
            )
        moved = [name for name in both if before[name][0] != after[name][0]]
        pair = (listed(f"{name} {side[name][0]}" for name in moved) for side in (before, after))
        yield from about.differing(f"uses of {what}", (next(pair), next(pair)))


def _version(about: About, old: int, new: int, known: str) -> Iterator[Change]:
    if old != new:
        yield about.change("version", (str(old), str(new)), known if new > old else "")


def _used(ops: Iterable[OpUse], *, custom: bool) -> Ops:
    found: dict[str, tuple[int, int]] = {}
    for op in ops:
        if op.custom == custom:
            count, version = found.get(op.name, (0, 0))
            found[op.name] = count + op.count, max(version, op.version)
    return found


def _sets(
    about: About, what: str, pair: tuple[Iterable[str], Iterable[str]], why: str = ""
) -> Iterator[Change]:
    """What is only in one of two lists of names; what is new may break."""
    before, after = map(set, pair)
    if gone := before - after:
        yield about.change(what, (listed(sorted(gone)), ""))
    if come := after - before:
        yield about.change(what, ("", listed(sorted(come))), why)
