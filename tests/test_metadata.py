"""TFLite's metadata in a .tflite: said as the standard says it, and nothing else touched."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import metadata_reader
import numpy as np
import pytest
import tflite_models as made
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from edgepack.errors import ModelError, UsageError
from edgepack.metadata import encoding
from edgepack.metadata.decoding import decode
from edgepack.metadata.describing import describe
from edgepack.metadata.embedding import embed, read
from edgepack.metadata.flatbuffer import Behind, Scalar, Table, buffer
from edgepack.metadata.scale import normalization
from edgepack.records.dataset import Preprocess, Resize, Window
from edgepack.records.metadata import (
    About,
    AppData,
    AudioContent,
    ImageContent,
    ModelDescription,
    Normalization,
    TensorDescription,
)
from edgepack.records.settings import Limits
from edgepack.records.tensors import Signature, Tensor
from edgepack.tflite.contents import contents
from edgepack.tflite.reader import parse
from edgepack.workers.pool import WorkerPool

HERE = Path(__file__).parent
DIGITS = HERE.parent / "calibration" / "digits" / "saved_model"
STANDARD = HERE / "golden" / "metadata" / "tflite-support-0.4.4.tflite"
SHARED = HERE.parents[1] / "shared" / "data"
PUBLISHED = sorted(SHARED.glob("*/*.tflite"))
ENTRY = b"TFLITE_METADATA"

GREATEST = made.build(
    [made.tensor("x", shape=(4, 4)), made.tensor("w", shape=(4, 4), data=True)]
    + [made.tensor("y", shape=(4, 4))],
    [("MAXIMUM", [0, 1], [2])],
    [0],
    [2],
    [("serving_default", [("input", 0)], [("output", 2)])],
)
ABOUT = About(
    name="pets", version="1.2.3", description="Pets, gefüttert", author="A", license="Apache-2.0"
)
CLASSES = ("cat", "dog", "fox", "Eule")


def description(**fields):
    inputs = (TensorDescription(name="input", tensor="x"),)
    outputs = (TensorDescription(name="output", tensor="y", labels=CLASSES),)
    return ModelDescription(
        **{**ABOUT.model_dump(), "inputs": inputs, "outputs": outputs, **fields}
    )


def described(data):
    """A description of any model of one signature, with labels on what it answers."""
    (signature,) = parse(data, "model").signatures
    count = (signature.outputs[0].dims or (0,))[-1]
    preprocess = Preprocess(resize=Resize(height=8, width=8), scale=1 / 255, mean=(0.5,))
    return describe(
        ABOUT,
        signature,
        AppData(
            kind="image-folder",
            preprocessing={tensor.name: preprocess for tensor in signature.inputs},
            classes=tuple(f"class {number}" for number in range(max(0, count))),
        ),
    )


def unpacked(data):
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(data)))


def answers(data, interpreter):
    """What an interpreter computes of the same random inputs, as bytes."""
    model = interpreter(model_content=data)
    model.allocate_tensors()
    random = np.random.default_rng(0)
    for one in model.get_input_details():
        values = random.integers(-100, 100, one["shape"])
        model.set_tensor(one["index"], values.astype(one["dtype"]))
    model.invoke()
    return [model.get_tensor(one["index"]).tobytes() for one in model.get_output_details()]


def answers_of_all(files):
    """In a worker: by runtime, what each file computes."""
    from ai_edge_litert.interpreter import Interpreter

    found = {"ai-edge-litert": [answers(Path(file).read_bytes(), Interpreter) for file in files]}
    try:
        from tflite_runtime.interpreter import Interpreter as Older
    except ImportError:
        return found
    return found | {"tflite-runtime": [_answers_if_any(file, Older) for file in files]}


def _answers_if_any(file, interpreter):
    """An older runtime does not know all operators, and then says which."""
    try:
        return answers(Path(file).read_bytes(), interpreter)
    except ValueError as error:
        return [str(error)]


# What is written is what the standard reads.

floats = st.floats(width=32, allow_nan=False)
figures = st.lists(floats, max_size=3).map(tuple)
labels = st.lists(st.text("abcé ", min_size=1), max_size=3).map(tuple)
sizes = st.integers(1, 2**32 - 1)
contents_of = st.none() | st.one_of(
    st.builds(AudioContent, sample_rate=sizes, channels=sizes),
    st.builds(ImageContent, color=st.sampled_from(["rgb", "grayscale"])),
    st.builds(ImageContent, color=st.just("rgb"), width=sizes, height=sizes),
)
tensors = st.builds(
    TensorDescription,
    name=st.text(),
    description=st.text(),
    tensor=st.just(""),
    content=contents_of,
    normalization=st.none() | st.builds(Normalization, mean=figures, std=figures),
    least=figures,
    greatest=figures,
    labels=labels,
)
sides = st.lists(tensors, max_size=3).map(tuple)
descriptions = st.builds(
    ModelDescription,
    name=st.text(),
    version=st.text(),
    description=st.text(),
    author=st.text(),
    license=st.text(),
    inputs=sides,
    outputs=sides,
)


def encoded(description):
    every = (*description.inputs, *description.outputs)
    lists = {tensor.labels for tensor in every if tensor.labels}
    files = {labels: f"{number}.txt" for number, labels in enumerate(lists)}
    return encoding.encode(description, files), {name: list_ for list_, name in files.items()}


@given(descriptions)
def test_what_was_encoded_is_decoded(description):
    assert decode(*encoded(description)) == description


@given(descriptions)
def test_the_published_schema_reads_what_was_encoded(description):
    data, files = encoded(description)
    told = metadata_reader.published(data)
    (subgraph,) = told["subgraphMetadata"]
    for side, field in (("inputs", "inputTensorMetadata"), ("outputs", "outputTensorMetadata")):
        for tensor, said in zip(getattr(description, side), subgraph[field], strict=True):
            assert said.get("name", "") == tensor.name
            assert said.get("description", "") == tensor.description
            assert [files[file["name"]] for file in said.get("associatedFiles", ())] == (
                [tensor.labels] if tensor.labels else []
            )
            assert _figures(said) == _expected_figures(tensor)
    for field in ("name", "description", "version", "author", "license"):
        assert told.get(field, "") == getattr(description, field)


def _figures(said):
    units = [unit["options"] for unit in said.get("processUnits", ())]
    return units, said.get("stats", {})


def _expected_figures(tensor):
    said = tensor.normalization
    units = [{"mean": list(said.mean), "std": list(said.std)}] if said else []
    told = {"max": list(tensor.greatest), "min": list(tensor.least)}
    return units, told if tensor.least or tensor.greatest else {}


def test_the_metadata_of_an_image_classifier():
    image = ImageContent(color="rgb", width=24, height=32)
    tensor = TensorDescription(
        name="input",
        tensor="x",
        content=image,
        normalization=Normalization(mean=(127.5,), std=(63.75,)),
        least=(-2.0,),
        greatest=(2.0,),
    )
    model = embed(GREATEST, description(inputs=(tensor,)))
    assert metadata_reader.published(payload(model)) == {
        "name": "pets",
        "description": "Pets, gefüttert",
        "version": "1.2.3",
        "author": "A",
        "license": "Apache-2.0",
        "minParserVersion": "1.0.0",
        "subgraphMetadata": [
            {
                "inputTensorMetadata": [
                    {
                        "name": "input",
                        "content": {
                            "contentPropertiesType": 2,
                            "contentProperties": {
                                "colorSpace": 1,
                                "defaultSize": {"width": 24, "height": 32},
                            },
                        },
                        "processUnits": [
                            {"optionsType": 1, "options": {"mean": [127.5], "std": [63.75]}}
                        ],
                        "stats": {"max": [2.0], "min": [-2.0]},
                    }
                ],
                "outputTensorMetadata": [
                    {
                        "name": "output",
                        "content": {"contentPropertiesType": 1, "contentProperties": {}},
                        "associatedFiles": [
                            {"name": "labels.txt", "description": encoding.LABELS_ARE, "type": 2}
                        ],
                    }
                ],
            }
        ],
    }


def payload(model):
    whole = unpacked(model)
    (entry,) = [entry for entry in whole.metadata if entry.name == ENTRY]
    return bytes(whole.buffers[entry.buffer].data)


def test_waveforms_need_a_later_reader():
    tensor = TensorDescription(name="input", content=AudioContent(sample_rate=16000))
    told = metadata_reader.published(payload(embed(GREATEST, description(inputs=(tensor,)))))
    assert told["minParserVersion"] == "1.3.0"


def test_what_the_standard_tool_wrote_is_read():
    told = read(STANDARD.read_bytes())
    assert (told.name, told.version, told.author) == ("pets", "1.2.3", "A. Nonymous")
    (image,), (output,) = told.inputs, told.outputs
    assert image.content == ImageContent(color="grayscale")
    assert image.normalization == Normalization(mean=(127.5,), std=(63.75,))
    assert (image.least, image.greatest) == ((-2.0,), (2.0,))
    assert output.labels == ("cat", "dog", "fox", "owl")


def test_what_was_embedded_is_read():
    plain = description()
    sides = {
        side: tuple(tensor.model_copy(update={"tensor": ""}) for tensor in getattr(plain, side))
        for side in ("inputs", "outputs")
    }
    assert read(embed(GREATEST, plain)) == plain.model_copy(update=sides)
    assert read(GREATEST) is None


# The rest of the file stays as it is.

MODELS = {"small": GREATEST, "standard's": STANDARD.read_bytes()} | {
    file.parent.name: file.read_bytes() for file in PUBLISHED
}


def places(data):
    """Where each buffer's bytes start, and the bytes."""
    model = schema.Model.GetRootAs(bytearray(data))
    buffers = [model.Buffers(number) for number in range(model.BuffersLength())]
    return [
        (one._tab.Vector(one._tab.Offset(4)), one.DataAsNumpy().tobytes())
        for one in buffers
        if one.DataLength()
    ]


@pytest.mark.parametrize("name", MODELS)
def test_weights_keep_their_bytes_and_alignment(name):
    before, after = places(MODELS[name]), places(embed(MODELS[name], described(MODELS[name])))
    assert [data for _, data in after[: len(before)]] == [data for _, data in before]
    assert {(new - old) % 16 for (new, _), (old, _) in zip(after, before, strict=False)} == {0}
    metadata, data = after[-1]
    assert metadata % 16 == 0
    assert data[4:8] == b"M001"


@pytest.mark.parametrize("name", MODELS)
def test_everything_else_reads_as_before(name):
    data = MODELS[name]
    model = embed(data, described(data))
    changes = {"sha256": "", "size_bytes": 0}
    assert parse(model, "m").model_copy(update=changes) == parse(data, "m").model_copy(
        update=changes
    )
    assert contents(model, "m") == contents(data, "m")
    before, after = unpacked(data), unpacked(model)
    kept = [entry.name for entry in before.metadata or () if entry.name != ENTRY]
    assert [entry.name for entry in after.metadata] == [*kept, ENTRY]
    assert (after.version, after.description) == (before.version, before.description)
    assert len(after.buffers) == len(before.buffers) + 1


@pytest.fixture(scope="module")
def runtimes(tmp_path_factory):
    """Answers of both runtimes to files, by a worker."""
    directory = tmp_path_factory.mktemp("runtimes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)
        with WorkerPool("interpreters", 1, Limits(), directory / "log") as pool:
            yield lambda files: pool.submit(answers_of_all, list(map(str, files))).result()


def assert_same_answers(models, runtimes, directory):
    files = []
    for name, data in models.items():
        again = embed(embed(data, described(data)), described(data))
        for suffix, content in ("", data), ("-told", again):
            files.append(directory / f"{name}{suffix}.tflite")
            files[-1].write_bytes(content)
    for found in runtimes(files).values():
        assert found[::2] == found[1::2]
        assert all(map(len, found))


def test_both_runtimes_answer_the_same(runtimes, tmp_path):
    assert_same_answers({"small": GREATEST}, runtimes, tmp_path)


@pytest.mark.skipif(not PUBLISHED, reason="the published models are not here")
def test_published_models_answer_the_same(runtimes, tmp_path):
    models = {file.parent.name: file.read_bytes() for file in PUBLISHED}
    assert_same_answers(models, runtimes, tmp_path)


@pytest.mark.slow
def test_converted_models_answer_the_same(runtimes, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)
        with WorkerPool("TensorFlow", 1, Limits(), tmp_path / "log") as pool:
            pool.submit(made.convert_all, str(DIGITS), tmp_path).result()
    models = {name: (tmp_path / f"{name}.tflite").read_bytes() for name in made.CONVERTED}
    assert_same_answers(models, runtimes, tmp_path)


def test_metadata_are_replaced():
    first = embed(GREATEST, description(name="old"))
    second = embed(first, description(outputs=(TensorDescription(name="output"),)))
    assert read(second).name == "pets"
    assert read(second).outputs[0].labels == ()
    assert [entry.name for entry in unpacked(second).metadata] == [ENTRY]
    assert not zipfile.is_zipfile(io.BytesIO(second))


def test_other_entries_stay():
    model = unpacked(GREATEST)
    entry = schema.MetadataT()
    entry.name, entry.buffer = b"min_runtime_version", 2
    model.metadata = [entry]
    model.buffers.append(schema.BufferT())
    model.buffers[2].data = list(b"1.5.0" + bytes(11))
    told = parse(embed(made.pack(model), description()), "m")
    assert told.min_runtime_version == "1.5.0"


# Label files.


def test_label_files_are_a_zip_of_the_whole_file():
    model = embed(GREATEST, description())
    with zipfile.ZipFile(io.BytesIO(model)) as archive:
        (info,) = archive.infolist()
        assert archive.read("labels.txt") == b"cat\ndog\nfox\nEule\n"
    assert (info.filename, info.compress_type) == ("labels.txt", zipfile.ZIP_STORED)
    assert info.date_time == (1980, 1, 1, 0, 0, 0)
    assert model[info.header_offset :].startswith(b"PK\3\4")
    end = model[model.rindex(b"PK\5\6") :]
    assert model[int.from_bytes(end[16:20], "little") :].startswith(b"PK\1\2")


def test_different_labels_have_files_of_their_own():
    one = TensorDescription(name="input", labels=("a", "b"))
    model = embed(GREATEST, description(inputs=(one,)))
    assert zipfile.ZipFile(io.BytesIO(model)).namelist() == ["labels.txt", "labels_2.txt"]
    assert read(model).inputs[0].labels == ("a", "b")
    assert read(model).outputs[0].labels == CLASSES


def test_no_labels_no_zip():
    model = embed(GREATEST, description(outputs=(TensorDescription(name="output"),)))
    assert not zipfile.is_zipfile(io.BytesIO(model))
    assert model.endswith(GREATEST)


def test_the_same_arguments_give_the_same_bytes():
    assert embed(GREATEST, description()) == embed(GREATEST, description())


# Refusals.


@pytest.mark.parametrize("label", ["", "two\nlines", "carriage\r"])
def test_labels_that_are_not_a_line_are_refused(label):
    outputs = (TensorDescription(name="output", labels=("a", label)),)
    with pytest.raises(UsageError, match=r"class 1 is named .* not one line of labels\.txt"):
        embed(GREATEST, description(outputs=outputs))


def with_weights_behind():
    model = unpacked(GREATEST)
    model.buffers[1].data, model.buffers[1].offset, model.buffers[1].size = None, 64, 64
    return made.pack(model)


def with_options_behind():
    model = unpacked(GREATEST)
    node = model.subgraphs[0].operators[0]
    node.largeCustomOptionsOffset, node.largeCustomOptionsSize = 64, 4
    return made.pack(model)


def with_a_later_field():
    old = schema.Model.GetRootAs(bytearray(GREATEST))._tab
    fields = {0: Scalar("I", 3), 11: Scalar("B", 1)}
    for number in (1, 2, 3, 4, 7):
        place = old.Pos + old.Offset(4 + 2 * number)
        fields[number] = Behind(old.Indirect(place))
    return buffer(Table(fields), b"TFL3", GREATEST)


def without_a_subgraph():
    model = unpacked(GREATEST)
    model.subgraphs = []
    return made.pack(model)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (with_weights_behind(), "its weights lie behind the flatbuffer, at absolute offsets"),
        (with_options_behind(), "its options of operators lie behind the flatbuffer"),
        (with_a_later_field(), "the field 11 of Model is of a schema not known here"),
        (without_a_subgraph(), "it has no subgraph"),
        (GREATEST[:100], r"not a whole \.tflite"),
        (b"", r"not a whole \.tflite"),
    ],
)
def test_models_that_cannot_take_metadata_are_refused(data, message):
    with pytest.raises(ModelError, match=message) as caught:
        embed(data, description(), "some.tflite")
    assert caught.value.where == "some.tflite"


@pytest.mark.parametrize(
    "inputs", [(), ("x", "y"), ("w",)], ids=["none", "one more", "another tensor"]
)
def test_descriptions_of_other_tensors_are_refused(inputs):
    tensors = tuple(TensorDescription(name=name, tensor=name) for name in inputs)
    with pytest.raises(ModelError, match="its first subgraph has the inputs x, and metadata"):
        embed(GREATEST, description(inputs=tensors))


@given(st.data())
def test_damaged_files_are_refused_or_read(data):
    model = bytearray(embed(GREATEST, description()))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(model) - 1))
        model[place] = data.draw(st.integers(0, 255))
    for work in (read, lambda model: embed(model, description())):
        with contextlib.suppress(ModelError):
            work(bytes(model))


# What a build knows, in the standard's words.


def signature(*shape, dtype="float32", outputs=("output",)):
    given = Tensor(name="input", dtype=dtype, shape=shape, tensor="x", subgraph_index=0)
    answers = tuple(
        Tensor(name=name, dtype="float32", shape=(1, 4), tensor=name, subgraph_index=place)
        for place, name in enumerate(outputs)
    )
    return Signature(name="serving_default", inputs=(given,), outputs=answers)


def input_of(preprocess, *shape, dtype="float32", **fields):
    data = AppData(preprocessing={"input": preprocess}, **fields)
    return describe(ABOUT, signature(*shape, dtype=dtype), data).inputs[0]


figure = st.floats(2**-7, 300, width=32)


@given(
    scale=figure | figure.map(lambda value: -value),
    offset=st.floats(-300, 300, width=32),
    mean=st.lists(st.floats(-300, 300, width=32), max_size=1) | st.tuples(figure, figure, figure),
    std=st.lists(figure, max_size=1) | st.tuples(figure, figure, figure),
    pixel=st.integers(0, 255),
)
def test_the_standard_normalizes_as_edgepack_does(scale, offset, mean, std, pixel):
    preprocess = Preprocess(scale=scale, offset=offset, mean=tuple(mean), std=tuple(std))
    (tensor,) = signature(1, 8, 8, 3).inputs
    said = normalization(preprocess, tensor)
    assert len(said.mean) == len(said.std) == max(len(mean), len(std), 1)
    expected = (pixel * scale + offset - np.array(mean or [0.0])) / np.array(std or [1.0])
    actual = (pixel - np.array(said.mean)) / np.array(said.std)
    largest = (255 * abs(scale) + abs(offset) + 300) / min(std or [1.0])
    assert np.allclose(actual, expected, rtol=0, atol=1e-9 * largest)


@pytest.mark.parametrize(
    "preprocess",
    [
        Preprocess(scale=0.0),
        Preprocess(std=(0.0,)),
        Preprocess(mean=(1e300,)),
        Preprocess(mean=(math.nan,)),
        Preprocess(std=(math.inf,)),
        Preprocess(mean=(1.0, 2.0)),
        Preprocess(mean=(1.0, 2.0, 3.0), layout="nchw"),
    ],
    ids=["scale 0", "std 0", "too large", "no number", "infinite", "other channels", "nchw"],
)
def test_what_the_standard_cannot_normalize_is_said_in_words_only(preprocess):
    said = input_of(preprocess, 1, 8, 8, 3, kind="image-folder")
    assert said.normalization is None
    assert "(value * scale + offset - mean) / std with" in said.description


def test_images_are_described():
    preprocess = Preprocess(
        resize=Resize(height=8, width=6, fit="crop"), scale=1 / 255, mean=(0.5,), std=(0.25,)
    )
    said = input_of(preprocess, 1, 8, 6, 3)
    assert said.content == ImageContent(color="rgb", width=6, height=8)
    assert said.normalization == Normalization(mean=(127.5,), std=(63.75,))
    assert (said.least, said.greatest) == ((-2.0,), (2.0,))
    assert said.description == (
        "resize to 8 x 6 (height x width, bilinear, crop); colours rgb, pixels from 0 to 255; "
        "(value * scale + offset - mean) / std with scale 0.00392156862745098, mean 0.5, "
        "std 0.25; as float32"
    )


def test_pixels_as_they_are_are_said_to_be():
    said = input_of(Preprocess(color="gray"), 1, 8, 8, 1, kind="image-list", dtype="int8")
    assert said.content == ImageContent(color="grayscale")
    assert said.normalization == Normalization(mean=(0.0,), std=(1.0,))
    assert said.least == said.greatest == ()  # stored values are not real ones


@pytest.mark.parametrize(
    ("preprocess", "shape"),
    [
        (Preprocess(color="bgr"), (1, 8, 8, 3)),
        (Preprocess(color="rgba"), (1, 8, 8, 4)),
        (Preprocess(layout="nchw"), (1, 3, 8, 8)),
        (Preprocess(color="gray"), (1, 64)),
    ],
)
def test_images_that_the_standard_has_no_word_for_are_numbers(preprocess, shape):
    said = input_of(preprocess, *shape, kind="image-folder")
    assert (said.content, said.least) == (None, ())
    assert f"colours {preprocess.color}" in said.description
    assert ("layout nchw" in said.description) == (preprocess.layout == "nchw")


def test_sound_and_figures_are_described():
    wave = Preprocess(audio=Window(sample_rate=16000, duration_ms=1000))
    assert input_of(wave, 1, 16000).content == AudioContent(sample_rate=16000)
    mel = Preprocess(audio=Window(sample_rate=16000, duration_ms=1000, features="log-mel"))
    assert input_of(mel, 1, 49, 40).content is None
    assert "log-mel of 1000 ms at 16000 Hz" in input_of(mel, 1, 49, 40).description
    table = input_of(Preprocess(columns=("a", "b"), mean=(1.0, 2.0)), 1, 2)
    assert table.normalization == Normalization(mean=(1.0, 2.0), std=(1.0, 1.0))
    assert table.description.startswith("columns a, b; ")
    assert input_of(Preprocess(), 1, 2).normalization is None


@pytest.mark.parametrize(
    ("classes", "output", "labelled"),
    [
        (CLASSES, "", ["logits"]),
        (CLASSES, "scores", ["scores"]),
        (CLASSES, "elsewhere", []),
        (CLASSES[:2], "", []),
        ((), "", []),
    ],
)
def test_labels_stand_where_the_classes_are(classes, output, labelled):
    both = signature(1, 2, outputs=("logits", "scores"))
    told = describe(ABOUT, both, AppData(classes=classes, output=output))
    assert [tensor.name for tensor in told.outputs if tensor.labels] == labelled


def test_tensors_are_in_the_subgraphs_order_and_once():
    tensors = tuple(
        Tensor(name=name, dtype="float32", shape=(1,), tensor=name, subgraph_index=place)
        for name, place in [("a", 2), ("b", 0), ("c", 1), ("d", 0)]
    )
    told = describe(ABOUT, Signature(name="s", inputs=tensors, outputs=tensors[:1]), AppData())
    assert [tensor.name for tensor in told.inputs] == ["b", "c", "a"]


# tflite-support, the standard's own reader, in an environment that uv makes and keeps.


@pytest.fixture(scope="module")
def tflite_support(tmp_path_factory):
    """Runs metadata_peer.py where tflite-support is; skips where it cannot be fetched."""
    needs = ("tflite-support==0.4.4", "protobuf<4", "numpy<2")
    with_ = [part for name in needs for part in ("--with", name)]
    options = ["run", "--quiet", "--no-project", "--python", sys.executable, *with_]
    start = [sys.executable, "-m", "uv", *options, "python"]

    def run(*arguments):
        where = tmp_path_factory.mktemp("nowhere")
        return subprocess.run(
            [*start, *arguments], cwd=where, capture_output=True, text=True, check=False
        )

    found = run("-c", "import tensorflow_lite_support, flatbuffers")
    if found.returncode:
        reason = found.stderr.strip().rpartition("\n")[2]
        pytest.skip(f"tflite-support cannot be had here: {reason}")
    return lambda file: json.loads(run(HERE / "metadata_peer.py", file).stdout)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_the_standard_reader_reads_it(tflite_support, tmp_path, name):
    model = embed(MODELS[name], described(MODELS[name]))
    (tmp_path / "model.tflite").write_bytes(model)
    told = tflite_support(tmp_path / "model.tflite")
    assert told["metadata"] == metadata_reader.published(payload(model))
    labels = read(model).outputs[0].labels
    assert told["files"] == {"labels.txt": "".join(f"{label}\n" for label in labels)}
