from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from dataset_samples import (
    RNG,
    arrays,
    class_folders,
    everything,
    noise,
    run,
    save_image,
    spec,
    tensor,
)
from hypothesis import given
from hypothesis import strategies as st

from edgepack.datasets.digest import digest
from edgepack.datasets.pool import Item, Pool
from edgepack.datasets.spec import load
from edgepack.datasets.splits import assign, shuffled
from edgepack.errors import ConfigError, DatasetError
from edgepack.records.dataset import (
    SPLITS,
    Preprocess,
    SampleSet,
    SplitSpec,
)

ROOT = Path(__file__).resolve().parents[1]
IMAGE = tensor((4, 4, 3))

names = st.lists(st.text("abcdef/.0123", min_size=1), min_size=1, max_size=60, unique=True)


def _items(found, classes=1):
    return tuple(Item(name, number % classes) for number, name in enumerate(sorted(found)))


def _splits(calibrate, tune, evaluate, pool, seed=0):
    dataset = spec(
        "image-folder",
        seed=seed,
        splits=everything(calibrate=calibrate, tune=tune, evaluate=evaluate),
    )
    return assign(dataset, {"data": Pool("data", pool, ())}).items


@given(names, st.integers(0, 9), st.randoms(use_true_random=False))
def test_the_deal_does_not_depend_on_the_order_of_listing(found, seed, random):
    items = list(_items(found, 3))
    expected = shuffled(items, seed)
    random.shuffle(items)
    assert shuffled(items, seed) == expected


@given(names, st.floats(0, 0.5), st.floats(0, 0.5), st.integers(1, 4))
def test_splits_are_disjoint_and_leave_nothing_out(found, calibrate, tune, classes):
    items = _items(found, classes)
    dealt = _splits(calibrate, tune, None, items)
    together = [item for split in SPLITS for item in dealt[split]]
    assert len(together) == len(items)
    assert set(together) == set(items)


@given(st.integers(1, 300), st.integers(1, 99))
def test_fractions_that_add_up_to_one_never_ask_for_too_much(count, percent):
    items = _items([f"{n}" for n in range(count)])
    dealt = _splits(0, percent / 100, 1 - percent / 100, items)
    assert sum(map(len, dealt.values())) <= count
    assert sum(map(len, dealt.values())) >= count - 1


@pytest.mark.parametrize(
    ("asked", "sizes"),
    [
        ((10, 0, None), (10, 0, 90)),
        ((0.29, 0.01, None), (29, 1, 70)),
        ((1, 1.0 - 0.01, 0), (1, 99, 0)),
        ((None, 20, 30), (50, 20, 30)),
        ((100, None, None), (100, 0, 0)),
        ((0.1, 0.2, 0.3), (10, 20, 30)),
    ],
)
def test_counts_fractions_and_the_rest(asked, sizes):
    dealt = _splits(*asked, _items([f"{n}" for n in range(100)]))
    assert tuple(len(dealt[split]) for split in SPLITS) == sizes


def test_a_seed_deals_otherwise():
    items = _items([f"{n}" for n in range(100)])
    first, second = (_splits(50, 0, None, items, seed)["calibrate"] for seed in (0, 1))
    assert set(first) != set(second)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(1, 40))
def test_any_first_part_holds_the_classes_evenly(counts, size):
    items = [Item(f"{c}/{n}", c) for c, count in enumerate(counts) for n in range(count)]
    part = [item.label for item in shuffled(items, 0)[:size]]
    share = max(part.count(c) for c in range(len(counts)))
    for kind, count in enumerate(counts):
        assert part.count(kind) >= min(count, share - 1)


def test_more_than_there_is_cannot_be_dealt(tmp_path):
    class_folders(tmp_path / "data", {"a": 5, "b": 4})
    dataset = spec("image-folder", splits=everything(calibrate=6, evaluate=5))
    with pytest.raises(DatasetError, match=r"data: splits\.evaluate asks for 5 samples, and 3 are"):
        run(dataset, tmp_path, IMAGE)


def test_splits_of_a_real_folder_share_no_content(tmp_path):
    class_folders(tmp_path / "data", {"a": 10, "b": 10})
    dataset = spec("image-folder", splits=everything(calibrate=6, tune=0.25))
    samples = run(dataset, tmp_path, IMAGE)
    found = {split: arrays(samples, split=split) for split in SPLITS}
    assert [len(values) for values, _ in found.values()] == [6, 5, 9]
    content = [value.tobytes() for values, _ in found.values() for value in values]
    assert len(set(content)) == 20
    assert sorted(found["calibrate"][1].tolist()) == [0, 0, 0, 1, 1, 1]


def test_samples_do_not_depend_on_shards_or_place(tmp_path):
    class_folders(tmp_path / "one/data", {"a": 7, "b": 6})
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    dataset = spec("image-folder", splits=everything(calibrate=4))
    first = run(dataset, tmp_path / "one", IMAGE, shards=1)
    second = run(dataset, tmp_path / "two", IMAGE, shards=5)
    assert first.digest == second.digest
    for split in ("calibrate", "evaluate"):
        for one, other in zip(*(arrays(s, split=split) for s in (first, second)), strict=True):
            np.testing.assert_array_equal(one, other)
    assert SampleSet.model_validate_json(first.model_dump_json()) == first


def _twins(root, copies=1):
    """Two folders; the first files of `train` are in `test` as well."""
    class_folders(root / "train", {"a": 5, "b": 5})
    class_folders(root / "test", {"a": 5, "b": 5})
    for number in range(copies):
        shutil.copy(root / f"train/a/{number:03}.png", root / f"test/b/copy{number}.png")


ACROSS = everything(calibrate=SplitSpec(path="train"), evaluate=SplitSpec(path="test"))


def test_the_same_content_in_two_paths_is_an_error(tmp_path):
    _twins(tmp_path, 2)
    with pytest.raises(DatasetError) as caught:
        run(spec("image-folder", "", splits=ACROSS), tmp_path, IMAGE)
    text = str(caught.value)
    assert "2 samples are in two splits by content" in text
    assert "calibrate a/000.png = evaluate b/copy0.png" in text
    assert 'on_overlap = "drop"' in text


def test_the_lesser_split_loses_what_two_paths_share(tmp_path):
    _twins(tmp_path)
    dataset = spec("image-folder", "", splits=ACROSS, on_overlap="drop")
    samples = run(dataset, tmp_path, IMAGE)
    assert samples.splits["calibrate"].samples == 9
    assert samples.splits["evaluate"].samples == 11
    values, labels = arrays(samples, split="calibrate")
    assert len(values) == len(labels) == 9
    assert sorted(labels.tolist()) == [0] * 4 + [1] * 5
    (lint,) = [lint for lint in samples.lints if lint.code == "overlap"]
    assert lint.level == "warning"
    assert lint.message == "one sample is in two splits by content; the lesser loses them"


def test_a_split_that_loses_all_it_asked_for_is_noted(tmp_path):
    class_folders(tmp_path / "train", {"a": 3})
    shutil.copytree(tmp_path / "train", tmp_path / "test")
    dataset = spec("image-folder", "", splits=ACROSS, on_overlap="drop")
    samples = run(dataset, tmp_path, IMAGE)
    assert samples.splits["calibrate"].samples == 0
    assert "calibrate has no sample" in {lint.message for lint in samples.lints}


def test_copies_within_one_path_stay_together(tmp_path):
    for number in range(10):
        pixels = noise()
        save_image(tmp_path / f"data/a/{number}.png", pixels)
        save_image(tmp_path / f"data/a/copy{number}.png", pixels)
    dataset = spec("image-folder", splits=everything(calibrate=4, tune=0.2))
    samples = run(dataset, tmp_path, IMAGE)
    content = {
        split: [value.tobytes() for value in arrays(samples, split=split)[0]] for split in SPLITS
    }
    assert [len(content[split]) for split in SPLITS] == [4, 2, 8]
    assert [len(set(content[split])) for split in SPLITS] == [4, 2, 4]
    assert len({one for found in content.values() for one in found}) == 10
    (lint,) = [lint for lint in samples.lints if lint.code == "overlap"]
    assert lint.message == "6 samples are left out: another split took their content"


def test_copies_count_once(tmp_path):
    pixels = [noise() for _ in range(3)]
    for number in range(12):
        save_image(tmp_path / f"data/a/{number}.png", pixels[number % 3])
    dataset = spec("image-folder", splits=everything(calibrate=2, evaluate=10))
    with pytest.raises(
        DatasetError, match=r"asks for 10 samples, and 1 are left of 3\n.*count once"
    ):
        run(dataset, tmp_path, IMAGE)


@given(
    st.lists(st.integers(0, 15), min_size=1, max_size=40),
    st.floats(0, 0.5),
    st.floats(0, 0.5),
    st.integers(0, 5),
)
def test_no_content_is_dealt_to_two_splits(content, calibrate, tune, seed):
    items = _items([f"{n}" for n in range(len(content))])
    contents = {item.name: f"content {content[int(item.name)]}" for item in items}
    parts = everything(calibrate=calibrate, tune=tune)
    dataset = spec("image-folder", seed=seed, splits=parts)
    deal = assign(dataset, {"data": Pool("data", items, ())}, {"data": contents})
    dealt = {split: {contents[i.name] for i in deal.items[split]} for split in SPLITS}
    assert sum(map(len, dealt.values())) == len(set(content))
    together = [item.name for split in SPLITS for item in deal.items[split]]
    assert sorted([*together, *deal.copies]) == sorted(contents)


def test_one_content_with_two_labels_is_noted(tmp_path):
    class_folders(tmp_path / "data", {"a": 3, "b": 3})
    shutil.copy(tmp_path / "data/a/000.png", tmp_path / "data/b/000.png")
    (lint,) = [one for one in _samples(tmp_path).lints if one.code == "conflicting-labels"]
    assert set(lint.examples) == {"a/000.png", "b/000.png"}


def test_paths_with_unlike_classes_are_refused(tmp_path):
    class_folders(tmp_path / "train", {"a": 3, "b": 3})
    class_folders(tmp_path / "test", {"b": 3, "c": 3})
    with pytest.raises(DatasetError, match=r"different classes: a, b; b, c\n.*Set classes"):
        run(spec("image-folder", "", splits=ACROSS), tmp_path, IMAGE)


def test_a_path_may_lack_the_last_classes(tmp_path):
    class_folders(tmp_path / "train", {"a": 3})
    class_folders(tmp_path / "test", {"a": 3, "b": 3})
    samples = run(spec("image-folder", "", splits=ACROSS), tmp_path, IMAGE)
    assert samples.classes == ("a", "b")


def test_no_sample_to_evaluate_is_an_error(tmp_path):
    class_folders(tmp_path / "data", {"a": 3})
    dataset = spec("image-folder", splits=everything(calibrate=None, evaluate=0))
    with pytest.raises(DatasetError, match="evaluate has no sample"):
        run(dataset, tmp_path, IMAGE)


def _folder(root):
    class_folders(root / "data", {"a": 2, "b": 2})
    return spec("image-folder")


def _list(root):
    save_image(root / "pictures/a.png", noise())
    (root / "list.csv").write_text("path,label\npictures/a.png,0\n")
    (root / "unlisted.png").touch()
    return spec("image-list", "list.csv")


def _far_list(root):
    save_image(root / "pictures/a.png", noise())
    (root / "lists").mkdir()
    (root / "lists/list.csv").write_text("path,label\n../pictures/a.png,0\n")
    return spec("image-list", "lists/list.csv")


def _npz(root):
    np.savez(root / "data.npz", x=RNG.random((3, 2)), y=np.arange(3))
    return spec("arrays", "data.npz")


def _module(root):
    (root / "samples.py").write_text("def yields():\n    return []\n")
    return spec("function", "", function="samples:yields")


def _package(root):
    (root / "samples").mkdir()
    (root / "samples/__init__.py").write_text("def yields():\n    return []\n")
    return spec("function", "", function="samples:yields")


MAKERS = (_folder, _list, _far_list, _npz, _module, _package)
UNREAD = {"unlisted.png"}


@pytest.mark.parametrize("make", MAKERS)
def test_the_digest_follows_every_file_and_not_the_place(tmp_path, make):
    (tmp_path / "one").mkdir()
    dataset = make(tmp_path / "one")
    original = digest(dataset, tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "another" / "place")
    assert digest(dataset, tmp_path / "another" / "place") == original
    files = [path for path in (tmp_path / "one").rglob("*") if path.is_file()]
    for path in files:
        content = path.read_bytes()
        path.write_bytes(content + b"\n")
        assert (digest(dataset, tmp_path / "one") == original) == (path.name in UNREAD), path
        path.write_bytes(content)
    assert digest(dataset, tmp_path / "one") == original


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"inputs": {"x": Preprocess(scale=2.0)}}, {"classes": ("b", "a")}]
)
def test_the_digest_follows_the_spec(tmp_path, change):
    dataset = _folder(tmp_path)
    other = dataset.model_copy(update=change)
    assert digest(other, tmp_path) != digest(dataset, tmp_path)


def test_the_digest_follows_names(tmp_path):
    dataset = _folder(tmp_path)
    original = digest(dataset, tmp_path)
    (tmp_path / "data/a/000.png").rename(tmp_path / "data/b/002.png")
    assert digest(dataset, tmp_path) != original


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (spec("image-folder", "gone"), r"gone: there is no such file or folder\n.*evaluate"),
        (spec("function", "", function="gone:samples"), "there is no module gone"),
    ],
)
def test_what_is_not_there_has_no_digest(tmp_path, dataset, message):
    with pytest.raises(DatasetError, match=message):
        digest(dataset, tmp_path)


def test_the_built_in_spec_loads_and_its_splits_are_disjoint():
    dataset = load(ROOT / "calibration/digits.toml")
    assert dataset.preprocess("image").color == "gray"
    assert dataset.splits.evaluate.path == "digits/test"


AUDIO = 'kind = "audio"\npath = "a"\n[inputs.x]\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('kind = "image-folder"', "needs path, or a path for each split"),
        ('kind = "function"', "kind function needs function = 'module:function'"),
        ('kind = "function"\nfunction = "module"', "kind function needs function"),
        ('kind = "arrays"\npath = "a"\nclasses = ["a", "a"]', "classes names a class twice"),
        (
            'kind = "arrays"\npath = "a"\n[inputs.x]\nstd = [1.0, 0.0]',
            r"inputs\.x\.std must not be zero",
        ),
        (
            'kind = "arrays"\npath = "a"\n[splits.tune]\nsamples = 1.5',
            r"splits\.tune\.samples is 1\.5: a fraction is 0\.0 to 1\.0, a count has no point",
        ),
        (
            'kind = "arrays"\npath = "a"\n[splits.tune]\nsamples = -1',
            r"splits\.tune\.samples is negative",
        ),
        (
            'kind = "arrays"\npath = "a"\n[inputs.x]\nscale = nan',
            r"inputs\.x\.scale is nan, not a finite",
        ),
        (
            'kind = "function"\nfunction = "a:b"\n[splits.tune]\npath = "x"',
            "kind function takes no path",
        ),
        *(
            (AUDIO + f'audio = {{ duration_ms = 100, features = "mfcc", {keys} }}', message)
            for keys, message in (
                ("sample_rate = 8000, window_ms = 200.0", "window of 200 ms is longer than"),
                ("sample_rate = 8000, stride_ms = 0.01", "stride_ms is less than one sample at"),
                ("sample_rate = 8000, window_ms = 0.01", "window_ms is less than one sample"),
                ("sample_rate = 40", r"audio\.sample_rate is too low: mel filters begin at 20"),
            )
        ),
        ('kind = "pictures"\npath = "a"', "image-folder"),
        ('kind = "arrays"\npaht = "a"', "path"),
        ('kind = "arrays"\npath =', "line 3|:3"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(tmp_path, text, message):
    path = tmp_path / "spec.toml"
    path.write_text(f'name = "samples"\n{text}\n')
    with pytest.raises(ConfigError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 2


def _samples(root):
    return run(spec("image-folder"), root, IMAGE)


def test_linked_class_folders_are_read_and_belong_to_the_digest(tmp_path):
    class_folders(tmp_path / "data", {"a": 3})
    class_folders(tmp_path / "elsewhere", {"b": 3})
    (tmp_path / "data/b").symlink_to(tmp_path / "elsewhere/b")
    original = digest(spec("image-folder"), tmp_path)
    samples = _samples(tmp_path)
    assert samples.classes == ("a", "b")
    assert samples.splits["evaluate"].samples == 6
    save_image(tmp_path / "elsewhere/b/000.png", noise())
    assert digest(spec("image-folder"), tmp_path) != original


def test_links_that_lead_in_circles_end(tmp_path):
    class_folders(tmp_path / "data", {"a": 3})
    (tmp_path / "data/a/up").symlink_to(tmp_path / "data")
    (tmp_path / "data/a/self").symlink_to(tmp_path / "data/a/self")
    digest(spec("image-folder"), tmp_path)
    assert _samples(tmp_path).splits["evaluate"].samples == 3


def test_what_tools_leave_behind_is_no_sample_and_changes_no_digest(tmp_path):
    class_folders(tmp_path / "data", {"a": 3})
    original = digest(spec("image-folder"), tmp_path)
    for name in ("data/.DS_Store", "data/a/._000.png", "data/a/Thumbs.db", "data/notes.txt"):
        (tmp_path / name).write_bytes(b"left behind")
    save_image(tmp_path / "data/.checkpoints/000.png", noise())
    assert digest(spec("image-folder"), tmp_path) == original
    assert _samples(tmp_path).classes == ("a",)


def _pipe(path):
    os.mkfifo(path)


def _device(path):
    path.symlink_to("/dev/zero")


def _nowhere(path):
    path.symlink_to("nowhere.png")


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_pipe, "it is a pipe, a socket or a device"),
        (_device, "it is a pipe, a socket or a device"),
        (_nowhere, "No such file or directory"),
    ],
)
def test_what_is_no_regular_file_is_named_and_can_be_skipped(tmp_path, make, reason, listed):
    class_folders(tmp_path / "data", {"a": 3})
    make(tmp_path / "data/a/odd.png")
    (tmp_path / "list.csv").write_text("path,label\ndata/a/odd.png,0\ndata/a/000.png,0\n")
    dataset = spec("image-list", "list.csv") if listed else spec("image-folder")
    digest(dataset, tmp_path)
    with pytest.raises(DatasetError, match=f"a/odd.png: {reason}"):
        run(dataset, tmp_path, IMAGE)
    skipping = dataset.model_copy(update={"on_unreadable": "skip"})
    samples = run(skipping, tmp_path, IMAGE)
    assert [name.endswith("a/odd.png") for name in samples.skipped] == [True]


def test_a_pipe_is_no_dataset(tmp_path):
    os.mkfifo(tmp_path / "data")
    for work in (digest, lambda dataset, root: run(dataset, root, IMAGE)):
        with pytest.raises(DatasetError, match="data: is neither a file nor a folder"):
            work(spec("image-list"), tmp_path)


def test_names_that_are_no_text_are_refused(tmp_path):
    class_folders(tmp_path / "data", {"a": 3})
    shutil.copy(tmp_path / "data/a/000.png", os.fsencode(tmp_path / "data/a") + b"/caf\xe9.png")
    for work in (digest, lambda dataset, root: run(dataset, root, IMAGE)):
        with pytest.raises(DatasetError, match=r"name a/caf\\udce9\.png is not UTF-8 text"):
            work(spec("image-folder"), tmp_path)
