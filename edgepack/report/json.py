"""`report.json`: the record itself, in one form."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgepack.records.report import Report


def render(report: Report) -> str:
    """The report as JSON: sorted keys, two spaces, one line end. Equal reports give equal text.

    Raises:
        ValueError: a figure is NaN or infinite; stages never leave one.
    """
    value = report.model_dump(mode="json")
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2, sort_keys=True)
    return f"{text}\n"
