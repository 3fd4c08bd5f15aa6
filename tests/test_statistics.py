"""Calibration statistics: exact, order-independent, mergeable; ranges from them."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from worker_tasks import calibrated_ranges

from edgepack.engines import observing, ranges, statistics, tensorflow
from edgepack.engines.statistics import TensorStatistics, nothing, summarize
from edgepack.records.dataset import ArrayRef, SplitData
from edgepack.records.settings import Limits
from edgepack.records.stages import SourceModel
from edgepack.tflite.flatbuffer import root
from edgepack.tflite.graph import graphs
from edgepack.tflite.schema import IDENTIFIER
from edgepack.workers.pool import WorkerPool

HERE = Path(__file__).resolve().parent
DIGITS = HERE.parent / "calibration/digits/saved_model"

wide = st.floats(-(2.0**99), 2.0**99, width=32)
anything = st.floats(width=32)
samples = hnp.arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 5)), elements=anything)


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


@given(st.lists(samples, min_size=1, max_size=5), st.randoms())
def test_the_order_of_samples_and_shards_does_not_matter(parts, random):
    shuffled = list(parts)
    random.shuffle(shuffled)
    mine, theirs = nothing(), nothing()
    for part in parts:
        mine += summarize(part)
    for part in shuffled:
        theirs = summarize(part) + theirs
    assert equal(mine, theirs)


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
    finite = values[np.isfinite(values)]
    found = ranges.ranges(path, clipping)
    if not finite.size:
        assert found == {}
        return
    low, high = found["t"]
    assert min(finite.min(), 0) <= low <= 0 <= high <= max(finite.max(), 0)


def _squared_error(values, low, high):
    step = (high - low) / 255
    rounded = np.clip(np.round((values - low) / step), 0, 255) * step + low
    return np.square(rounded - values).mean()


def test_least_squared_error_clips_what_min_max_wastes_steps_on(tmp_path):
    values = np.concatenate([np.random.default_rng(0).normal(0, 1, 1_000_000), [12.0]])
    path = stored(tmp_path / "a.npz", values)
    chosen = ranges.ranges(path, "mse")["t"]
    whole = ranges.ranges(path, "min-max")["t"]
    assert chosen[1] < whole[1]
    shrunken = [tuple(np.multiply(whole, f)) for f in np.linspace(0.02, 1, 50)]
    least = min(_squared_error(values, *one) for one in shrunken)
    assert _squared_error(values, *chosen) <= least * 1.1


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


def test_halves_of_one_kind_agree(tmp_path):
    random = np.random.default_rng(0)
    parts = [random.normal(0, 1, 1000) for _ in range(10)]
    assert ranges.halves_disagree(stored(tmp_path / "a.npz", *parts)) == ()


def test_few_values_that_set_the_range_are_outliers(tmp_path):
    values = np.concatenate([np.random.default_rng(0).normal(0, 1, 20_000), [100.0, -90.0]])
    (found,) = ranges.outliers(stored(tmp_path / "a.npz", values))
    assert found.ratio > 20
    assert 0 < found.share < 0.002


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
def digits(tmp_path_factory):
    """The embedded model as float32 .tflite, samples for it, and TensorFlow's own ranges."""
    folder = tmp_path_factory.mktemp("digits")
    x = np.random.default_rng(0).random((40, 8, 8, 1), np.float32)
    source = SourceModel(path=str(DIGITS), tags=("serve",), signature="serving_default")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)
        with WorkerPool("TensorFlow", 1, Limits(), folder / "log") as pool:
            pool.submit(tensorflow.convert, source, folder / "float32.tflite").result()
            theirs = pool.submit(calibrated_ranges, folder / "float32.tflite", x).result()
    return folder / "float32.tflite", _split(folder, "image", x), theirs


def _split(folder, name, x):
    np.save(folder / "x.npy", x)
    ref = ArrayRef(path=str(folder / "x.npy"), dtype=x.dtype.name, shape=x.shape)
    return SplitData(inputs={name: ref}, labels=None, samples=len(x), digest="")


def _observed(digits, folder, shards):
    model, split, _ = digits
    paths = [folder / f"{start}.npz" for start, _ in shards]
    for path, (start, stop) in zip(paths, shards, strict=True):
        observing.observe(str(model), "serving_default", split, path, start, stop)
    statistics.merge(paths, folder / "all.npz")
    return folder / "all.npz"


@pytest.mark.slow
def test_ranges_are_those_of_tensorflows_calibrator(digits, tmp_path):
    path = _observed(digits, tmp_path, [(0, 13), (13, 27), (27, 40)])
    found = ranges.ranges(str(path), "min-max")
    theirs = {name: limits for name, limits in digits[2].items() if name in found}
    assert len(theirs) > 5
    for name, limits in theirs.items():
        both = (min(limits[0], 0), max(limits[1], 0))
        assert found[name] == pytest.approx(both, rel=1e-4, abs=1e-6)


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
