"""`frontier.svg`: every trial of a search by harm and cost, and the best of them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from edgepack.report import trials
from edgepack.report.chart import BOTTOM, LEFT, RIGHT, TOP, chart_of, labels_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.records.search import SearchResult, Trial
    from edgepack.report.chart import Chart, Dot
    from edgepack.report.labels import Placed

WIDTH, HEIGHT = 720, 440
INK, GREY, PALE, PAPER = "#1f2328", "#59636e", "#e4e7eb", "#ffffff"
RED = "#b42318"
COLOURS = {"quantizer": "#0b62c4", "converter": "#b85c00", "whole": "#5b6470"}
NAMES = {
    "quantizer": "int8, quantizer",
    "converter": "int8, converter",
    "whole": "one precision",
}
FONT = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
CHARACTER = 6.8  # width of one of the legend's


def svg(result: SearchResult) -> str:
    """A search as a self-contained drawing: the same result gives the same text.

    Cost (latency over float32's, or size) from left to right, harm upwards; harm is drawn linearly
    up to the goal, logarithmically beyond. Trials that failed have no place.
    """
    chart = chart_of(result)
    placed = labels_of(chart)
    parts = (
        *_head(chart),
        *_axes(chart),
        _budget(chart),
        *_line(chart),
        *(_leader(one) for one in placed if one.far),
        *(_dot(chart, dot) for dot in chart.dots),
        *_chosen(chart),
        *(_label(one) for one in placed),
        "</svg>",
    )
    return "\n".join(parts) + "\n"


def _head(chart: Chart) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img" font-family="{FONT}" font-size="12" '
        f'fill="{INK}">'
    )
    told = " ".join(trials.summary(chart.result))
    yield f"<title>{_text(_title(chart.result))}</title>"
    yield f"<desc>{_text(told)}</desc>"
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}"/>'
    yield _write(LEFT, 24, _title(chart.result), 'font-size="15" font-weight="600"')
    yield from _legend(chart)


def _title(result: SearchResult) -> str:
    count = len(result.trials)
    failed = count - len(trials.ran(result))
    told = f"{count} trials" + (f", {failed} of them failed" if failed else "")
    what = "size" if result.goal.objective == "size" else "latency"
    return f"Harm and {what}: {told}"


def _legend(chart: Chart) -> Iterator[str]:
    x, y = float(LEFT), 46
    for mark, name in _entries(chart):
        width = 18 + CHARACTER * len(name) + 14
        if x + width > RIGHT:
            x, y = float(LEFT), y + 19
        yield f'<g transform="translate({x + 6:.1f} {y - 4})">{mark}</g>'
        yield _write(x + 18, y, name)
        x += width


def _entries(chart: Chart) -> Iterator[tuple[str, str]]:
    """What the marks mean, of those that there are."""
    kinds = {dot.kind for dot in chart.dots}
    for kind in (kind for kind in NAMES if kind in kinds):
        yield _mark(kind, 0, 0, f'fill="{COLOURS[kind]}"'), NAMES[kind]
    if any(chart.scouted(dot) for dot in chart.dots):
        yield _circle(0, 0, 3.5, f'fill="{PAPER}" stroke="{GREY}"'), "on fewer samples"
    yield f'<path d="M-6 0H6" stroke="{INK}" stroke-width="1.5"/>', "Pareto front"
    goal = chart.result.goal
    told = f"goal: at most {trials.harm(goal.max_harm, goal.metric)}"
    told += " (logarithmic beyond)" if any(dot.y < chart.goal for dot in chart.dots) else ""
    yield f'<path d="M-6 0H6" stroke="{RED}" stroke-dasharray="5 2"/>', told
    yield _circle(0, 0, 6, f'fill="none" stroke="{INK}" stroke-width="1.8"'), "chosen"


def _axes(chart: Chart) -> Iterator[str]:
    for tick in chart.across.ticks:
        x = chart.across.at(tick)
        yield f'<path d="M{x:.1f} {TOP}V{BOTTOM}" stroke="{PALE}"/>'
        yield _write(x, BOTTOM + 17, f"{tick:g}", 'text-anchor="middle"')
    for tick in chart.up.ticks:
        y = chart.up.at(tick)
        yield f'<path d="M{LEFT} {y:.1f}H{RIGHT}" stroke="{PALE if tick else GREY}"/>'
        yield _write(LEFT - 8, y + 4, f"{tick:g}", 'text-anchor="end"')
    yield f'<path d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}" fill="none" stroke="{GREY}"/>'
    size = chart.result.goal.objective == "size"
    across = "size, kB" if size else "latency over float32's (median of interleaved rounds)"
    middle = (LEFT + RIGHT) / 2
    yield _write(middle, BOTTOM + 40, across, 'text-anchor="middle"')
    turned = f'text-anchor="middle" transform="rotate(-90 20 {(TOP + BOTTOM) / 2:g})"'
    yield _write(20, (TOP + BOTTOM) / 2, _up_title(chart.result), turned)


def _up_title(result: SearchResult) -> str:
    goal = result.goal
    unit = "percentage points" if trials.in_points(goal) else goal.metric
    return f"{goal.measure}, {unit}"


def _budget(chart: Chart) -> str:
    return f'<path d="M{LEFT} {chart.goal:.1f}H{RIGHT}" stroke="{RED}" stroke-dasharray="6 4"/>'


def _line(chart: Chart) -> Iterator[str]:
    """Steps: between two points of the front, what is reached is the harm of the cheaper one."""
    if chart.front:
        first, *others = chart.front
        steps = "".join(f"H{dot.x:.1f}V{dot.y:.1f}" for dot in others)
        path = f"M{first.x:.1f} {first.y:.1f}{steps}"
        yield f'<path d="{path}" fill="none" stroke="{INK}" stroke-width="1.5"/>'


def _dot(chart: Chart, dot: Dot) -> str:
    """A mark that says all about its trial when pointed at."""
    colour = COLOURS[dot.kind]
    if chart.scouted(dot):
        style = f'fill="{PAPER}" stroke="{colour}" stroke-opacity="0.7"'
    elif chart.on_front(dot):
        style = f'fill="{colour}" stroke="{INK}"'
    else:
        style = f'fill="{colour}" fill-opacity="0.55"'
    told = f"<title>{_text(_told(chart.result, dot.trial))}</title>"
    return f"<g>{told}{_mark(dot.kind, dot.x, dot.y, style)}</g>"


def _told(result: SearchResult, trial: Trial) -> str:
    kept = trials.named([result.groups[group].name for group in trial.candidate.kept])
    what = trials.words(trial.candidate, len(result.groups))
    told = f"{trial.number}: {what}{f' ({kept})' if kept else ''}; "
    return f"{told}{trials.numbers(trial, result.goal)}; {trial.samples} samples"


def _mark(kind: str, x: float, y: float, style: str) -> str:
    if kind == "quantizer":
        return _circle(x, y, 4.5, style)
    if kind == "converter":
        return f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" {style}/>'
    return f'<path d="M{x:.1f} {y - 5:.1f}l5 9h-10z" {style}/>'


def _circle(x: float, y: float, radius: float, style: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" {style}/>'


def _chosen(chart: Chart) -> Iterator[str]:
    for dot in chart.dots:
        if chart.chosen(dot):
            yield _circle(dot.x, dot.y, 9, f'fill="none" stroke="{INK}" stroke-width="1.8"')


def _leader(placed: Placed) -> str:
    """A line from a point to a label that is not beside it."""
    box, label = placed.box, placed.label
    x = min(max(label.x, box.left), box.right)
    y = box.top if box.top > label.y else box.bottom
    return f'<path d="M{label.x:.1f} {label.y:.1f}L{x:.1f} {y:.1f}" stroke="{GREY}"/>'


def _label(placed: Placed) -> str:
    """A text on a rim of paper, so that lines do not cross it."""
    x, y, text = placed.box.left, placed.box.bottom - 3, placed.label.text
    font = f'font-size="11" font-weight="{600 if placed.label.ringed else 400}"'
    rim = f'{font} stroke="{PAPER}" stroke-width="3" stroke-linejoin="round" aria-hidden="true"'
    return _write(x, y, text, rim) + _write(x, y, text, font)


def _write(x: float, y: float, text: str, style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}"{f" {style}" if style else ""}>{_text(text)}</text>'


def _text(text: str) -> str:
    """Text that XML can hold: no markup, no control characters."""
    return escape("".join(one if one.isprintable() else " " for one in text))
