"""The drawing of a search: what is on it, where, and what no name may do to it."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import evidence_samples as samples
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.records.search import Goal, SearchResult
from edgepack.report import axes, chart, frontier

SVG = "{http://www.w3.org/2000/svg}"


def drawn(result):
    return ET.fromstring(frontier.svg(result))


def texts(root):
    return [one.text for one in root.iter(f"{SVG}text")]


def titles(root):
    """Number and words of every dot."""
    found = (one.find(f"{SVG}title") for one in root.iter(f"{SVG}g"))
    return [one.text for one in found if one is not None]


def goal(**changes):
    return samples.search().goal.model_copy(update=changes)


def test_golden(golden):
    golden("report/frontier.svg", frontier.svg(samples.search()))


def test_every_trial_that_ran_is_a_dot_and_no_other():
    result = samples.search()
    numbers = {int(title.partition(":")[0]) for title in titles(drawn(result))}
    assert numbers == {one.number for one in result.trials if not one.failure}


def test_dots_say_their_figures():
    (said,) = (one for one in titles(drawn(samples.search())) if one.startswith("14:"))
    assert said == (
        "14: int8 quantizer min-max, 1 of 4 groups float16 (log_energy); "
        "harm 0.2 pt, 174 kB, 0.37x float32's latency; 400 samples"
    )


def test_chosen_full_files_and_front_are_named():
    said = texts(drawn(samples.search()))
    assert "14 int8 quantizer min-max, 1 of 4 groups float16" in said
    assert "4 int8 quantizer mse" in said
    assert "5 int8 converter min-max" in said
    assert "3 dynamic" in said
    assert "Harm and latency: 16 trials, 3 of them failed" in said
    assert any(one.startswith("goal: at most 0.5 pt") for one in said)


def test_size_is_the_axis_where_it_is_the_objective():
    said = texts(drawn(samples.search(goal=goal(objective="size"))))
    assert "size, kB" in said
    assert "Harm and size: 16 trials, 3 of them failed" in said
    assert "500" in said


def test_a_metric_that_is_no_share_keeps_its_unit():
    said = texts(drawn(samples.search(goal=goal(metric="mae", measure="drop of mae"))))
    assert "drop of mae, mae" in said
    assert not any(" pt" in one for one in said)


def test_hostile_names_stay_text():
    nasty = "</text><script>alert(1)</script>&\"'\x00\ufffe\ud800"
    group = samples.GROUPS[1].model_copy(update={"name": nasty})
    groups = (samples.GROUPS[0], group, *samples.GROUPS[2:])
    root = drawn(samples.search(groups=groups, goal=goal(measure=nasty)))
    assert not list(root.iter(f"{SVG}script"))
    assert any("<script>alert(1)</script>&" in one for one in titles(root))
    assert any("<script>alert(1)</script>&" in one for one in texts(root))


def test_the_same_result_gives_the_same_text():
    again = SearchResult.model_validate_json(samples.search().model_dump_json())
    assert frontier.svg(again) == frontier.svg(samples.search())


def test_a_search_without_a_measured_trial_is_still_a_drawing():
    failed = tuple(samples.trial(n, {}, "does not run") for n in (1, 2))
    assert titles(drawn(samples.search(trials=failed, chosen=1, front=()))) == []


def test_a_trial_without_latency_has_no_place_beside_others():
    odd = samples.trial(1, {}, (0.1, 0.1, None, 9_000))
    trials = (odd, *samples.search().trials[1:])
    assert not any(one.startswith("1:") for one in titles(drawn(samples.search(trials=trials))))
    by_size = samples.search(trials=trials, goal=goal(objective="size"))
    assert any(one.startswith("1:") for one in titles(drawn(by_size)))


def test_nothing_is_loaded_from_elsewhere():
    text = frontier.svg(samples.search())
    assert "href" not in text
    assert "url(" not in text
    assert "<style" not in text


figures = st.tuples(
    st.floats(-1, 1),
    st.floats(0, 1),
    st.floats(0.001, 1000),
    st.integers(1, 10**9),
)


@given(
    st.lists(figures, min_size=1, max_size=12),
    st.floats(0, 1),
    st.sampled_from(["size", "latency"]),
)
def test_every_dot_lies_within_the_axes(found, most, objective):
    trials = tuple(samples.trial(n, {"kept": (0,)}, one) for n, one in enumerate(found, 1))
    numbers = tuple(one.number for one in trials)
    given = Goal(objective=objective, max_harm=most, measure="harm")
    result = samples.search(trials=trials, goal=given, front=numbers, chosen=1)
    drawing = chart.chart_of(result)
    assert len(drawing.dots) == len(found)
    for dot in drawing.dots:
        assert chart.LEFT <= dot.x <= chart.RIGHT
        assert chart.TOP <= dot.y <= chart.BOTTOM
    assert chart.TOP <= drawing.goal <= chart.BOTTOM
    ET.fromstring(frontier.svg(result))


@given(st.lists(st.floats(-1e6, 1e6), max_size=8), st.floats(0.001, 100))
def test_more_is_further_along_a_bent_axis(values, limit):
    axis = axes.bent(values, limit, 0, 300)
    ordered = sorted({0.0, limit, *values})
    places = [axis.at(value) for value in ordered]
    assert places == sorted(places)
    assert 0 in axis.ticks


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ((0.7, 1.1), (0.7, 0.8, 0.9, 1.0, 1.1)),
        ((13.0, 47.0), (15.0, 20.0, 25.0, 30.0, 35.0, 40.0, 45.0)),
        ((0.01, 10.0), (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)),
        ((1.0, 1.0), (0.94, 0.96, 0.98, 1.0, 1.02, 1.04, 1.06)),
    ],
)
def test_ticks_are_round(values, ticks):
    assert axes.plain(values, 0, 600).ticks == ticks


def test_the_front_goes_down_from_left_to_right():
    front = chart.chart_of(samples.search()).front
    assert [dot.trial.number for dot in front] == [4, 14, 12, 3]
    assert [dot.x for dot in front] == sorted(dot.x for dot in front)
    assert [dot.y for dot in front] == sorted(dot.y for dot in front)
