"""What was measured, and what the gate held it against."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edgepack.difference.fields import About, told, words
from edgepack.report import figures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.records.difference import Change
    from edgepack.records.evidence import Accuracy, Agreement, Metric
    from edgepack.records.verdict import Check, Verdict

OTHER_SAMPLES = "on other samples: the two cannot be compared"


def accuracy(subject: str, old: Accuracy, new: Accuracy, *, same_samples: bool) -> Iterator[Change]:
    """Metrics with their intervals, and agreement with the source.

    Args:
        subject: source or a variant.
        old: what was measured then.
        new: what was measured now.
        same_samples: whether both were measured on the same.
    """
    about, remark = About("evidence", subject), "" if same_samples else OTHER_SAMPLES
    yield from told(about, old, new, _figures(about, old, new, remark))


def _figures(about: About, old: Accuracy, new: Accuracy, remark: str) -> Iterator[Change]:
    before, after = ({one.name: one for one in side.metrics} for side in (old, new))
    for name in dict.fromkeys((*before, *after)):
        pair = _metric(before.get(name)), _metric(after.get(name))
        yield from about.differing(name, pair, remark)
    agreed, agrees = ({one.output: one for one in side.agreement} for side in (old, new))
    for output in dict.fromkeys((*agreed, *agrees)):
        pair = _agreement(agreed.get(output)), _agreement(agrees.get(output))
        yield from replace(about, part=f"output {output}").differing("agreement", pair, remark)
    health, healthy = ({one.output: words(one) for one in side.health} for side in (old, new))
    for output in dict.fromkeys((*health, *healthy)):
        pair = health.get(output, ""), healthy.get(output, "")
        yield from replace(about, part=f"output {output}").differing("health", pair)


def _metric(found: Metric | None) -> str:
    if found is None:
        return ""
    if found.interval is None:
        return figures.metric(found)
    ends = (figures.score(found.name, end) for end in (found.interval.low, found.interval.high))
    return f"{figures.metric(found)} ({' to '.join(ends)})"


def _agreement(found: Agreement | None) -> str:
    """The figures that are defined, the plainest first."""
    if found is None:
        return ""
    told = {
        "top-1": None if found.top1 is None else figures.share(found.top1),
        "cosine": None if found.cosine is None else f"{found.cosine:.6f}",
        "SNR": None if found.snr_db is None else f"{figures.significant(found.snr_db)} dB",
    }
    return ", ".join(f"{name} {value}" for name, value in told.items() if value) or "undefined"


def verdict(old: Verdict, new: Verdict) -> Iterator[Change]:
    """Outcomes of checks, and budgets: what was loosened shows too."""
    before, after = ({(c.subject, c.name): c for c in side.checks} for side in (old, new))
    for key in dict.fromkeys((*before, *after)):
        one, other = before.get(key), after.get(key)
        about = About("evidence", key[0])
        yield from about.differing(f"check {key[1]}", (_outcome(one), _outcome(other)))
        if one and other:
            yield from about.differing(f"budget {key[1]}", (_budget(one), _budget(other)))
    yield from About("evidence").differing("strict", (words(old.strict), words(new.strict)))


def _outcome(check: Check | None) -> str:
    return check.outcome if check else ""


def _budget(check: Check) -> str:
    return "none" if check.budget is None else f"{check.budget:g}"
