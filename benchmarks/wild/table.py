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
        return {"model": self.model, "stock": asdict(self.stock), "ours": asdict(self.ours)}


def render(rows: list[Row]) -> str:
    """A line a model, then the totals."""
    figures = "".join(f" {name:>8}" for name in ("float32", "float16", "int8"))
    head = f"{'model':{NAME}} {'stock':8} {'ours':9}{figures} {'s':>4}"
    return "\n".join([head, *map(_line, rows), "", *_totals(rows), ""])


def _line(row: Row) -> str:
    errors = (_error(row, variant) for variant in ("float32", "float16", "int8"))
    f32, f16, int8 = errors
    ours = row.ours
    said = "; ".join(ours.repairs) if ours.kind == BUILT else f"{ours.code}: {ours.message}"
    name = row.model if len(row.model) <= NAME else f"...{row.model[3 - NAME :]}"
    figures = f"{f32:>8} {f16:>8} {int8:>8} {ours.seconds:4.0f}"
    return f"{name:{NAME}} {row.stock.kind:8} {ours.kind:9} {figures}  {said[:160]}".rstrip()


def _error(row: Row, variant: str) -> str:
    if variant in row.ours.errors:
        return f"{row.ours.errors[variant]:.1e}"
    return "left out" if variant in row.ours.left_out else "-"


def _totals(rows: list[Row]) -> Iterator[str]:
    n = len(rows)
    built = [row for row in rows if row.ours.kind == BUILT]
    stock = sum(row.stock.kind == BUILT for row in rows)
    yield f"builtins: ours {_share(len(built), n)}, stock {_share(stock, n)}"
    agree = sum(row.agrees for row in rows)
    yield f"agree within {FLOAT32:g} (float32) and {FLOAT16:g} (float16): {_share(agree, n)}"
    yield f"int8 made: {_share(sum('int8' in row.ours.errors for row in rows), n)}"
    yield f"stock with Select-TF: {_share(sum(r.stock.kind == 'select' for r in rows), n)}"
    yield f"not built: {_counted(r.ours.code for r in rows if r.ours.kind != BUILT) or 'none'}"
    bad = Counter(row.ours.kind for row in rows)
    yield f"tracebacks {bad['traceback']}, hangs {bad['hang']}"
    lost = [r.model for r in rows if r.stock.kind == BUILT and r.ours.kind != BUILT]
    yield f"built by stock alone: {', '.join(lost) or 'none'}"
    yield from _foresight(rows)
    yield f"seconds: {sum(row.ours.seconds for row in rows):.0f} ours"


def _foresight(rows: list[Row]) -> Iterator[str]:
    """How often inspect was right; what it calls unlikely counts as not to be made."""
    for precision in ("float32", "float16", "int8"):
        told = [(r.ours.expected[precision], r) for r in rows if precision in r.ours.expected]
        right = sum((said == "likely") == (precision in r.ours.errors) for said, r in told)
        yield f"foreseen {precision}: {_share(right, len(told))}"


def _share(count: int, n: int) -> str:
    return f"{count} of {n} ({count / n:.0%})" if n else "none"


def _counted(names: Iterable[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(Counter(names).items()))
