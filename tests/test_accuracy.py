import numpy as np
import pytest
from sklearn import metrics as sk

from edgepack.errors import DatasetError, ModelError
from edgepack.measure import accuracy
from edgepack.measure.agreement import agreement, health
from edgepack.measure.chance import measure_chance
from edgepack.records.dataset import ArrayRef, DatasetSpec, Outputs

RNG = np.random.default_rng(1)


@pytest.fixture
def store(tmp_path):
    def save(array):
        array = np.asarray(array)
        path = tmp_path / f"{len(list(tmp_path.glob('*.npy')))}.npy"
        np.save(path, array)
        return ArrayRef(path=str(path), dtype=array.dtype.name, shape=array.shape)

    return save


@pytest.fixture
def outputs(store):
    def make(array=None, **arrays):
        named = {"y": array} if array is not None else arrays
        count = len(next(iter(named.values())))
        return Outputs(arrays={n: store(a) for n, a in named.items()}, samples=count)

    return make


@pytest.fixture
def evaluate(store, outputs, tmp_path):
    def run(candidate, labels, reference=None, **spec):
        return accuracy.evaluate(
            candidate if isinstance(candidate, Outputs) else outputs(candidate),
            outputs(reference) if reference is not None else None,
            store(labels),
            DatasetSpec(name="d", kind="arrays", **spec),
            tmp_path,
        )

    return run


def _values(found):
    return {metric.name: metric.value for metric in found.metrics}


def _near(value):
    return pytest.approx(value, rel=1e-5)


def test_top_1_and_top_5_are_scikit_learns(evaluate):
    scores, labels = RNG.random((300, 12)), RNG.integers(12, size=300)
    found = evaluate(scores, labels)
    assert _values(found) == {
        "top-1": _near(sk.top_k_accuracy_score(labels, scores, k=1, labels=range(12))),
        "top-5": _near(sk.top_k_accuracy_score(labels, scores, k=5, labels=range(12))),
    }
    assert found.samples == 300
    for metric in found.metrics:
        assert metric.interval.low < metric.value < metric.interval.high
    assert not found.drops
    assert not found.agreement


@pytest.mark.parametrize(
    ("answers", "labels", "expected"),
    [
        ([[0.5, 0.5, 0.0]] * 2, [0, 1], 0.5),
        (np.array([2, 1, 0], np.int64), [2, 1, 1], 2 / 3),
        (np.array([[2.0], [1.0], [0.0]]), [2, 1, 0], 1.0),
        ([[0.9], [0.2], [0.6], [0.4]], [1, 0, 1, 1], 0.75),
        (np.array([0, 1, 1], np.uint8), [0, 1, 0], 2 / 3),
        ([[[[1.0, 2.0]]], [[[2.0, 1.0]]]], [1, 0], 1.0),
    ],
    ids=["first of equals", "class ids", "ids as floats", "sigmoid", "0 and 1", "1 x 1 maps"],
)
def test_classifiers_answer_in_many_shapes(evaluate, answers, labels, expected):
    assert _values(evaluate(answers, labels))["top-1"] == _near(expected)


def test_chunks_of_a_large_output_are_joined(evaluate):
    labels = RNG.integers(1000, size=5000)
    scores = np.zeros((5000, 1000), np.float32)
    scores[np.arange(5000), labels] = 1
    scores[:500] = 0
    scores[:500, 0] = 1
    assert _values(evaluate(scores, labels))["top-1"] == _near(
        0.9 + np.mean(labels[:500] == 0) / 10
    )


def test_answers_that_are_not_finite_are_wrong_and_counted(evaluate):
    scores = np.eye(4)
    scores[1] = np.nan
    scores[2, 0] = np.inf
    found = evaluate(scores, range(4), reference=np.eye(4))
    assert _values(found)["top-1"] == 0.5
    assert found.drops[0].lost == 2
    assert found.health[0].non_finite == 5
    assert found.agreement[0].top1 == 0.5
    assert found.agreement[0].max_abs_error == 0
    assert "NaN" not in found.model_dump_json()
    assert "Infinity" not in found.model_dump_json()


def test_outputs_without_one_finite_value_leave_figures_out(evaluate):
    nothing = np.full((5, 1), np.nan)
    found = evaluate(nothing, np.arange(5.0), reference=np.ones((5, 1)), task="regression")
    assert not found.metrics
    assert not found.drops
    assert found.agreement[0].max_abs_error is None
    assert found.agreement[0].cosine == 0
    assert found.health[0].constant


@pytest.mark.parametrize("shape", [(200,), (200, 1), (200, 3)])
def test_regression_is_scikit_learns(evaluate, shape):
    labels = RNG.normal(size=shape)
    predicted = labels + RNG.normal(scale=0.2, size=shape)
    found = evaluate(predicted, labels, task="regression")
    assert _values(found) == {
        "mae": _near(sk.mean_absolute_error(labels, predicted)),
        "rmse": _near(sk.root_mean_squared_error(labels, predicted)),
        "r2": _near(sk.r2_score(labels, predicted)),
    }
    assert [m.higher_is_better for m in found.metrics] == [False, False, True]


@pytest.mark.parametrize("form", ["sigmoid", "logit", "softmax"])
def test_binary_scores_are_cut_where_they_mean_even_odds(evaluate, form):
    labels = RNG.integers(2, size=400)
    logits = 2 * labels - 1 + RNG.normal(size=400)
    odds = 1 / (1 + np.exp(-logits))
    forms = {"sigmoid": odds[:, None], "logit": logits, "softmax": np.stack([1 - odds, odds], 1)}
    assert _values(evaluate(forms[form], labels, task="binary")) == {
        "auc": _near(sk.roc_auc_score(labels, logits)),
        "accuracy": _near(sk.accuracy_score(labels, logits > 0)),
    }


def test_mean_iou_is_scikit_learns_without_void_pixels(evaluate):
    scores, labels = RNG.random((6, 9, 9, 4)), RNG.integers(4, size=(6, 9, 9))
    labels[:, 0] = 255
    kept = labels != 255
    expected = sk.jaccard_score(labels[kept], scores.argmax(3)[kept], average="macro")
    assert _values(evaluate(scores, labels, task="segmentation")) == {"mean-iou": _near(expected)}
    ids = scores.argmax(3)[..., None].astype(np.float32)
    assert _values(evaluate(ids, labels, task="segmentation")) == {"mean-iou": _near(expected)}


def test_answers_beyond_the_classes_are_misses(evaluate):
    maps, labels = np.array([[[0, 7, -1, 1]]], np.int64), np.array([[[0, 0, 1, 1]]])
    assert _values(evaluate(maps, labels, task="segmentation")) == {"mean-iou": _near(1 / 3)}


def test_a_drop_of_proportions_counts_both_directions(evaluate):
    labels = np.arange(400) % 4
    source, candidate = np.eye(4)[labels], np.eye(4)[labels]
    candidate[:6] = np.roll(candidate[:6], 1, axis=1)
    source[6:8] = np.roll(source[6:8], 1, axis=1)
    (drop,) = evaluate(candidate, labels, reference=source).drops
    assert (drop.lost, drop.won, drop.value) == (6, 2, 0.01)
    assert drop.interval.low < 0.01 < drop.interval.high


@pytest.mark.parametrize("metric", ["mae", "rmse", "r2"])
def test_a_positive_drop_is_worse_whatever_the_direction(evaluate, metric):
    labels = RNG.normal(size=100)
    noise = RNG.normal(size=100)
    found = [
        evaluate(
            labels + 0.3 * noise,
            labels,
            reference=labels + 0.1 * noise,
            task="regression",
            metrics=(metric,),
        )
        for _ in range(2)
    ]
    (drop,) = found[0].drops
    assert 0 < drop.interval.low < drop.value < drop.interval.high
    assert drop.interval.method == "bootstrap-percentile"
    assert drop.lost is None
    assert found[0] == found[1]


def test_a_users_function_gets_labels_and_outputs_by_name(evaluate, outputs, tmp_path):
    (tmp_path / "own_metric.py").write_text(
        "def within(labels, outputs):\n    return (abs(outputs['b'][:, 0] - labels) < 1).mean()\n"
    )
    both = outputs(a=np.zeros((4, 2)), b=np.array([[0.0], [1.0], [9.0], [3.0]]))
    found = evaluate(both, np.arange(4.0), task="none", metrics=("own_metric:within",))
    assert _values(found) == {"own_metric:within": 0.75}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise KeyError('z')", "'own_{}:f' failed: KeyError: 'z'"),
        ("return 'good'", "'own_{}:f' returned str, not a number"),
        ("return None", "'own_{}:f' returned NoneType, not a number"),
    ],
)
def test_a_users_function_that_fails_is_named(evaluate, tmp_path, body, message):
    number = len(body)
    (tmp_path / f"own_{number}.py").write_text(f"def f(labels, outputs):\n    {body}\n")
    with pytest.raises(DatasetError) as caught:
        evaluate(np.eye(3), range(3), metrics=(f"own_{number}:f",))
    assert message.format(number) in str(caught.value)


@pytest.mark.parametrize(
    ("answers", "labels", "spec", "message"),
    [
        (np.eye(3), range(3), {"metrics": ("top1",)}, "no metric 'top1'\n  Known metrics: top-1"),
        (np.eye(3), range(3), {"metrics": ("top-5",)}, "top-5 needs more than five columns"),
        (np.eye(3), range(3), {"metrics": ("nowhere_at_all:f",)}, "cannot be imported"),
        (np.eye(3), range(3), {"output": "z"}, "Set output to one of: y"),
        (np.eye(3), range(1, 4), {}, "label 3 has no column in an output of 3"),
        (np.eye(3), [0.5, 1, 2], {}, "labels must be class indices"),
        (np.eye(3), ["a", "b", "c"], {}, "labels must be class indices"),
        (np.eye(3), range(4), {}, "4 labels for 3 samples"),
        (np.eye(3), range(3), {"task": "binary"}, "binary task needs one or two columns"),
        (np.ones((3, 1)), range(3), {"task": "binary"}, "label 2 in a binary task"),
        (np.eye(3), range(3), {"task": "regression"}, "do not fit an output of shape (3, 3)"),
        (np.ones((2, 4, 4, 3)), np.ones((2, 8, 8), int), {"task": "segmentation"}, "label maps"),
    ],
)
def test_what_does_not_fit_is_said(evaluate, answers, labels, spec, message):
    with pytest.raises(DatasetError) as caught:
        evaluate(answers, labels, **spec)
    assert message in str(caught.value)


def test_one_sample_is_too_few_for_a_drop(evaluate):
    found = evaluate([[1.0]], [1.0], reference=[[1.0]], task="regression", metrics=("mae",))
    assert _values(found) == {"mae": 0}
    assert not found.drops


def test_resamples_that_a_users_function_refuses_are_left_out(evaluate, tmp_path):
    body = "    assert labels.any(), 'no positives'\n    return outputs['y'][labels > 0].mean()\n"
    (tmp_path / "own_positives.py").write_text(f"def f(labels, outputs):\n{body}")
    labels = np.arange(20) == 7  # a third of all resamples miss it
    answers = RNG.random((20, 1))
    spec = {"task": "binary", "metrics": ("own_positives:f",)}
    (drop,) = evaluate(answers, labels.astype(int), reference=answers + 0.25, **spec).drops
    assert (drop.value, drop.interval.low, drop.interval.high) == _near((0.25, 0.25, 0.25))


def test_without_labels_there_is_agreement_and_health_alone(outputs, tmp_path):
    mine, theirs = outputs(np.eye(3)), outputs(np.eye(3))
    spec = DatasetSpec(name="d", kind="arrays")
    found = accuracy.evaluate(mine, theirs, None, spec, tmp_path)
    assert not found.metrics
    assert not found.drops
    assert found.agreement[0].top1 == 1
    assert found.agreement[0].snr_db is None
    assert accuracy.compare(mine, theirs, None, spec, tmp_path) == ()


def test_compare_gives_the_drops_of_evaluate(evaluate, store, outputs, tmp_path):
    labels = RNG.integers(3, size=50)
    mine, theirs = RNG.random((50, 3)), RNG.random((50, 3))
    drops = accuracy.compare(
        outputs(mine),
        outputs(theirs),
        store(labels),
        DatasetSpec(name="d", kind="arrays"),
        tmp_path,
    )
    assert drops == evaluate(mine, labels, reference=theirs).drops


def test_agreement_figures_follow_their_definitions(outputs):
    theirs = RNG.normal(size=(50, 6))
    mine = theirs + RNG.normal(scale=0.1, size=theirs.shape)
    (found,) = agreement(outputs(mine), outputs(theirs))
    error = mine - theirs
    assert found.top1 == _near((mine.argmax(1) == theirs.argmax(1)).mean())
    assert found.cosine == _near(np.diag(sk.pairwise.cosine_similarity(mine, theirs)).mean())
    assert found.snr_db == _near(10 * np.log10((theirs**2).sum() / (error**2).sum()))
    assert found.max_abs_error == _near(abs(error).max())
    assert found.mean_abs_error == _near(abs(error).mean())
    assert found.relative_error == _near(np.linalg.norm(error) / np.linalg.norm(theirs))


def test_maps_agree_pixel_by_pixel(outputs):
    theirs = np.zeros((2, 2, 2, 3))
    theirs[..., 0] = 1
    mine = theirs.copy()
    mine[0, 0, 0] = [0, 1, 0]
    (found,) = agreement(outputs(mine), outputs(theirs))
    assert found.top1 == 7 / 8


@pytest.mark.parametrize("broken", [0, np.nan, np.inf, -np.inf])
def test_a_sample_without_a_direction_points_nowhere(outputs, broken):
    mine = np.array([[1.0, 2.0], [broken, broken], [1e300, 0.0], [0.0, 0.0]])
    theirs = np.array([[2.0, 4.0], [1.0, 1.0], [1e300, 0.0], [0.0, 0.0]])
    (found,) = agreement(outputs(mine), outputs(theirs))
    assert found.cosine == _near(2 / 3)
    assert "Infinity" not in found.model_dump_json()


def test_zero_outputs_have_no_cosine(outputs):
    (found,) = agreement(outputs(np.zeros((3, 2))), outputs(np.zeros((3, 2))))
    assert found.cosine is None
    assert found.relative_error is None
    assert found.max_abs_error == 0


@pytest.mark.parametrize(
    ("mine", "theirs", "message"),
    [
        ({"a": np.eye(2)}, {"a": np.eye(2), "b": np.eye(2)}, "the model has no output 'b'"),
        ({"a": np.eye(2), "b": np.eye(2)}, {"a": np.eye(2)}, "the reference has no output 'b'"),
        ({"a": np.ones((2, 3))}, {"a": np.ones((2, 4))}, r"shape \(3,\), the reference's \(4,\)"),
        ({"a": np.ones((2, 3))}, {"a": np.ones((5, 3))}, "2 samples, the reference's 5"),
    ],
)
def test_outputs_that_cannot_be_compared_are_named(outputs, mine, theirs, message):
    with pytest.raises(ModelError, match=message):
        agreement(outputs(**mine), outputs(**theirs))


@pytest.mark.parametrize(
    ("array", "constant"),
    [
        (np.ones((3, 2)), True),
        (np.full((3, 2), np.nan), True),
        ([[1.0, 2.0], [1.0, 3.0]], False),
        (np.ones((1, 2)), False),
    ],
)
def test_outputs_that_never_change_are_found(outputs, array, constant):
    (found,) = health(outputs(np.asarray(array)))
    assert found.constant is constant


@pytest.mark.parametrize(
    ("spec", "labels", "expected"),
    [
        ({}, [2, 0, 2, 1], 0.5),
        ({"metrics": ("top-5",)}, [0, 1, 2, 3, 4, 5, 5, 5], 0.875),
        ({"task": "binary", "metrics": ("accuracy",)}, [0, 1, 1, 1], 0.75),
        ({"task": "binary"}, [0, 1, 1, 1], 0.5),
        ({"task": "regression"}, [0.5, 1.0], None),
        ({"metrics": ("own:metric",)}, [0, 1], None),
    ],
)
def test_chance_is_the_first_metric_of_knowing_nothing(store, spec, labels, expected):
    spec = DatasetSpec(name="d", kind="arrays", **spec)
    assert measure_chance(store(labels), spec).value == expected
    assert measure_chance(None, spec).value is None


def test_sigmoids_agree_where_they_decide_alike(outputs):
    theirs = np.array([[0.1], [0.4], [0.6], [0.9]])
    mine = np.array([[0.2], [0.55], [0.7], [np.nan]])
    (found,) = agreement(outputs(mine), outputs(theirs), "binary")
    assert found.top1 == 0.5


def test_class_indices_agree_where_they_are_equal(outputs):
    (found,) = agreement(outputs([3, 1, 2]), outputs([3, 1, 0]), "classification")
    assert found.top1 == _near(2 / 3)


def test_single_values_are_compared_over_all_samples(outputs):
    theirs, mine = RNG.random((50, 1)), RNG.random((50, 1))
    (found,) = agreement(outputs(mine), outputs(theirs), "regression")
    assert found.cosine == _near(sk.pairwise.cosine_similarity(mine.T, theirs.T)[0, 0])
    assert found.top1 is None


@pytest.mark.parametrize(
    ("task", "shape", "scored"),
    [
        ("regression", (4, 3), False),
        ("none", (4, 3), True),
        ("classification", (4, 3), True),
        ("classification", (4, 2, 2, 3), False),
        ("segmentation", (4, 2, 2, 3), True),
        ("segmentation", (4, 3), False),
    ],
)
def test_the_task_says_what_scores_of_classes_are(outputs, task, shape, scored):
    answers = RNG.random(shape)
    (found,) = agreement(outputs(answers), outputs(answers), task)
    assert (found.top1 is not None) == scored
    assert found.cosine == 1
