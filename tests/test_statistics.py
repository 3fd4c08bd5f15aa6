"""Calibration statistics: exact, order-independent, mergeable; ranges from them."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tflite_models import build, tensor
from worker_tasks import calibrated_ranges

from edgepack.engines import observing, ranges, statistics, tensorflow
from edgepack.engines.statistics import TensorStatistics, nothing, summarize
from edgepack.records.dataset import ArrayRef, SplitData
from edgepack.records.settings import Limits
from edgepack.records.stages import SourceModel
from edgepack.savedmodel import reader as saved_models
from edgepack.tflite.flatbuffer import root
from edgepack.tflite.graph import graphs
from edgepack.tflite.schema import IDENTIFIER
from edgepack.workers.pool import WorkerPool

HERE = Path(__file__).resolve().parent
DIGITS = HERE.parent / "calibration/digits/saved_model"
KEYWORDS = HERE.parents[1] / "shared/data/kws"

wide = st.floats(-(2.0**99), 2.0**99, width=32)
anything = st.floats(width=32)
zeros = st.sampled_from([0.0, -0.0, 2.0**-140, -(2.0**-140)])  # and what is no different from it
samples = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 6), st.integers(1, 5)), elements=anything | zeros
)


def stored(path, *arrays, name="t"):
    """Statistics of arrays that are samples in turn."""
    halves = [nothing(), nothing()]
    for place, array in enumerate(arrays):
        halves[place % 2] += summarize(np.asarray(array, np.float32))
    statistics.save([TensorStatistics(name, tuple(halves))], path)
    return str(path)


def equal(mine, theirs):
    return (
        np.array_equal(mine.counts, theirs.counts)
        and (mine.low, mine.high, mine.non_finite) == (theirs.low, theirs.high, theirs.non_finite)
        and np.array_equal(mine.channel_low, theirs.channel_low)
        and np.array_equal(mine.channel_high, theirs.channel_high)
    )


def shard(path, parts):
    """Statistics of (place, sample) pairs, each in the half that its place in the whole tells."""
    halves = [nothing(), nothing()]
    for place, values in parts:
        halves[place % 2] += summarize(values)
    statistics.save([TensorStatistics("t", tuple(halves))], path)
    return path


@given(st.lists(samples, min_size=1, max_size=6), st.randoms(), st.integers(1, 3))
def test_the_order_of_samples_and_shards_does_not_matter(tmp_path_factory, parts, random, count):
    folder = tmp_path_factory.mktemp("shards")
    placed = list(enumerate(parts))
    whole = shard(folder / "whole.npz", placed)
    random.shuffle(placed)
    shards = [shard(folder / f"{n}.npz", placed[n::count]) for n in range(count)]
    random.shuffle(shards)
    statistics.merge(shards, folder / "merged.npz")
    assert (folder / "merged.npz").read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("axes", [1, 2])
def test_the_sign_of_zero_does_not_depend_on_the_order(tmp_path, axes):
    parts = [np.full((2,) * axes, zero, np.float32) for zero in (0.0, -0.0)]
    first = shard(tmp_path / "first.npz", [(0, parts[0]), (0, parts[1])])
    second = shard(tmp_path / "second.npz", [(0, parts[1]), (0, parts[0])])
    assert first.read_bytes() == second.read_bytes()


@given(hnp.arrays(np.float32, st.tuples(st.integers(2, 8), st.integers(1, 4)), elements=wide))
def test_a_merge_is_the_whole(values):
    half = len(values) // 2
    assert equal(summarize(values[:half]) + summarize(values[half:]), summarize(values))


@given(samples)
def test_nothing_changes_nothing(values):
    assert equal(nothing() + summarize(values), summarize(values))


@given(st.lists(samples, max_size=4))
def test_what_is_saved_is_read_again_and_the_same_bytes(tmp_path_factory, parts):
    folder = tmp_path_factory.mktemp("saved")
    first = stored(folder / "a.npz", *parts)
    (found,) = statistics.load(Path(first))
    for index in (0, 1):
        again = nothing()
        for part in parts[index::2]:
            again += summarize(part)
        assert equal(found.halves[index], again)
    statistics.save([found], folder / "b.npz")
    assert (folder / "a.npz").read_bytes() == (folder / "b.npz").read_bytes()


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=3), unique=True
    )
)
def test_tensors_keep_their_names(tmp_path_factory, names):
    path = tmp_path_factory.mktemp("names") / "a.npz"
    both = (summarize(np.ones(3, np.float32)), nothing())
    statistics.save([TensorStatistics(name, both) for name in names], path)
    assert [one.name for one in statistics.load(path)] == names


def test_zero_has_a_bin_of_its_own():
    counts = summarize(np.float32([0.0, -0.0, 2.0**-140, 1.0])).counts
    assert counts[0] == 3
    assert np.count_nonzero(counts) == 2


@given(hnp.arrays(np.float32, st.integers(1, 300), elements=wide), st.floats(50.1, 99.99))
def test_a_percentile_is_that_of_the_values_within_a_bin(values, percentile):
    whole = summarize(values)
    exact = np.percentile(values, percentile, method="inverted_cdf")
    found = ranges.quantile(whole, percentile)
    assert found == pytest.approx(exact, rel=1 / 15, abs=1e-37)
    assert whole.low <= found <= whole.high


@given(st.lists(samples, min_size=1, max_size=3))
@pytest.mark.parametrize("clipping", ["min-max", "percentile", "mse"])
def test_a_range_holds_zero_and_lies_within_the_extremes(tmp_path_factory, clipping, parts):
    path = stored(tmp_path_factory.mktemp("r") / "a.npz", *parts)
    values = np.concatenate([part.ravel() for part in parts])
    finite = values[np.abs(values) <= 3e38]
    found = ranges.ranges(path, clipping)
    if not finite.size:
        assert found == {}
        return
    low, high = found["t"]
    assert min(finite.min(), 0) <= low <= 0 <= high <= max(finite.max(), 0)


@pytest.mark.parametrize("clipping", ["percentile", "mse"])
def test_values_that_are_rarely_else_than_zero_keep_a_range(tmp_path, clipping):
    values = np.zeros(100_000)
    values[:3] = 5
    low, high = ranges.ranges(stored(tmp_path / "a.npz", values), clipping)["t"]
    assert low == 0
    assert high == pytest.approx(5, rel=0.1)


def _squared_error(values, low, high):
    """As a kernel computes it: a step's multiple, and zero exact."""
    step = (high - low) / 255
    zero_point = np.round(-low / step)
    stored = np.clip(np.round(values / step) + zero_point, 0, 255)
    return np.square((stored - zero_point) * step - values).mean()


@pytest.mark.parametrize("below", [0.0, 0.5, 1.0, 1.5], ids="{:.1f}".format)
@pytest.mark.parametrize("tail", [2, 5, 100])
def test_least_squared_error_is_that_of_trying_all(tmp_path, below, tail):
    drawn = np.random.default_rng(0).standard_t(tail, 20_000) - below
    values = np.maximum(drawn, 0).astype(np.float32) if below else drawn.astype(np.float32)
    path = stored(tmp_path / "a.npz", values)
    whole = ranges.ranges(path, "min-max")["t"]
    tried = [tuple(np.multiply(whole, f)) for f in np.linspace(1 / 64, 1, 64)]
    least = min(_squared_error(values, *one) for one in tried)
    assert _squared_error(values, *ranges.ranges(path, "mse")["t"]) <= least * 1.05


def test_least_squared_error_clips_what_min_max_wastes_steps_on(tmp_path):
    values = np.concatenate([np.random.default_rng(0).normal(0, 1, 1_000_000), [12.0]])
    path = stored(tmp_path / "a.npz", values)
    chosen = ranges.ranges(path, "mse")["t"]
    whole = ranges.ranges(path, "min-max")["t"]
    assert chosen[1] < whole[1]
    shrunken = [tuple(np.multiply(whole, f)) for f in np.linspace(0.02, 1, 50)]
    least = min(_squared_error(values, *one) for one in shrunken)
    assert _squared_error(values, *chosen) <= least * 1.1


def _squared_error_on(grid, values, low, high):
    """As a symmetric kernel computes it."""
    step = 2 * max(-low, high) / grid.steps
    reach = grid.steps // 2
    return np.square(np.clip(np.round(values / step), -reach, reach) * step - values).mean()


@pytest.mark.parametrize("grid", [ranges.SYMMETRIC_INT8, ranges.INT16], ids=["int8", "int16"])
@pytest.mark.parametrize("rectified", [True, False])
def test_least_squared_error_is_that_of_the_symmetric_grid(tmp_path, grid, rectified):
    drawn = np.random.default_rng(0).standard_t(3, 20_000)
    values = (np.maximum(drawn, 0) if rectified else drawn).astype(np.float32)
    path = stored(tmp_path / "a.npz", values)
    whole = ranges.ranges(path, "min-max")["t"]
    tried = [tuple(np.multiply(whole, f)) for f in np.linspace(1 / 64, 1, 64)]
    least = min(_squared_error_on(grid, values, *one) for one in tried)
    chosen = ranges.ranges(path, "mse", grid)["t"]
    assert _squared_error_on(grid, values, *chosen) <= least * 1.05


def test_sixteen_bits_clip_less_than_eight(tmp_path):
    values = np.concatenate([np.random.default_rng(0).normal(0, 1, 1_000_000), [12.0]])
    path = stored(tmp_path / "a.npz", values)
    wide = ranges.ranges(path, "mse", ranges.INT16)["t"]
    narrow = ranges.ranges(path, "mse", ranges.SYMMETRIC_INT8)["t"]
    assert wide[1] == 12
    assert narrow[1] < 6


def test_even_values_are_not_clipped(tmp_path):
    path = stored(tmp_path / "a.npz", np.linspace(-1, 1, 10_000))
    low, high = ranges.ranges(path, "mse")["t"]
    assert (low, high) == pytest.approx((-1, 1), rel=0.05)


def test_halves_that_see_other_values_are_named(tmp_path):
    random = np.random.default_rng(0)
    parts = [random.normal(0, 1 + 2 * (n % 2), 1000) for n in range(10)]
    (found,) = ranges.halves_disagree(stored(tmp_path / "a.npz", *parts))
    assert found.name == "t"
    assert found.ratio > 0.5


def test_halves_as_wide_but_elsewhere_are_named(tmp_path):
    positive = np.random.default_rng(0).random(1000)
    (found,) = ranges.halves_disagree(stored(tmp_path / "a.npz", positive, -positive))
    assert found.ratio == pytest.approx(1)


def test_halves_of_one_kind_agree(tmp_path):
    random = np.random.default_rng(0)
    parts = [random.normal(0, 1, 1000) for _ in range(10)]
    assert ranges.halves_disagree(stored(tmp_path / "a.npz", *parts)) == ()


def test_few_values_that_set_the_range_are_outliers(tmp_path):
    values = np.concatenate([np.random.default_rng(0).normal(0, 1, 20_000), [100.0, -90.0]])
    (found,) = ranges.outliers(stored(tmp_path / "a.npz", values))
    assert found.ratio > 20
    assert 0 < found.share < 0.002


def test_what_is_rarely_else_than_zero_has_no_outliers(tmp_path):
    values = np.zeros(20_000)
    values[:5] = 1
    assert ranges.outliers(stored(tmp_path / "a.npz", values)) == ()


def test_what_is_not_finite_is_counted_and_left_out(tmp_path):
    path = stored(tmp_path / "a.npz", [1.0, np.nan], [-np.inf, 3.0], [np.inf, -2.0])
    assert statistics.load(Path(path))[0].whole.non_finite == 3
    assert ranges.ranges(path, "min-max")["t"] == (-2, 3)


def test_padding_that_stands_for_minus_infinity_sets_no_range(tmp_path):
    lowest = np.finfo(np.float32).min
    path = stored(tmp_path / "a.npz", np.array([1.0, 2.0, lowest, -np.inf]))
    assert ranges.ranges(path, "min-max") == {"t": (0.0, 2.0)}
    assert statistics.load(Path(path))[0].whole.non_finite == 2


def test_a_dead_channel_shows_as_one_value():
    values = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    values[:, 2] = 0
    whole = summarize(values)
    assert (whole.channel_low == whole.channel_high).tolist() == [False, False, True, False]


def _split(folder, name, x):
    np.save(folder / "x.npy", x)
    ref = ArrayRef(path=str(folder / "x.npy"), dtype=x.dtype.name, shape=x.shape)
    return SplitData(inputs={name: ref}, labels=None, samples=len(x), digest="")


@pytest.fixture(scope="module")
def tf_pool(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)
        with WorkerPool("TensorFlow", 1, Limits(), tmp_path_factory.mktemp("tf") / "log") as pool:
            yield pool


def _calibrated(pool, saved_model, name, x, folder):
    """A model as float32 .tflite, samples for it, and TensorFlow's own ranges."""
    source = SourceModel(path=str(saved_model), tags=("serve",), signature="serving_default")
    pool.submit(tensorflow.convert, source, folder / "float32.tflite").result()
    theirs = pool.submit(calibrated_ranges, folder / "float32.tflite", x).result()
    return folder / "float32.tflite", _split(folder, name, x), theirs


@pytest.fixture(scope="module")
def digits(tf_pool, tmp_path_factory):
    """The embedded model."""
    x = np.random.default_rng(0).random((40, 8, 8, 1), np.float32)
    return _calibrated(tf_pool, DIGITS, "image", x, tmp_path_factory.mktemp("digits"))


def _observed(digits, folder, shards):
    model, split, _ = digits
    paths = [folder / f"{start}.npz" for start, _ in shards]
    for path, (start, stop) in zip(paths, shards, strict=True):
        observing.observe(str(model), "serving_default", split, path, start, stop)
    statistics.merge(paths, folder / "all.npz")
    return folder / "all.npz"


def _assert_same_ranges(found, theirs):
    assert found.keys() <= theirs.keys()
    assert len(found) > 5
    for name in found:
        low, high = theirs[name]
        assert found[name] == pytest.approx((min(low, 0), max(high, 0)), rel=1e-4, abs=1e-6)


@pytest.mark.slow
def test_ranges_are_those_of_tensorflows_calibrator(digits, tmp_path):
    path = _observed(digits, tmp_path, [(0, 13), (13, 27), (27, 40)])
    _assert_same_ranges(ranges.ranges(str(path), "min-max"), digits[2])


@pytest.mark.slow
@pytest.mark.skipif(not KEYWORDS.exists(), reason="needs the published keyword model")
def test_ranges_of_the_keyword_model_are_those_of_tensorflows_calibrator(tf_pool, tmp_path):
    x = np.load(KEYWORDS / "features.npz")["x"][:100].astype(np.float32)
    saved_model = KEYWORDS / "saved_model"
    name = saved_models.select_signature(saved_models.read(saved_model)).inputs[0].name
    model = _calibrated(tf_pool, saved_model, name, x, tmp_path)
    path = _observed(model, tmp_path, [(50, 100), (0, 50)])
    _assert_same_ranges(ranges.ranges(str(path), "min-max"), model[2])


def _fixed_batch(folder, samples):
    """A file that takes four samples at a time, and as many samples as asked."""
    model = folder / "relu.tflite"
    content = build(
        [tensor("x", shape=(4, 3)), tensor("y", shape=(4, 3))],
        [("RELU", [0], [1])],
        [0],
        [1],
        [("serving_default", [("x", 0)], [("y", 1)])],
    )
    model.write_bytes(content)
    x = np.random.default_rng(0).normal(size=(samples, 3)).astype(np.float32)
    return model, _split(folder, "x", x), {}


@pytest.mark.parametrize("shards", [[(0, 25), (25, 50)], [(48, 50), (0, 1), (3, 48), (1, 3)]])
def test_shards_of_a_fixed_batch_make_the_same_file(tmp_path, shards):
    model = _fixed_batch(tmp_path, 50)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = _observed(model, tmp_path / "a", [(0, 50)])
    parts = _observed(model, tmp_path / "b", shards)
    assert parts.read_bytes() == whole.read_bytes()


@pytest.mark.slow
def test_shards_make_the_same_file_whatever_they_are(digits, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = _observed(digits, tmp_path / "a", [(0, 40)])
    three = _observed(digits, tmp_path / "b", [(20, 40), (0, 7), (7, 20)])
    assert one.read_bytes() == three.read_bytes()


@pytest.mark.slow
def test_constants_are_not_observed(digits, tmp_path):
    names = {one.name for one in statistics.load(_observed(digits, tmp_path, [(0, 4)]))}
    (graph, *_) = graphs(root(digits[0].read_bytes(), IDENTIFIER))
    assert names
    assert not names & {tensor.name for tensor in graph.tensors if tensor.constant}
