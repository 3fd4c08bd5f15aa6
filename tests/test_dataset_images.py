from __future__ import annotations

import numpy as np
import pytest
from dataset_samples import arrays, class_folders, codes, jpeg, noise, run, save_image, spec, tensor
from PIL import Image

from edgepack.errors import DatasetError

PIXELS = np.array(
    [[[10, 20, 30], [40, 50, 60]], [[70, 80, 90], [250, 0, 5]], [[1, 2, 3], [4, 5, 6]]], np.uint8
)  # 3 high, 2 wide


def _one(root, shape, dtype="float32", pixels=PIXELS, **preprocess):
    """What one PNG becomes."""
    if pixels is not None:
        save_image(root / "data/a.png", pixels)
    dataset = spec("image-folder", task="none", x={"dtype": dtype, **preprocess})
    (found,), labels = arrays(run(dataset, root, tensor(shape, dtype)))
    assert labels is None
    assert found.dtype == dtype
    return found


def test_pixels_are_red_green_blue_by_default(tmp_path):
    np.testing.assert_array_equal(_one(tmp_path, (3, 2, 3)), PIXELS)


def test_bgr_turns_the_channels(tmp_path):
    found = _one(tmp_path, (3, 2, 3), color="bgr")
    np.testing.assert_array_equal(found[0, 0], [30, 20, 10])


def test_gray_weighs_the_channels(tmp_path):
    found = _one(tmp_path, (3, 2, 1), color="gray")
    # 0.299 * 250 + 0.114 * 5 and 0.299 * 10 + 0.587 * 20 + 0.114 * 30
    assert found[1, 1, 0] == pytest.approx(75.32, abs=0.6)
    assert found[0, 0, 0] == pytest.approx(18.15, abs=0.6)


def test_gray_fits_an_input_without_a_channel(tmp_path):
    assert _one(tmp_path, (3, 2), color="gray").shape == (3, 2)


def test_rgba_is_opaque_where_the_file_has_no_alpha(tmp_path):
    np.testing.assert_array_equal(_one(tmp_path, (3, 2, 4), color="rgba")[..., 3], 255)


def test_alpha_is_dropped_for_rgb(tmp_path):
    alpha = np.dstack([PIXELS, np.full((3, 2), 128, np.uint8)])
    np.testing.assert_array_equal(_one(tmp_path, (3, 2, 3), pixels=alpha), PIXELS)


def test_scale_and_offset_come_before_mean_and_std(tmp_path):
    fields = {"scale": 2.0, "offset": 1.0, "mean": (1.0, 2.0, 3.0), "std": (10.0, 20.0, 40.0)}
    found = _one(tmp_path, (3, 2, 3), **fields)
    np.testing.assert_allclose(found[0, 0], [2.0, 1.95, 1.45], rtol=1e-6)


def test_mean_and_std_may_be_one_value(tmp_path):
    found = _one(tmp_path, (3, 2, 3), mean=(127.5,), std=(127.5,))
    np.testing.assert_allclose(found[1, 1], [0.9607843, -1.0, -0.9607843], rtol=1e-6)


def test_mean_speaks_of_the_turned_channels(tmp_path):
    found = _one(tmp_path, (3, 2, 3), color="bgr", mean=(30.0, 20.0, 10.0))
    np.testing.assert_array_equal(found[0, 0], [0, 0, 0])


def test_nchw_puts_channels_first_after_the_mean(tmp_path):
    found = _one(tmp_path, (3, 3, 2), layout="nchw", mean=(10.0, 20.0, 30.0))
    np.testing.assert_array_equal(found[:, 0, 0], [0, 0, 0])
    np.testing.assert_array_equal(found[0], PIXELS[..., 0] - 10.0)


def test_a_byte_input_gets_bytes(tmp_path):
    np.testing.assert_array_equal(_one(tmp_path, (3, 2, 3), "uint8"), PIXELS)


def test_integers_are_rounded(tmp_path):
    found = _one(tmp_path, (3, 2, 3), "int8", scale=0.25)
    np.testing.assert_array_equal(found[0, 1], [10, 12, 15])  # 12.5 to even
    assert found[1, 1].tolist() == [62, 0, 1]


STRIPES = np.repeat(np.array([[0, 100, 200, 250]], np.uint8), 2, axis=0)  # 2 high, 4 wide


@pytest.mark.parametrize(
    ("fit", "expected"),
    [
        ("stretch", [[50, 225], [50, 225]]),
        ("crop", [[100, 200], [100, 200]]),
        ("pad", [[50, 225], [0, 0]]),
    ],
)
def test_images_are_fitted(tmp_path, fit, expected):
    resize = {"height": 2, "width": 2, "method": "area", "fit": fit}
    found = _one(tmp_path, (2, 2, 1), pixels=STRIPES, color="gray", resize=resize)
    np.testing.assert_array_equal(found[..., 0], expected)


@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic", "area", "lanczos"])
def test_every_method_resizes(tmp_path, method):
    resize = {"height": 6, "width": 8, "method": method}
    even = np.full((2, 2), 77, np.uint8)
    found = _one(tmp_path, (6, 8, 1), pixels=even, color="gray", resize=resize)
    np.testing.assert_array_equal(found, 77)


def test_nearest_repeats_pixels(tmp_path):
    resize = {"height": 4, "width": 8, "method": "nearest"}
    found = _one(tmp_path, (4, 8, 1), pixels=STRIPES, color="gray", resize=resize)
    np.testing.assert_array_equal(found[0, :, 0], [0, 0, 100, 100, 200, 200, 250, 250])


def test_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right by 90 degrees to see it upright
    save_image(tmp_path / "data/a.jpg", np.repeat(STRIPES, 8, 0).repeat(8, 1), exif=exif)
    found = _one(tmp_path, (32, 16, 1), pixels=None, color="gray")
    assert found[2].mean() < 20
    assert found[-2].mean() > 230


def test_sixteen_bit_gray_is_brought_to_bytes(tmp_path):
    wide = np.array([[0, 257 * 7], [257 * 100, 65535]], np.uint16)
    found = _one(tmp_path, (2, 2, 1), pixels=wide, color="gray")
    assert found.ravel().tolist() == [0, 7, 100, 255]


@pytest.mark.parametrize("pixels", [np.full((4, 4), 0.5, "f4"), np.full((4, 4), 70_000, "i4")])
def test_pixels_of_no_known_range_are_refused(tmp_path, pixels):
    save_image(tmp_path / "data/a/0.tiff", pixels)
    with pytest.raises(DatasetError, match="floats or 32-bit integers, of no known range"):
        run(spec("image-folder"), tmp_path, tensor((4, 4, 3)))


def test_palettes_are_looked_up(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([9, 8, 7, 200, 100, 50])
    image.putdata([1, 0])
    (tmp_path / "data").mkdir()
    image.save(tmp_path / "data/a.png", transparency=b"\x80\xff")
    found = _one(tmp_path, (1, 2, 3), pixels=None)
    assert found.ravel().tolist() == [200, 100, 50, 9, 8, 7]


def test_a_black_and_white_image_is_read(tmp_path):
    (tmp_path / "data").mkdir()
    Image.new("1", (2, 2), 1).save(tmp_path / "data/a.png")
    np.testing.assert_array_equal(_one(tmp_path, (2, 2, 3), pixels=None), 255)


def test_folders_are_classes_in_their_order(tmp_path):
    class_folders(tmp_path / "data", {"cat": 3, "ant": 2})
    samples = run(spec("image-folder"), tmp_path, tensor((4, 4, 3)))
    assert samples.classes == ("ant", "cat")
    _, labels = arrays(samples)
    assert sorted(labels.tolist()) == [0, 0, 1, 1, 1]
    assert labels.dtype == np.int64


def test_classes_give_the_order_of_the_outputs(tmp_path):
    class_folders(tmp_path / "data", {"cat": 3, "ant": 2})
    dataset = spec("image-folder", classes=("cat", "bee", "ant"))
    samples = run(dataset, tmp_path, tensor((4, 4, 3)))
    assert sorted(arrays(samples)[1].tolist()) == [0, 0, 0, 2, 2]
    (absent,) = [lint for lint in samples.lints if lint.code == "absent-class"]
    assert absent.examples == ("bee",)


def test_a_list_names_files_and_labels(tmp_path):
    pixels = [noise() for _ in range(3)]
    for number, one in enumerate(pixels):
        save_image(tmp_path / f"lists/pictures/{number}.png", one)
    rows = "".join(f"pictures/{n}.png,{label}\n" for n, label in enumerate((2, 1, 2)))
    (tmp_path / "lists/all.csv").write_text("file,kind\n" + rows)
    dataset = spec("image-list", "lists/all.csv", labels="kind", image_column="file")
    images, labels = arrays(run(dataset, tmp_path, tensor((4, 4, 3))))
    found = dict(zip((i.astype(np.uint8).tobytes() for i in images), labels, strict=True))
    assert found == dict(zip((one.tobytes() for one in pixels), (2, 1, 2), strict=True))


def _write(name, content):
    def change(root):
        path = root / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    return change


JPEG = jpeg(np.kron(noise(8, 8), np.ones((8, 8, 1), np.uint8)))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("cut.jpg", JPEG[: len(JPEG) * 9 // 10], "truncated"),
        ("empty.png", b"", "it is no image that Pillow knows"),
        ("text.png", b"<html>not found</html>", "it is no image that Pillow knows"),
        ("head.png", b"\x89PNG\r\n\x1a\n" + bytes(40), "it is no image that Pillow knows"),
    ],
)
def test_files_that_cannot_be_read_are_named(tmp_path, name, content, reason):
    class_folders(tmp_path / "data", {"a": 2, "b": 2})
    _write(f"a/{name}", content)(tmp_path)
    with pytest.raises(DatasetError) as caught:
        run(spec("image-folder"), tmp_path, tensor((4, 4, 3)))
    text = str(caught.value)
    assert "one file of evaluate cannot be read" in text
    assert f"a/{name}: " in text
    assert reason in text
    assert 'on_unreadable = "skip"' in text
    assert caught.value.exit_code == 2


def test_unreadable_files_can_be_skipped_and_are_listed(tmp_path):
    class_folders(tmp_path / "data", {"a": 2, "b": 2})
    _write("a/empty.png", b"")(tmp_path)
    dataset = spec("image-folder", on_unreadable="skip")
    samples = run(dataset, tmp_path, tensor((4, 4, 3)))
    assert samples.skipped == ("a/empty.png",)
    assert samples.splits["evaluate"].samples == 4
    images, labels = arrays(samples)
    assert len(images) == len(labels) == 4
    assert "unreadable" in codes(samples)


def test_nothing_readable_is_an_error_even_where_files_may_be_skipped(tmp_path):
    _write("a/empty.png", b"")(tmp_path)
    dataset = spec("image-folder", on_unreadable="skip")
    with pytest.raises(
        DatasetError, match=r"no sample of evaluate can be read; the first: a/empty"
    ):
        run(dataset, tmp_path, tensor((4, 4, 3)))


def test_an_image_that_would_decode_to_too_much_is_not_decoded(tmp_path, monkeypatch):
    class_folders(tmp_path / "data", {"a": 1})
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4)
    with pytest.raises(DatasetError, match="it would decode to too many pixels"):
        run(spec("image-folder"), tmp_path, tensor((4, 4, 3)))


def _list(text):
    return lambda root: (root / "list.csv").write_text(text)


@pytest.mark.parametrize(
    ("kind", "path", "change", "fields", "message"),
    [
        ("image-folder", "nowhere", None, {}, "nowhere: cannot be read: No such file"),
        (
            "image-folder",
            "data",
            lambda root: (root / "data").mkdir(),
            {},
            "data: holds no sample of kind image-folder",
        ),
        (
            "image-folder",
            "data",
            lambda root: save_image(root / "data/a.png", noise()),
            {},
            r'no sample.*\n.*folder of its own.*task = "none"',
        ),
        (
            "image-folder",
            "data",
            lambda root: class_folders(root / "data", {"cta": 1}),
            {"classes": ("cat", "dog")},
            r"data/cta: 'cta' is not among .*\n.*Did you mean cat\? classes = \[cat, dog\]",
        ),
        (
            "image-list",
            "list.csv",
            _list("path,label\n"),
            {},
            "list.csv: holds no sample of kind image-list",
        ),
        (
            "image-list",
            "list.csv",
            _list("file,label\na.png,1\n"),
            {},
            r"list.csv:2: has no column 'path'\n.*Its columns: file, label",
        ),
        (
            "image-list",
            "list.csv",
            _list("path\na.png\n"),
            {},
            r"list.csv:2: has no column 'label'",
        ),
        (
            "image-list",
            "list.csv",
            _list("path,label\na.png,1,2\n"),
            {},
            "list.csv:2: has another number of cells than the header",
        ),
        (
            "image-list",
            "list.csv",
            _list("path,label\na.png,7\n"),
            {"classes": ("cat", "dog")},
            "list.csv:2: '7' is not among the dataset's classes",
        ),
        (
            "image-list",
            "list.csv",
            _list("path,label\n,1\n"),
            {},
            "list.csv:2: names no file in column path",
        ),
        (
            "image-list",
            "list.csv",
            _list("path,label,path\na.png,1,b.png\n"),
            {},
            "list.csv:1: names the column 'path' twice",
        ),
        *(
            ("image-list", "list.csv", _list(f"path,label\na.png,{label}\n"), {}, message)
            for label, message in (
                ("10.0", r"list.csv:2: the label '10\.0' is a number, but no class index\n.*Write"),
                ("-1", "list.csv:2: the label '-1' is a number, but no class index"),
                ("9" * 20, f"labels run up to {'9' * 20}: that is no class index"),
            )
        ),
        (
            "image-list",
            "list.csv",
            _list("path,label\ngone.png,1\n"),
            {},
            "no sample of evaluate can be read; the first: gone.png: No such file",
        ),
        (
            "image-list",
            "list.csv",
            _list("path,label\n\0,1\n"),
            {},
            "embedded null byte",
        ),
    ],
)
def test_what_is_wrong_with_a_listing_is_said(tmp_path, kind, path, change, fields, message):
    if change:
        change(tmp_path)
    with pytest.raises(DatasetError, match=message):
        run(spec(kind, path, **fields), tmp_path, tensor((4, 4, 3)))


@pytest.mark.parametrize(
    ("preprocess", "shape", "message"),
    [
        ({}, (8, 8, 3), r"shape \[4, 4, 3\] does not fit the input 'x', which takes \[8, 8, 3\]"),
        ({"color": "gray"}, (4, 4, 3), r"Set inputs\.x\.resize, color, layout"),
        ({"layout": "nchw"}, (4, 4, 3), r"shape \[3, 4, 4\] does not fit"),
        ({"color": "gray", "mean": (1.0, 2.0, 3.0)}, (4, 4, 1), "mean has 3 values, a sample 1"),
        ({"std": (1.0, 2.0)}, (4, 4, 3), "std has 2 values, a sample 3 in its last dimension"),
    ],
)
def test_images_that_do_not_fit_say_which_key_to_set(tmp_path, preprocess, shape, message):
    class_folders(tmp_path / "data", {"a": 2})
    with pytest.raises(DatasetError, match=message):
        run(spec("image-folder", x=preprocess), tmp_path, tensor(shape))


def test_images_of_different_sizes_need_a_resize(tmp_path):
    class_folders(tmp_path / "data", {"a": 2})
    class_folders(tmp_path / "data", {"b": 2}, height=5)
    message = r"has shape \[\d, 4, 3\], others have \[\d, 4, 3\]\n.*Set inputs\.x\.resize"
    with pytest.raises(DatasetError, match=message):
        run(spec("image-folder"), tmp_path, tensor((-1, -1, 3)))


def test_pixels_that_go_in_unscaled_are_noted(tmp_path):
    class_folders(tmp_path / "data", {"a": 3})
    inputs = tensor((4, 4, 3))
    assert "unscaled-pixels" in codes(run(spec("image-folder"), tmp_path, inputs))
    scaled = spec("image-folder", x={"scale": 1 / 255})
    assert "unscaled-pixels" not in codes(run(scaled, tmp_path, inputs))


def test_a_scale_applied_twice_is_noted(tmp_path):
    class_folders(tmp_path / "data", {"a": 3})
    dataset = spec("image-folder", x={"scale": 1 / 255**3})
    assert "tiny-values" in codes(run(dataset, tmp_path, tensor((4, 4, 3))))


def test_an_image_of_one_colour_is_noted(tmp_path):
    class_folders(tmp_path / "data", {"a": 3})
    save_image(tmp_path / "data/a/black.png", np.zeros((4, 4, 3), np.uint8))
    samples = run(spec("image-folder"), tmp_path, tensor((4, 4, 3)))
    (lint,) = [lint for lint in samples.lints if lint.code == "constant-sample"]
    assert lint.message == "one sample of evaluate is one value throughout"
    assert lint.examples == ("a/black.png",)
