"""Keras files become SavedModels that answer alike, or typed errors."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import keras_models
import numpy as np
import pytest
from mutations import mutate

from edgepack.engines import keras
from edgepack.errors import DamagedModelError, EdgepackError, ExportError, UnsafeModelError
from edgepack.records.formats import KerasExport
from edgepack.records.settings import Limits
from edgepack.savedmodel import reader
from edgepack.savedmodel.identity import identify
from edgepack.workers.pool import WorkerPool

pytest.importorskip("tensorflow")
pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
SHARED = HERE.parents[1] / "shared"
PUBLISHED = SHARED / "data/ic/resnet8.h5"  # written by Keras 2.4


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)
        with WorkerPool("Keras", 1, Limits(), tmp_path_factory.mktemp("keras") / "log") as pool:
            yield pool


@pytest.fixture(scope="module")
def made(pool, tmp_path_factory):
    """Files of every kind, and what their models answered before they were saved."""
    directory = tmp_path_factory.mktemp("models")
    return directory, pool.submit(keras_models.save_all, directory).result()


@pytest.fixture
def files(made):
    return made[0]


@pytest.fixture
def export(pool, tmp_path):
    def call(path, **fields):
        target = tmp_path / "saved"
        job = KerasExport(path=str(path), **fields)
        return pool.submit(keras.export, job, target).result(), target

    return call


def serving(target):
    facts = reader.read(target)
    [found] = [one for one in facts.signatures if one.name == "serving_default"]
    return {t.name: t.shape for t in found.inputs}, {t.name: t.shape for t in found.outputs}


@pytest.mark.parametrize(
    ("name", "inputs", "outputs"),
    [
        ("simple.keras", {"features": (-1, 3)}, {"output_0": (-1, 2)}),
        ("simple.h5", {"features": (-1, 3)}, {"output_0": (-1, 2)}),
        ("two.keras", {"apple": (-1, 2), "zebra": (-1, 3)}, {"both": (-1, 5), "one": (-1, 1)}),
        ("two.h5", {"apple": (-1, 2), "zebra": (-1, 3)}, {"both": (-1, 5), "one": (-1, 1)}),
        (
            "dictionaries.keras",
            {"x": (-1, 3), "y": (-1, 3)},
            {"difference": (-1, 3), "sum": (-1, 3)},
        ),
        ("words.keras", {"words": (-1,)}, {"output_0": (-1, 3, 2)}),
        ("stateful.keras", {"frames": (1, 5, 3)}, {"output_0": (1, 2)}),
        ("image.keras", {"image": (-1, 8, 8, 1)}, {"output_0": (-1, 2)}),
        ("image.h5", {"image": (-1, 8, 8, 1)}, {"output_0": (-1, 2)}),
        ("odd_names.keras", {"tensor_1st_input": (-1, 3), "tensor_1st_input__1": (-1, 3)}, None),
        ("optimized.keras", {"features": (-1, 3)}, {"output_0": (-1, 2)}),
    ],
)
def test_the_signature_has_the_models_own_names(export, files, name, inputs, outputs):
    done, target = export(files / name)
    assert serving(target) == (inputs, outputs or {"output_0": (-1, 3)})
    assert (done.loader, done.imported) == ("keras", ())
    assert done.loader_version.startswith("3.")
    assert done.saved_by == done.loader_version
    assert (done.inputs, done.outputs) == tuple(tuple(ends) for ends in serving(target))


def test_names_that_keras_only_numbers_come_from_the_file(export, files):
    done, target = export(files / "late.keras")
    [name] = serving(target)[0]
    assert "keras_tensor" not in name
    shutil.rmtree(target)
    assert export(files / "late.keras")[0].inputs == done.inputs


@pytest.mark.parametrize(
    "name",
    ["simple", "two", "dictionaries", "words", "stateful", "image", "odd_names", "optimized"],
)
def test_the_savedmodel_answers_as_the_model_did(pool, export, made, name):
    files, wanted = made
    done, target = export(files / f"{name}.keras")
    order = ("zebra", "apple") if name == "two" else done.inputs
    shapes = serving(target)[0]
    text = name == "words"
    fed = {one: np.full([abs(size) for size in shapes[one]], "b" if text else 1) for one in order}
    fed = {one: array if text else array.astype(np.float32) for one, array in fed.items()}
    got = pool.submit(keras_models.answers, target, fed).result()
    assert len(got) == len(wanted[name])
    for one, answer in zip(sorted(got), wanted[name], strict=True):
        np.testing.assert_allclose(got[one], answer, rtol=1e-5)


def test_an_export_leaves_no_training_behind(export, files):
    _, target = export(files / "optimized.keras")
    facts = reader.read(target)
    assert (facts.slot_variables, facts.optimizers) == (0, 0)


def test_exporting_twice_gives_the_same_model(export, files, tmp_path):
    found = []
    for _ in range(2):
        _, target = export(files / "image.keras")
        found.append(identify(target, tags=("serve",)))
        shutil.rmtree(target)
    assert found[0] == found[1]


# Custom objects


@pytest.mark.parametrize("name", ["custom.keras", "custom.h5"])
def test_a_class_that_is_not_known_is_named_with_the_line_that_names_its_module(
    export, files, name
):
    with pytest.raises(ExportError, match="Twice is not known to Keras") as caught:
        export(files / name)
    assert 'imports = ["package.module"] under [model]' in caught.value.hint


@pytest.mark.parametrize(
    ("name", "inputs"),
    [("custom.keras", ("x",)), ("custom.h5", ("x",)), ("subclass.keras", ("measured",))],
)
def test_imports_register_custom_objects(files, tmp_path, name, inputs):
    job = KerasExport(path=str(files / name), imports=("my_layers",), folder=str(files))
    with WorkerPool("own", 1, Limits(), tmp_path / "log") as own:  # imports stay in a process
        done = own.submit(keras.export, job, tmp_path / "saved").result()
    assert (done.imported, done.inputs) == (("mine>Twice", "mine>Whole"), inputs)
    assert list(serving(tmp_path / "saved")[0]) == list(inputs)


@pytest.mark.parametrize(
    ("module", "words"),
    [("no_such_layers", "no_such_layers cannot be imported: ModuleNotFoundError"),
     ("broken_layers", "broken_layers cannot be imported: .*no_such_module_anywhere")],
)  # fmt: skip
def test_an_import_that_fails_says_why(export, files, module, words):
    with pytest.raises(ExportError, match=words) as caught:
        export(files / "custom.keras", imports=(module,), folder=str(files))
    assert str(files) in caught.value.hint


# Unsafe files


@pytest.mark.parametrize("name", ["lambda.keras", "lambda.h5"])
def test_lambda_layers_run_only_when_allowed(pool, export, files, name):
    with pytest.raises(UnsafeModelError, match="stored in its Lambda layers: thrice") as caught:
        export(files / name)
    assert "allow_lambda = true under [model]" in caught.value.hint
    _, target = export(files / name, allow_lambda=True)
    got = pool.submit(keras_models.answers, target, {"x": np.ones((1, 3), np.float32)}).result()
    np.testing.assert_allclose(got["output_0"], [[3, 3, 3]])


def test_bytecode_as_keras_2_stored_it_is_found(pool, export, files, tmp_path):
    old = '"activation": "softmax"'
    new = '"activation": "softmax", "function": ["4wEA", null, null], "function_type": "lambda"'
    edited = pool.submit(
        keras_models.edit_config, files / "simple.h5", tmp_path / "old.h5", old, new
    )
    edited.result()
    with pytest.raises(UnsafeModelError, match="Python code is stored"):
        export(tmp_path / "old.h5")


@pytest.mark.parametrize("allowed", [False, True])
def test_a_layer_that_loads_another_model_is_refused(export, files, allowed):
    with pytest.raises(UnsafeModelError, match=r"other .TFSMLayer. loads a SavedModel"):
        export(files / "tfsm.keras", allow_lambda=allowed)


def test_weights_in_another_file_are_refused(pool, export, files, tmp_path):
    out = tmp_path / "out.h5"
    pool.submit(keras_models.link_out, files / "simple.h5", out, files / "image.h5").result()
    with pytest.raises(UnsafeModelError, match="model_weights in it lies in another file"):
        export(out)


# What is no whole model


def test_weights_alone_say_what_is_missing(export, files):
    with pytest.raises(ExportError, match="weights without an architecture") as caught:
        export(files / "only.weights.h5")
    assert "model.load_weights(" in caught.value.hint


def test_what_is_no_keras_file_is_refused(export, tmp_path):
    (tmp_path / "model.keras").write_text("words")
    with pytest.raises(ExportError, match=r"neither a \.keras file nor an HDF5 file"):
        export(tmp_path / "model.keras")


@pytest.mark.parametrize("name", ["simple.keras", "simple.h5"])
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_a_file_cut_short_is_damaged(export, files, tmp_path, name, kept):
    whole = (files / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises((DamagedModelError, ExportError)):
        export(tmp_path / name)


@pytest.mark.parametrize("member", ["config.json", "metadata.json", "model.weights.h5"])
def test_a_member_that_is_missing_or_nonsense_is_damage(export, files, tmp_path, member):
    for content in (None, b"nonsense"):
        with zipfile.ZipFile(files / "simple.keras") as whole:
            members = {name: whole.read(name) for name in whole.namelist()}
        del members[member]
        members |= {member: content} if content else {}
        with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        with pytest.raises((DamagedModelError, ExportError)):
            export(tmp_path / "m.keras")


@pytest.mark.parametrize("name", ["two.keras", "two.h5", "custom.keras"])
def test_damaged_files_are_typed_errors(export, files, tmp_path, name):
    drawn, whole = random.Random(name), (files / name).read_bytes()
    other = (files / "image.h5").read_bytes()
    untyped = []
    for _ in range(40):
        (tmp_path / "m").write_bytes(mutate(drawn, whole, other))
        try:
            shutil.rmtree(export(tmp_path / "m")[1])
        except EdgepackError as error:
            untyped += [error.message] if error.message.startswith("could not export") else []
    assert not untyped


# Keras 2


@pytest.fixture
def only_keras_2(pool, files, tmp_path):
    """A file with a layer that Keras 3 does not have."""
    path, old = tmp_path / "old.h5", '"class_name": "Dense"'
    new = '"class_name": "TFOpLambda"'
    pool.submit(keras_models.edit_config, files / "simple.h5", path, old, new).result()
    pool.submit(keras_models.old_version, path, "2.11.0").result()
    return path


@pytest.mark.skipif(find_spec("tf_keras") is not None, reason="tf-keras is installed")
def test_what_only_keras_2_reads_names_the_package(export, only_keras_2):
    with pytest.raises(ExportError, match=r"Keras 2.11.0 wrote it.*no TFOpLambda") as caught:
        export(only_keras_2)
    assert caught.value.hint.startswith("pip install tf-keras")


@pytest.mark.parametrize("name", ["simple.h5", "image.keras"])
def test_keras_2_is_not_even_imported_where_keras_3_reads_the_file(files, tmp_path, name):
    (tmp_path / "tf_keras.py").write_text("raise SystemExit('tf-keras was imported')\n")
    code = (
        "import sys; from pathlib import Path\n"
        "from edgepack.engines.keras import export\n"
        "from edgepack.records.formats import KerasExport\n"
        "print(export(KerasExport(path=sys.argv[1]), Path(sys.argv[2])).loader)"
    )
    path = os.pathsep.join((str(tmp_path), str(HERE.parent)))
    done = subprocess.run(
        [sys.executable, "-c", code, files / name, tmp_path / "saved"],
        env=os.environ | {"PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == ["keras"], done.stderr


@pytest.mark.parametrize(
    ("layer", "old", "change"),
    [
        ("DepthwiseConv2D", '"padding": "valid", "groups": 1', "left out groups of layer"),
        ("SeparableConv2D", '"padding": "valid", "kernel_constraint": null', "kernel_constraint"),
        ("BatchNormalization", '"axis": [3]', "wrote axis of layer as a number"),
        ("LSTM", '"unroll": false, "time_major": false', "left out time_major of layer"),
        ("RandomFlip", '"mode": "horizontal", "rng_type": "stateful"', "left out rng_type"),
    ],
)
def test_what_keras_2_wrote_down_and_keras_3_refuses_is_left_out(
    pool, export, tmp_path, layer, old, change
):
    path, edited = tmp_path / "new.h5", tmp_path / "old.h5"
    wanted = pool.submit(keras_models.one_layer, layer, path).result()
    new = {'"axis": [3]': '"axis": -1'}.get(old, old.partition(", ")[0])
    pool.submit(keras_models.edit_config, path, edited, new, old).result()
    pool.submit(keras_models.old_version, edited, "2.15.0").result()
    done, target = export(edited)
    assert done.loader == "keras"
    assert change in done.adapted[0]
    [(name, shape)] = serving(target)[0].items()
    fed = {name: np.ones([1, *shape[1:]], np.float32)}
    got = pool.submit(keras_models.answers, target, fed).result()["output_0"]
    np.testing.assert_allclose(got, wanted, rtol=1e-5)


def test_arguments_that_change_something_are_not_left_out(pool, export, tmp_path):
    path, edited = tmp_path / "new.h5", tmp_path / "old.h5"
    pool.submit(keras_models.one_layer, "LSTM", path).result()
    old = '"unroll": false, "time_major": true'
    pool.submit(keras_models.edit_config, path, edited, '"unroll": false', old).result()
    pool.submit(keras_models.old_version, edited, "2.15.0").result()
    with pytest.raises(ExportError, match=r"to LSTM: \{'time_major': True\}"):
        export(edited)


@pytest.mark.parametrize(("version", "answer"), [("2.15.0", 0.7), ("3.9.0", 2 / 3)])
def test_hard_sigmoid_is_that_of_the_keras_that_wrote_the_file(
    pool, export, tmp_path, version, answer
):
    pool.submit(keras_models.one_layer, "hard_sigmoid", tmp_path / "m.h5").result()
    pool.submit(keras_models.old_version, tmp_path / "m.h5", version).result()
    done, target = export(tmp_path / "m.h5")
    kept = ("kept Keras 2's hard_sigmoid in layer",) if version.startswith("2") else ()
    assert done.adapted == kept
    fed = {done.inputs[0]: np.ones((1, 8, 8, 2), np.float32)}
    got = pool.submit(keras_models.answers, target, fed).result()["output_0"]
    np.testing.assert_allclose(got, answer, rtol=1e-5)


@pytest.mark.skipif(find_spec("tf_keras") is None, reason="tf-keras is not installed")
def test_keras_2_reads_what_only_keras_2_reads(pool, export, tmp_path):
    wanted = pool.submit(keras_models.by_keras_2, tmp_path / "old.h5").result()
    done, target = export(tmp_path / "old.h5")
    assert (done.loader, done.inputs) == ("tf-keras", ("x",))
    got = pool.submit(keras_models.answers, target, {"x": np.ones((1, 3), np.float32)}).result()
    np.testing.assert_allclose(got["output_0"], wanted, rtol=1e-5)


@pytest.mark.skipif(not PUBLISHED.exists(), reason="published models are not here")
def test_a_published_file_of_keras_2_is_read_by_keras_3(export):
    done, target = export(PUBLISHED)
    assert (done.loader, done.saved_by) == ("keras", "2.4.0")
    assert serving(target) == ({"input_1": (-1, 32, 32, 3)}, {"output_0": (-1, 10)})
