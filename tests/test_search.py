"""The search over measurements that are known beforehand."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_models import SAMPLES, Simulated

from edgepack.quantize import front
from edgepack.quantize.search import search
from edgepack.records.search import Candidate, Goal, Trial

LATENCY = Goal(objective="latency", max_harm=0.01, measure="drop")
SIZE = Goal(objective="size", max_harm=0.01, measure="drop")


def unlimited(count):
    return None


def run(model, goal=LATENCY, stop=unlimited):
    found = search(model.space, goal, SAMPLES, model, stop)
    counted = [one for one in found.trials if front.counts(one, SAMPLES)]
    return found, front.best(counted, goal)


def test_a_model_that_quantizes_well_takes_few_trials():
    found, best = run(Simulated(errors=(0.001,) * 8, times=(1.0,) * 8))
    assert best.candidate == Candidate()
    assert len(found.trials) <= 8
    assert found.stopped == "done"


def test_the_one_layer_that_ruins_the_file_is_kept():
    model = Simulated(errors=(0.001, 0.001, 0.5, 0.001, 0.001, 0.001), times=(1.0,) * 6)
    _, best = run(model)
    assert best.candidate.kept == (2,)


def test_a_front_end_of_several_groups_is_kept_whole():
    model = Simulated(errors=(0.4, 0.3, 0.4, 0.0005, 0.0005, 0.0005), times=(0.2,) * 3 + (2.0,) * 3)
    _, best = run(model)
    assert best.candidate.kept == (0, 1, 2)


def test_an_island_that_costs_more_at_its_borders_than_it_saves_is_kept_too():
    model = Simulated(errors=(0.3, 0.0001, 0.3, 0.0001), times=(1, 0.01, 1, 3), border=0.05)
    _, best = run(model)
    assert best.candidate.kept == (0, 1, 2)


def test_an_engine_whose_full_file_does_not_load_is_no_obstacle():
    model = Simulated(errors=(0.5, 0.001, 0.001), times=(1.0,) * 3, broken=frozenset({"quantizer"}))
    _, best = run(model)
    assert best.candidate.engine == "converter"
    assert best.candidate.kept == (0,)


def test_what_cannot_be_quantized_at_all_stays_float():
    _, best = run(Simulated(errors=(0.5,) * 4, times=(1.0,) * 4))
    assert best.candidate.mode == "float16"  # as quick as float32, and smaller


@pytest.mark.parametrize("goal", [LATENCY, SIZE])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_it_comes_near_the_exhaustive_sweep(goal, data):
    count = data.draw(st.integers(2, 6))
    error = st.sampled_from([0.0001, 0.001, 0.004, 0.05, 0.5])
    errors = data.draw(st.lists(error, min_size=count, max_size=count))
    times = data.draw(st.lists(st.floats(0.1, 3), min_size=count, max_size=count))
    model = Simulated(tuple(errors), tuple(times))
    _, best = run(model, goal)
    least = model.exhaustive(goal)
    cost = front.cost(best, goal)
    if best.candidate.mode == "int8":
        assert best.harm <= goal.max_harm
        assert cost <= least * (1.2 if goal.objective == "latency" else 1.4)
    else:  # float where nothing quantized is better by more than the noise
        assert cost <= least * 1.2


def test_it_ends_at_its_limit_with_the_best_so_far():
    model = Simulated(errors=(0.5, 0.001, 0.001, 0.001), times=(1.0,) * 4)
    found, best = run(model, stop=lambda count: "trials" if count >= 9 else None)
    assert found.stopped == "trials"
    assert len(found.trials) == 9
    assert best.candidate.mode == "float16"


def test_the_same_measurements_lead_to_the_same_search():
    model = Simulated(errors=(0.5, 0.003, 0.003, 0.3, 0.001), times=(1, 2, 1, 0.5, 2))
    first, second = run(model), run(replace(model, asked=[]))
    assert first == second


def test_only_ranking_is_done_on_fewer_samples():
    model = Simulated(errors=(0.5, 0.001, 0.001), times=(1.0,) * 3)
    run(model)
    assert {rows for _, stage, rows in model.asked if stage != "sensitivity"} == {SAMPLES}
    assert {rows for _, stage, rows in model.asked if stage == "sensitivity"} == {100}


def test_no_candidate_is_measured_twice():
    model = Simulated(errors=(0.5, 0.003, 0.003, 0.3, 0.001), times=(1, 2, 1, 0.5, 2))
    run(model)
    full = [candidate for candidate, _, rows in model.asked if rows == SAMPLES]
    assert len(full) == len(set(full))


def trial(number, harm, ratio, size=10):
    return Trial(
        number=number,
        candidate=Candidate(),
        stage="",
        harm=harm,
        latency_ratio=ratio,
        size_bytes=size,
    )


def test_the_front_is_what_no_other_beats():
    trials = [trial(1, 0.0, 1.0), trial(2, 0.01, 0.5), trial(3, 0.02, 0.6), trial(4, 0.0, 1.0, 5)]
    assert front.front(trials) == (2, 4)


def test_of_equals_all_are_on_the_front():
    assert front.front([trial(1, 0.0, 1.0), trial(2, 0.0, 1.0)]) == (1, 2)


def test_an_accuracy_above_the_source_counts_as_no_harm():
    better = front.best([trial(1, -0.005, 0.8), trial(2, 0.0, 0.5)], LATENCY)
    assert better.number == 2


def test_noise_in_latency_does_not_decide():
    assert front.best([trial(1, 0.009, 0.500), trial(2, 0.001, 0.505)], LATENCY).number == 2


def test_without_any_in_reach_the_least_harmful_is_best():
    assert front.best([trial(1, 0.3, 0.1), trial(2, 0.2, 0.9)], LATENCY).number == 2
