"""Verdicts of evidence by budgets, check by check."""

from __future__ import annotations

import evidence_samples as samples
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.gate import judge, selection
from edgepack.records.evidence import Accuracy, Drop, Interval, Metric, OutputHealth, Skipped
from edgepack.records.settings import BaselineBudget, Budget, Budgets


def verdict(evidence=None, settings=None, targets=(), *, strict=False):
    given = evidence or samples.evidence()
    return judge(
        given, settings or samples.settings(), targets, samples.files(given), strict=strict
    )


def check_of(found, name, subject="int8"):
    (check,) = (c for c in found.checks if (c.subject, c.name) == (subject, name))
    return check


def of_budget(budget, **changes):
    """The one check that a budget of a variant makes, and the verdict."""
    one = samples.variant(**changes)
    found = verdict(samples.evidence(one), samples.settings(Budget(**budget)))
    (name,) = budget
    return check_of(found, name), found


@pytest.mark.parametrize(
    ("budget", "changes", "outcome"),
    [
        ({"max_accuracy_drop": 0.01}, {"accuracy": samples.accuracy(2, 2)}, "pass"),
        ({"max_accuracy_drop": 0.01}, {"accuracy": samples.accuracy(8, 0)}, "inconclusive"),
        ({"max_accuracy_drop": 0.01}, {"accuracy": samples.accuracy(10, 0)}, "inconclusive"),
        ({"max_accuracy_drop": 0.01}, {"accuracy": samples.accuracy(11, 0)}, "fail"),
        ({"max_accuracy_drop": 0.01}, {"accuracy": samples.accuracy(0, 30)}, "pass"),
        ({"min_accuracy": 0.9}, {}, "pass"),
        ({"min_accuracy": 0.94}, {}, "inconclusive"),
        ({"min_accuracy": 0.951}, {}, "fail"),
        ({"min_agreement": 0.98}, {}, "pass"),
        ({"min_agreement": 0.997}, {}, "inconclusive"),
        ({"min_agreement": 0.999}, {}, "fail"),
        ({"max_latency_ratio": 0.5}, {}, "pass"),
        ({"max_latency_ratio": 0.455}, {}, "inconclusive"),
        ({"max_latency_ratio": 0.44}, {}, "fail"),
        ({"max_latency_ratio": 0.5}, {"latency": None}, "fail"),
        ({"max_latency_ratio": 0.5}, {"latency": samples.latency(0.1)}, "fail"),
        ({"max_size_bytes": 60_000}, {}, "pass"),
        ({"max_size_bytes": 59_999}, {}, "fail"),
    ],
)
def test_budget_decides(budget, changes, outcome):
    check, found = of_budget(budget, **changes)
    assert check.outcome == outcome
    assert check.budget == next(iter(budget.values()))
    assert found.passed == (outcome != "fail")


def test_inconclusive_fails_only_when_strict():
    given = samples.evidence(samples.variant(accuracy=samples.accuracy(8, 0)))
    budget = samples.settings(Budget(max_accuracy_drop=0.01))
    assert verdict(given, budget).passed
    strict = verdict(given, budget, strict=True)
    assert (strict.passed, strict.strict) == (False, True)


def test_inconclusive_says_how_many_samples_would_decide():
    check, _ = of_budget({"max_accuracy_drop": 0.01}, accuracy=samples.accuracy(8, 0))
    assert check.samples_needed > 5000
    times = check.samples_needed // 1000 + 1
    more = samples.accuracy(8 * times, 0, right=950 * times, samples=1000 * times)
    again, _ = of_budget({"max_accuracy_drop": 0.01}, accuracy=more)
    assert again.outcome == "pass"


def test_a_value_on_the_budget_is_never_decided():
    check, _ = of_budget({"max_accuracy_drop": 0.01}, accuracy=samples.accuracy(10, 0))
    assert check.samples_needed is None
    assert "no number of samples" in check.detail


@given(st.integers(0, 60), st.integers(0, 50), st.floats(0, 0.1))
def test_outcomes_follow_value_and_interval(lost, won, budget):
    check, _ = of_budget({"max_accuracy_drop": budget}, accuracy=samples.accuracy(lost, won))
    over = check.value > budget
    straddles = check.interval.high > budget
    assert check.outcome == ("fail" if over else "inconclusive" if straddles else "pass")


def test_only_latency_depends_on_the_machine():
    budget = Budget(max_latency_ratio=1, max_size_bytes=10**6, max_accuracy_drop=0.1)
    found = verdict(settings=samples.settings(budget))
    assert [c.name for c in found.checks if c.measured_here] == ["max_latency_ratio"]


def regression(value, low, high):
    interval = Interval(low=low, high=high, method="bootstrap-percentile")
    metric = Metric(name="mae", value=2.0 + value, samples=400, higher_is_better=False)
    drop = Drop(metric="mae", value=value, interval=interval, samples=400)
    return Accuracy(samples=400, metrics=(metric,), drops=(drop,), health=samples.HEALTHY)


MAE = Metric(name="mae", value=2.0, samples=400, higher_is_better=False)
REGRESSION = samples.source(None).model_copy(
    update={"accuracy": Accuracy(samples=400, metrics=(MAE,), health=samples.HEALTHY)}
)


def test_error_metrics_scale_their_interval_to_say_what_would_decide():
    given = samples.evidence(samples.variant(accuracy=regression(0.1, -0.1, 0.3)))
    given = given.model_copy(update={"source": REGRESSION})
    check = check_of(
        verdict(given, samples.settings(Budget(max_accuracy_drop=0.2))), "max_accuracy_drop"
    )
    assert check.outcome == "inconclusive"
    assert 1600 <= check.samples_needed <= 1700  # half the width needs four times the samples


@pytest.mark.parametrize(("budget", "outcome"), [(2.2, "pass"), (2.05, "fail")])
def test_least_accuracy_of_an_error_is_the_largest_error(budget, outcome):
    given = samples.evidence(samples.variant(accuracy=regression(0.1, 0, 0.2)))
    given = given.model_copy(update={"source": REGRESSION})
    found = verdict(given, samples.settings(Budget(min_accuracy=budget)))
    assert check_of(found, "min_accuracy").outcome == outcome


def unlabelled(budget, *agreement):
    one = samples.variant(accuracy=samples.unlabelled(*agreement))
    given = samples.evidence(one, source=samples.source(None))
    return verdict(given, samples.settings(Budget(**budget)))


def test_without_labels_disagreement_bounds_the_drop():
    check = check_of(unlabelled({"max_accuracy_drop": 0.01}), "max_accuracy_drop")
    assert (check.outcome, check.value) == ("pass", 0.002)
    assert "no labels" in check.detail
    worse = samples.AGREEMENT.model_copy(update={"top1": 0.98})
    found = unlabelled({"max_accuracy_drop": 0.01}, samples.AGREEMENT, worse)
    assert check_of(found, "max_accuracy_drop").outcome == "fail"


SCORELESS = samples.AGREEMENT.model_copy(update={"top1": None})


@pytest.mark.parametrize(
    ("budget", "name", "outcome"),
    [
        ({"max_accuracy_drop": 0.01}, "max_accuracy_drop", "fail"),
        ({"max_accuracy_drop": 0.01, "min_agreement": 0.9}, "max_accuracy_drop", "inconclusive"),
        ({"max_accuracy_drop": 0.01, "min_agreement": 0.9}, "min_agreement", "pass"),
        ({"min_accuracy": 0.9}, "min_accuracy", "fail"),
        ({"min_agreement": 0.99995}, "min_agreement", "fail"),
    ],
)
def test_without_labels_and_classes_nothing_passes_unmeasured(budget, name, outcome):
    assert check_of(unlabelled(budget, SCORELESS), name).outcome == outcome


def test_the_output_that_agrees_least_decides():
    other = samples.AGREEMENT.model_copy(update={"output": "boxes", "top1": None, "cosine": 0.5})
    found = unlabelled({"min_agreement": 0.9}, samples.AGREEMENT, other)
    check = check_of(found, "min_agreement")
    assert (check.outcome, check.value) == ("fail", 0.5)
    assert "boxes" in check.detail


def test_an_output_in_doubt_is_not_hidden_by_another_that_passes():
    surely = samples.AGREEMENT.model_copy(
        update={"output": "boxes", "top1": None, "cosine": 0.9971}
    )
    found = unlabelled({"min_agreement": 0.997}, samples.AGREEMENT, surely)
    check = check_of(found, "min_agreement")
    assert (check.outcome, check.value) == ("inconclusive", 0.998)


def test_agreement_that_nothing_measured_fails():
    nothing = SCORELESS.model_copy(update={"cosine": None})
    assert check_of(unlabelled({"min_agreement": 0.1}, nothing), "min_agreement").outcome == "fail"
    same = nothing.model_copy(update={"max_abs_error": 0.0})
    assert check_of(unlabelled({"min_agreement": 0.1}, same), "min_agreement").outcome == "pass"


def test_a_metric_that_is_undefined_for_a_variant_fails():
    broken = samples.accuracy().model_copy(update={"metrics": (), "drops": ()})
    budget = Budget(max_accuracy_drop=0.5, min_accuracy=0.1)
    found = verdict(samples.evidence(samples.variant(accuracy=broken)), samples.settings(budget))
    assert check_of(found, "max_accuracy_drop").outcome == "fail"
    assert check_of(found, "min_accuracy").outcome == "fail"


SICK = (OutputHealth(output="scores", non_finite=3),)
DEAD = (OutputHealth(output="scores", constant=True),)


@pytest.mark.parametrize(("health", "name"), [(SICK, "finite_outputs"), (DEAD, "varying_outputs")])
def test_sick_outputs_fail_whatever_the_budgets_say(health, name):
    one = samples.variant(accuracy=samples.accuracy(health=health))
    check = check_of(verdict(samples.evidence(one)), name)
    assert check.outcome == "fail"
    assert "scores" in check.detail


def test_an_output_may_be_constant_where_the_source_s_is():
    both = (*samples.HEALTHY, OutputHealth(output="anchors", constant=True))
    given = samples.source()
    given = given.model_copy(
        update={"accuracy": given.accuracy.model_copy(update={"health": both})}
    )
    one = samples.variant(accuracy=samples.accuracy(health=both))
    assert verdict(samples.evidence(one, source=given)).passed


@pytest.mark.parametrize(("health", "name"), [(SICK, "finite_outputs"), (DEAD, "varying_outputs")])
def test_a_sick_source_fails(health, name):
    given = samples.source()
    sick = given.accuracy.model_copy(update={"health": health})
    found = verdict(samples.evidence(source=given.model_copy(update={"accuracy": sick})))
    assert check_of(found, name, "source").outcome == "fail"


@pytest.mark.parametrize(
    ("expected", "value", "outcome"),
    [(0.95, 0.95, "pass"), (0.95, 0.93, "pass"), (0.95, 0.929, "fail"), (0.95, 0.971, "fail")],
)
def test_source_must_be_what_training_recorded(expected, value, outcome):
    given = samples.evidence(source=samples.source(value, diagnosis="try BGR"))
    found = verdict(given, samples.settings(model={"expected_accuracy": expected}))
    check = check_of(found, "expected_accuracy", "source")
    assert (check.value, check.budget, check.outcome) == (value, expected, outcome)
    assert ("try BGR" in check.detail) == (outcome == "fail")


def test_expected_accuracy_without_labels_fails():
    one = samples.variant(accuracy=samples.unlabelled())
    given = samples.evidence(one, source=samples.source(None))
    found = verdict(given, samples.settings(model={"expected_accuracy": 0.9}))
    assert check_of(found, "expected_accuracy", "source").outcome == "fail"


@pytest.mark.parametrize(
    ("value", "count", "expected", "outcome"),
    [
        (0.95, 1000, None, "pass"),
        (0.09, 1000, None, "fail"),
        (0.11, 1000, None, "fail"),
        (0.2, 20, None, "fail"),
        (0.2, 20, 0.2, "inconclusive"),
        (0.09, 1000, 0.09, "fail"),
    ],
)
def test_source_must_be_above_chance(value, count, expected, outcome):
    given = samples.evidence(source=samples.source(value, count, diagnosis="try 0 to 255"))
    found = verdict(given, samples.settings(model={"expected_accuracy": expected}))
    check = check_of(found, "above_chance", "source")
    assert check.outcome == outcome
    assert ("try 0 to 255" in check.detail) == (outcome != "pass")


def test_a_variant_left_out_fails_with_its_reason():
    reason = Skipped(variant="dynamic", stage="invoke", reason="it crashed")
    given = samples.evidence(skipped=(reason,))
    found = verdict(given, samples.settings(None, "int8", "dynamic", "float16"))
    assert "it crashed" in check_of(found, "built", "dynamic").detail
    assert check_of(found, "built", "float16").outcome == "fail"
    assert not found.passed


def test_nothing_checked_fails():
    found = verdict(settings=samples.settings(Budget(max_accuracy_drop=None)))
    assert not found.passed
    assert check_of(found, "any_budget", "build").outcome == "fail"


def test_nothing_built_fails():
    empty = samples.evidence().model_copy(update={"variants": ()})
    found = judge(empty, samples.settings(None, "int8"), (), {}, strict=False)
    assert {c.name for c in found.checks if c.outcome == "fail"} >= {"built", "any_variant"}


@pytest.mark.parametrize(
    ("changes", "accepted", "says"),
    [
        ({}, ("int8", "float16"), ""),
        ({"precisions": ("float16", "int8")}, ("float16", "int8"), ""),
        ({"input_dtypes": ("float32",)}, ("float16",), ""),
        ({"output_dtypes": ("uint8",)}, (), "output 'scores' is int8, not uint8"),
        ({"max_size_bytes": 100_000}, ("int8",), ""),
        ({"max_size_bytes": 10}, (), "60000 bytes are more than 10"),
        ({"precisions": ("dynamic",)}, (), "precision is float16, not dynamic"),
    ],
)
def test_target_takes_what_fits_best_first(changes, accepted, says):
    given = samples.evidence(
        samples.float32(), samples.variant("float16", 120_000), samples.variant()
    )
    target = samples.target(**changes)
    found = verdict(given, samples.settings(None, "int8"), (target,))
    check = check_of(found, "accepts", "target:phone")
    (entry,) = selection((target,), given, samples.files(given), found)
    assert entry.variants == accepted
    assert {one.variant for one in entry.passed_over} == {"float32", "float16", "int8"} - {
        *accepted[:1]
    }
    assert check.outcome == ("pass" if accepted else "fail")
    assert check.value == len(accepted)
    assert says in check.detail


def against(old, budget=None):
    given = samples.evidence(baseline=(old,))
    budgets = {"baseline": budget or BaselineBudget(max_latency_ratio=1.05)}
    return verdict(given, samples.settings(budgets=budgets))


@pytest.mark.parametrize(
    ("changes", "name", "outcome"),
    [
        ({}, "max_accuracy_drop", "pass"),
        ({}, "max_latency_ratio", "pass"),
        ({}, "signature", "pass"),
        ({"drops": samples.accuracy(12, 0).drops}, "max_accuracy_drop", "fail"),
        ({"drops": ()}, "max_accuracy_drop", "fail"),
        ({"size_bytes": 54_000}, "max_size_ratio", "fail"),
        ({"size_bytes": 55_000}, "max_size_ratio", "pass"),
        ({"latency_ratio": 1.06}, "max_latency_ratio", "fail"),
        ({"latency_ratio": None}, "max_latency_ratio", "fail"),
        ({"signature_changes": ("input image is gone",)}, "signature", "fail"),
        ({"signature_changes": ("input image is gone",)}, "max_accuracy_drop", "inconclusive"),
        ({"signature_changes": ("input image is gone",)}, "max_latency_ratio", "inconclusive"),
        ({"sha256": "", "size_bytes": 0, "drops": ()}, "present", "pass"),
    ],
)
def test_last_release_is_the_measure(changes, name, outcome):
    found = against(samples.baseline(**changes))
    assert check_of(found, name, "baseline:int8").outcome == outcome
    assert found.passed == all(c.outcome != "fail" for c in found.checks)


def test_a_signature_may_change_where_that_is_allowed():
    old = samples.baseline(signature_changes=("output scores: dtype float32 became int8",))
    found = against(old, BaselineBudget(allow_signature_change=True))
    assert found.passed
    assert "became int8" in check_of(found, "signature", "baseline:int8").detail


def test_without_labels_the_last_release_leaves_doubt():
    one = samples.variant(accuracy=samples.unlabelled())
    old = samples.baseline(drops=())
    given = samples.evidence(one, source=samples.source(None), baseline=(old,))
    found = verdict(given, samples.settings())
    assert check_of(found, "max_accuracy_drop", "baseline:int8").outcome == "inconclusive"


def test_the_accuracy_budget_holds_beside_others():
    budgets = Budgets.model_validate({"all": {"max_size_bytes": 1}, "variants": {"int8": {}}})
    assert budgets.of("float32").max_accuracy_drop == 0.01
    assert budgets.of("int8").max_accuracy_drop == 0.01
