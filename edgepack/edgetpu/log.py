"""What `edgetpu_compiler` prints, as values.

    Edge TPU Compiler version 16.0.384591198
    ...
    Number of Edge TPU subgraphs: 1
    Total number of operations: 3

    Operator                       Count      Status

    CONV_2D                        2          Mapped to Edge TPU
    LEAKY_RELU                     1          Operation not supported

As versions 2.1 to 16.0 print it in google-coral/edgetpu's issues 60, 342, 393, 490 and 671, read
on 2026-11-28.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgepack.records.edgetpu import OpStatus

MAPPED = "Mapped to Edge TPU"
_VERSION = re.compile(r"^Edge TPU Compiler version (\S+)", re.MULTILINE)
_HEADING = re.compile(r"^Operator +Count +Status *$", re.MULTILINE)
_ROW = re.compile(r"^(\S+) +(\d{1,9}) +(\S.*?)\s*$")
_FACTS = {
    "subgraphs": "Number of Edge TPU subgraphs",
    "total": "Total number of operations",
    "mapped": "Number of operations that will run on Edge TPU",
    "on_chip": "On-chip memory used for caching model parameters",
    "off_chip": "Off-chip memory used for streaming uncached model parameters",
}


@dataclass(frozen=True)
class Log:
    """The facts of a log; what it does not say is empty."""

    version: str
    operators: tuple[OpStatus, ...]
    facts: dict[str, str]

    def number(self, name: str) -> int | None:
        """A fact that is a number."""
        found = self.facts.get(name, "")
        return int(found) if re.fullmatch(r"[0-9]{1,9}", found) else None

    @property
    def mapped(self) -> int:
        """Operators on the Edge TPU, by the table."""
        return sum(one.count for one in self.operators if one.mapped)

    @property
    def total(self) -> int:
        """All operators, by the table."""
        return sum(one.count for one in self.operators)

    @property
    def contradicts_itself(self) -> bool:
        """Whether its table and its sums differ."""
        said = ((self.number("total"), self.total), (self.number("mapped"), self.mapped))
        return any(number is not None and number != counted for number, counted in said)


def parse(text: str) -> Log:
    """Read what the compiler printed, or its log file."""
    found = _VERSION.search(text)
    facts = {name: _fact(text, label) for name, label in _FACTS.items()}
    return Log(
        version=found[1] if found else "",
        operators=_operators(text),
        facts={name: fact for name, fact in facts.items() if fact},
    )


def _fact(text: str, label: str) -> str:
    found = re.search(rf"^{re.escape(label)}: *(\S.*?)\s*$", text, re.MULTILINE)
    return found[1] if found else ""


def _operators(text: str) -> tuple[OpStatus, ...]:
    """The rows behind the table's heading, up to the first line that is none."""
    heading = _HEADING.search(text)
    rows = []
    for line in text[heading.end() :].splitlines() if heading else ():
        row = _ROW.match(line)
        if row:
            rows.append(_status(*row.groups()))
        elif rows:
            break
    return tuple(rows)


def _status(operator: str, count: str, status: str) -> OpStatus:
    return OpStatus(operator=operator, count=int(count), status=status, mapped=status == MAPPED)
