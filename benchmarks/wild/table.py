"""Both sides of every model in one table, and what they add up to."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ours import Ours
    from stock import Stock

FLOAT32, FLOAT16 = 1e-4, 1e-2  # largest max |difference| / max |source| that counts as agreement
BUILT = "builtins"
BROKEN = {"traceback": "tracebacks", "crash": "crashes", "hang": "hangs"}  # not for users to see
PRECISIONS = ("float32", "float16", "int8")
PREPARED = "left the preparation of"  # how the repair begins that cuts a model off
NAME = 46


@dataclass(frozen=True)
class Row:
    """One model on both sides."""

    model: str
    stock: Stock
    ours: Ours

    @property
    def agrees(self) -> bool:
        """Whether both float files answer like the source."""
        errors = self.ours.errors
        half, full = errors.get("float16"), errors.get("float32")
        return half is not None and full is not None and full <= FLOAT32 and half <= FLOAT16

    def plain(self) -> dict[str, Any]:
        """As JSON takes it."""
        sides = {"stock": asdict(self.stock), "ours": asdict(self.ours)}
        return {"model": self.model, "agrees": self.agrees, **sides}


def render(rows: list[Row]) -> str:
    """A line a model, then the totals."""
    figures = "".join(f" {name:>8}" for name in PRECISIONS)
    head = f"{'model':{NAME}} {'stock':8} {'ours':9}{figures} {'s':>4}"
    return "\n".join([head, *map(_line, rows), "", *_totals(rows), ""])


def _line(row: Row) -> str:
    ours = row.ours
    said = "; ".join(_said(ours)) if ours.kind == BUILT else _one_line(ours)
    name = row.model if len(row.model) <= NAME else f"...{row.model[3 - NAME :]}"
    figures = " ".join(f"{_error(row, precision):>8}" for precision in PRECISIONS)
    start = f"{name:{NAME}} {row.stock.kind:8} {ours.kind:9} {figures} {ours.seconds:4.0f}"
    return f"{start}  {said[:160]}".rstrip()


def _said(ours: Ours) -> Iterator[str]:
    if ours.chosen:
        yield f"took signature {ours.chosen} of several"
    if ours.constant:
        yield "the source answers every sample alike"
    yield from ours.repairs


def _one_line(ours: Ours) -> str:
    return " ".join(f"{ours.code}: {ours.message}".split())


def _error(row: Row, variant: str) -> str:
    if variant in row.ours.errors:
        error = row.ours.errors[variant]
        return "unknown" if error is None else f"{error:.1e}"
    return "left out" if variant in row.ours.left_out else "-"


def _totals(rows: list[Row]) -> Iterator[str]:
    n = len(rows)
    built = [row for row in rows if row.ours.kind == BUILT]
    stock = sum(row.stock.kind == BUILT for row in rows)
    yield f"builtins: ours {_share(len(built), n)}, stock {_share(stock, n)}"
    cut = sum(any(what.startswith(PREPARED) for what in row.ours.repairs) for row in built)
    yield f"of ours, files that take inputs prepared by the app: {cut}"
    agree = [row for row in rows if row.agrees]
    alike = sum(row.ours.constant for row in agree)
    limits = f"{FLOAT32:g} (float32) and {FLOAT16:g} (float16)"
    said = f", {alike} of them on sources that answer every sample alike" if alike else ""
    yield f"agree within {limits}: {_share(len(agree), n)}{said}"
    yield f"int8 made: {_share(sum('int8' in row.ours.errors for row in rows), n)}"
    yield f"stock with Select-TF: {_share(sum(r.stock.kind == 'select' for r in rows), n)}"
    yield from _failures(rows)
    yield from _foresight(rows)
    ours, theirs = sum(r.ours.seconds for r in rows), sum(r.stock.seconds for r in rows)
    yield f"seconds: {ours:.0f} ours, {theirs:.0f} stock (when it was run)"


def _failures(rows: list[Row]) -> Iterator[str]:
    typed = _counted(row.ours.code for row in rows if row.ours.kind == "typed")
    yield f"typed errors: {typed or 'none'}"
    kinds = Counter(row.ours.kind for row in rows)
    yield ", ".join(f"{plural} {kinds[kind]}" for kind, plural in BROKEN.items())
    failed = _counted(row.stock.kind for row in rows if row.stock.kind not in {BUILT, "select"})
    yield f"stock without a file: {failed or 'none'}"
    lost = [r.model for r in rows if r.stock.kind == BUILT and r.ours.kind != BUILT]
    yield f"built by stock alone: {', '.join(lost) or 'none'}"


def _foresight(rows: list[Row]) -> Iterator[str]:
    """What inspect said, against what was made; unlikely and no both count as not to be made."""
    for precision in PRECISIONS:
        pairs = Counter(
            (r.ours.expected[precision], precision in r.ours.errors)
            for r in rows
            if precision in r.ours.expected
        )
        right = sum(n for (said, made), n in pairs.items() if (said == "likely") == made)
        told = "; ".join(
            f"{said}: {pairs[said, True]} made, {pairs[said, False]} not"
            for said in ("likely", "unlikely", "no")
            if pairs[said, True] + pairs[said, False]
        )
        yield f"foreseen {precision}: {_share(right, pairs.total())}  {told}".rstrip()


def _share(count: int, n: int) -> str:
    return f"{count} of {n} ({count / n:.0%})" if n else "none"


def _counted(names: Iterable[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(Counter(names).items()))
