"""What Keras 2 would run or read beyond its own layers is refused before it loads a file."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from edgepack.engines.keras_trust import beyond

HERE = Path(__file__).parent


def layer(class_name, **config):
    return {"class_name": class_name, "config": {"name": "odd", **config}}


def model(*layers):
    return {"class_name": "Functional", "config": {"name": "m", "layers": list(layers)}}


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (layer("TFOpLambda", function="io.write_file"), "odd calls tf.io.write_file"),
        (layer("TFOpLambda", function="py_function"), "odd calls tf.py_function"),
        (layer("TFOpLambda", function="compat.v1.py_func"), "odd calls tf.compat.v1.py_func"),
        (layer("TFOpLambda", function="saved_model.load"), "odd calls tf.saved_model.load"),
        (layer("TFOpLambda", function="math"), "odd calls tf.math"),
        (layer("TFOpLambda"), "odd calls tf.None"),
        (layer("package>TFOpLambda", function="io.read_file"), "odd calls tf.io.read_file"),
        (layer("SlicingOpLambda", function="io.gfile.remove"), "odd calls tf.io.gfile.remove"),
        (
            layer("ClassMethod", cls_symbol="io.TFRecordWriter", method_name="write"),
            "odd calls tf.io.TFRecordWriter.write",
        ),
        (layer("InstanceMethod", attr_name="__reduce__"), "odd uses __reduce__ of a value"),
        (layer("TensorFlowOpLayer", node_def={"op": "WriteFile"}), "odd runs the op WriteFile"),
        (layer("TensorFlowOpLayer", node_def="CgNh"), "odd runs the op in its node_def"),
        (layer("TextVectorization", vocabulary="/etc/passwd"), "odd reads /etc/passwd"),
        (
            layer(
                "Dense", activation={"class_name": "function", "config": "system", "module": "os"}
            ),
            "odd calls os.system",
        ),
        (
            {"class_name": "Popen", "module": "subprocess", "config": {"name": "odd"}},
            "odd imports subprocess.Popen",
        ),
        (
            {"class_name": "get_file", "module": "keras.utils", "config": {"name": "odd"}},
            "odd imports keras.utils.get_file",
        ),
    ],
)
def test_what_reaches_out_is_named(found, told):
    wrapped = layer("TimeDistributed", layer=found)
    for config in (model(found), model(layer("Dense"), model(found)), model(wrapped)):
        assert told in beyond(config, ())


@pytest.mark.parametrize(
    "found",
    [
        layer("Dense", activation="relu"),
        layer("TFOpLambda", function="math.add"),
        layer("TFOpLambda", function="nn.relu"),
        layer("TFOpLambda", function="__operators__.add"),
        layer("TFOpLambda", function="compat.v1.nn.conv2d"),
        layer("TFOpLambda", function="reshape"),
        layer("SlicingOpLambda", function="__operators__.getitem"),
        layer("TensorFlowOpLayer", node_def={"op": "AddV2"}),
        layer("InstanceMethod", attr_name="to_tensor"),
        {"class_name": "Dense", "module": "keras.layers", "config": {"name": "d"}},
    ],
)
def test_what_only_computes_is_let_through(found):
    assert beyond(model(found), ()) == ()


def test_a_custom_class_passes_once_the_users_own_module_has_registered_it():
    own = {"class_name": "Own", "module": "mine", "registered_name": "mine>Own", "config": {}}
    assert beyond(model(own), ()) != ()
    assert beyond(model(own), ("mine>Own",)) == ()


@pytest.fixture
def hostile(tmp_path):
    """A file that claims Keras 2, and writes another one while it is loaded."""
    code = (
        "import sys, keras_models; from pathlib import Path; folder = Path(sys.argv[1])\n"
        "keras_models.save_all(folder)\n"
        'new = \'"class_name": "TFOpLambda"\'\n'
        'old = \'"class_name": "Dense"\'\n'
        "keras_models.edit_config(folder / 'simple.h5', folder / 'old.h5', old, new)\n"
        "keras_models.old_version(folder / 'old.h5', '2.15.0')\n"
    )
    _run(code, tmp_path)
    return tmp_path / "old.h5"


def _run(code, *arguments, path=()):
    search = os.pathsep.join(map(str, (*path, HERE, HERE.parent)))
    env = os.environ | {"PYTHONPATH": search, "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("tf_keras") is not None, reason="tf-keras itself is installed")
def test_keras_2_never_sees_such_a_file(hostile, tmp_path):
    (tmp_path / "tf_keras.py").write_text(
        "from pathlib import Path\n"
        "class saving:\n"
        "    get_custom_objects = staticmethod(dict)\n"
        "    @staticmethod\n"
        "    def load_model(path, **_):\n"
        f"        Path({str(tmp_path / 'was-loaded')!r}).touch()\n"
    )
    code = (
        "import sys; from pathlib import Path\n"
        "from edgepack.engines.keras import export\n"
        "from edgepack.records.formats import KerasExport\n"
        "export(KerasExport(path=sys.argv[1]), Path(sys.argv[2]))"
    )
    done = _run(code, hostile, tmp_path / "saved", path=[tmp_path])
    assert "UnsafeModelError" in done.stderr
    assert "Keras 2 would do more than build its layers" in done.stderr
    assert "calls tf." in done.stderr
    assert not (tmp_path / "was-loaded").exists()
