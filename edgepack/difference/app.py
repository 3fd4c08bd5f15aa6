"""What an app does around the model: prepares inputs, names classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.difference.fields import About, listed, title, words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgepack.records.dataset import Preprocess
    from edgepack.records.difference import Change
    from edgepack.records.stages import DeviceInput

PREPARED = "apps that prepare it as before feed other values"
UNPREPARED = "apps must prepare it in another way, or not at all"
NUMBERED = "the number that an app gets from the model means another class"
UNNAMED = "apps that read labels.txt find none"
OF_DATASETS = frozenset(("array",))  # where the build's samples lay, which no app sees


def preprocessing(old: Mapping[str, Preprocess], new: Mapping[str, Preprocess]) -> Iterator[Change]:
    """How samples become inputs, by input and field."""
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        about = About("interface", part=f"input {name}")
        if before and after:
            yield from _fields(about, before, after)
        elif before:
            yield about.change("preprocessing", (words(before), ""), UNPREPARED)
        elif after:
            yield about.change("preprocessing", ("", words(after)))


def _fields(about: About, old: Preprocess, new: Preprocess) -> Iterator[Change]:
    for field in type(old).model_fields:
        before, after = getattr(old, field), getattr(new, field)
        if before != after:
            why = "" if field in OF_DATASETS else PREPARED
            pair = words(before) or "none", words(after) or "none"
            yield about.change(f"preprocessing {title(field)}", pair, why)


def classes(old: tuple[str, ...], new: tuple[str, ...]) -> Iterator[Change]:
    """The class list: any change of it moves or drops a class that an app knows by its number."""
    if old == new:
        return
    why = "" if not old else (NUMBERED if new else UNNAMED)
    detail = "; ".join(_class_details(old, new)) if old and new else ""
    yield About("interface").change("classes", (listed(old), listed(new)), why, detail)


def _class_details(old: tuple[str, ...], new: tuple[str, ...]) -> Iterator[str]:
    if sorted(old) == sorted(new):
        yield "the same names in another order"
    if gone := [name for name in old if name not in new]:
        yield f"gone: {listed(gone)}"
    if come := [name for name in new if name not in old]:
        yield f"new: {listed(come)}"
    pairs = enumerate(zip(old, new, strict=False))
    for number, (one, other) in ((n, pair) for n, pair in pairs if pair[0] != pair[1]):
        yield f"number {number} was {one} and is {other}"
        return


def prepared_inputs(
    subject: str, old: tuple[DeviceInput, ...], new: tuple[DeviceInput, ...]
) -> Iterator[Change]:
    """Inputs that stand for others of the source, which the app computes itself."""
    before, after = ({one.name: one for one in side} for side in (old, new))
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        if one != other:
            about = About("interface", subject, f"input {name}")
            pair = _preparation(one), _preparation(other)
            yield about.change("preparation", pair, UNPREPARED)


def _preparation(found: DeviceInput | None) -> str:
    if found is None:
        return ""
    form = f"{found.dtype} {list(found.shape)}"
    return f"from {', '.join(found.sources)} as {found.tensor}, {form}"
