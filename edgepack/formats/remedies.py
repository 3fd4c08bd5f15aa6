"""Lines that make a SavedModel of something else: each is run by a test, where it can be."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from edgepack.records.formats import Remedy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from edgepack.formats.graphs import Ends

MOST_ENDS = 8  # inputs or outputs written out


def target(path: Path) -> str:
    """Where the lines write the SavedModel: beside the file, under its name."""
    return str(path.with_name(f"{path.name.partition('.')[0] or 'model'}_saved_model"))


def name_it(path: Path) -> Remedy:
    """The SavedModel is there: inspect and build that directory."""
    return Remedy(
        advice=f"Name the directory {path}",
        language="sh",
        lines=f"edgepack inspect {shlex.quote(str(path))}",
    )


def python(advice: str, *lines: str) -> Remedy:
    """Lines of Python."""
    return Remedy(advice=advice, language="python", lines="\n".join(lines))


def shell(advice: str, *lines: str) -> Remedy:
    """Lines for a shell."""
    return Remedy(advice=advice, language="sh", lines="\n".join(lines))


BUILDS_EXPORT = "edgepack build exports it by itself (model.path, --model); by hand that is"


def export_keras(path: Path, advice: str = BUILDS_EXPORT) -> Remedy:
    """A whole Keras model: builds export it."""
    return python(
        advice,
        "import keras",
        f"model = keras.saving.load_model({str(path)!r}, compile=False)",
        f"model.export({target(path)!r})",
    )


def load_weights(path: Path) -> Remedy:
    """Weights of Keras', whose architecture is in the code that trained them."""
    return python(
        "Build the model as the training does, then load the weights into it",
        "# model = ...  # the code that made the model which was trained",
        f"model.load_weights({str(path)!r})",
        f"model.export({target(path)!r})",
    )


def load_architecture(path: Path, *, yaml: bool) -> Remedy:
    """An architecture of Keras', which needs the weights that were saved beside it."""
    read = f"Path({str(path)!r}).read_text(encoding='utf-8')"
    text = f"json.dumps(yaml.safe_load({read}))" if yaml else read
    return python(
        "Find the weights that belong to it, and put both together"
        + (" (pip install pyyaml)" if yaml else ""),
        *(("import json", "import yaml") if yaml else ()),
        "from pathlib import Path",
        "import keras",
        f"model = keras.models.model_from_json({text})",
        "model.load_weights('WEIGHTS.weights.h5')  # the file with the weights",
        f"model.export({target(path)!r})",
    )


def restore_objects(prefix: Path, name: str) -> Remedy:
    """A checkpoint of TensorFlow 2's: weights by the place of their variable in an object."""
    return python(
        "Build the objects as the training does, under the names it gave them, then restore",
        "import tensorflow as tf",
        "# model = ...  # the code that made the model which was trained",
        f"found = tf.train.Checkpoint({name}=model).restore({str(prefix)!r}).expect_partial()",
        "found.assert_existing_objects_matched()",
        f"model.export({target(prefix)!r})",
    )


def restore_keras_2(prefix: Path) -> Remedy:
    """Weights as Keras 2 saved them in TensorFlow's format, which Keras 3 does not read."""
    return python(
        "Build the model with Keras 2 (pip install tf-keras) as the training does",
        "import tf_keras",
        "# model = ...  # the code that made the model which was trained, with tf_keras",
        f"model.load_weights({str(prefix)!r}).assert_existing_objects_matched()",
        f"model.export({target(prefix)!r})",
    )


def restore_names(prefix: Path) -> Remedy:
    """A checkpoint of TensorFlow 1's without its graph: weights by the name of their variable."""
    return python(
        "Find the .meta file saved with it, or build the graph in code, then restore",
        "import tensorflow.compat.v1 as tf",
        "# inputs, outputs = ...  # tensors by name, of the code that made the graph",
        "with tf.Session() as session:",
        f"    tf.train.Saver().restore(session, {str(prefix)!r})",
        f"    tf.saved_model.simple_save(session, {target(prefix)!r}, inputs, outputs)",
    )


def restore_meta(meta: Path, prefix: Path, ends: Ends) -> Remedy:
    """A graph of TensorFlow 1's training, and the checkpoint of its weights."""
    return python(
        f"Restore the weights into the graph; {_check(ends)}",
        "import tensorflow.compat.v1 as tf",
        "with tf.Graph().as_default() as graph, tf.Session() as session:",
        f"    saver = tf.train.import_meta_graph({str(meta)!r}, clear_devices=True)",
        f"    saver.restore(session, {str(prefix)!r})",
        *_save(ends, target(meta)),
    )


def wrap_graph(path: Path, ends: Ends, *, text: bool) -> Remedy:
    """A frozen graph, whose weights are constants in it."""
    read = (
        f"text_format.Parse(Path({str(path)!r}).read_text(), tf.GraphDef())"
        if text
        else f"tf.GraphDef.FromString(Path({str(path)!r}).read_bytes())"
    )
    return python(
        f"Give the graph a signature; {_check(ends)}",
        "from pathlib import Path",
        *(("from google.protobuf import text_format",) if text else ()),
        "import tensorflow.compat.v1 as tf",
        f"graph_def = {read}",
        "with tf.Graph().as_default() as graph, tf.Session() as session:",
        "    tf.import_graph_def(graph_def, name='')",
        *_save(ends, target(path)),
    )


def sign_module(path: Path) -> Remedy:
    """A module of TensorFlow Hub's first kind: its tags and signature are not the usual ones."""
    return python(
        "Save its signature again under the usual tag and name",
        "import tensorflow.compat.v1 as tf",
        "def tensors(infos, graph):",
        "    return {key: graph.get_tensor_by_name(one.name) for key, one in infos.items()}",
        "with tf.Graph().as_default() as graph, tf.Session() as session:",
        f"    module = tf.saved_model.load(session, [], {str(path)!r})",
        "    signature = module.signature_def['default']",
        f"    tf.saved_model.simple_save(session, {str(path) + '_saved_model'!r},",
        "        tensors(signature.inputs, graph), tensors(signature.outputs, graph),",
        "        legacy_init_op=tf.tables_initializer())",
    )


def unpack(path: Path, inner: str, *, zipped: bool) -> Remedy:
    """An archive with a SavedModel, or another model, in it."""
    folder = target(path)
    source, quoted = shlex.quote(str(path)), shlex.quote(folder)
    extract = f"tar -xf {source} -C {quoted}"
    if zipped:
        extract = f"python -m zipfile -e {source} {quoted}"
    found = shlex.quote(f"{folder}/{inner}" if inner else folder)
    return shell("Unpack it", f"mkdir -p {quoted}", extract, f"edgepack inspect {found}")


def collect(path: Path) -> Remedy:
    """saved_model.pb under another name."""
    folder = shlex.quote(target(path))
    return shell(
        "It is the graph alone: put it into a directory as saved_model.pb, and the variables/ "
        "and assets/ that were saved with it beside it",
        f"mkdir -p {folder}",
        f"cp {shlex.quote(str(path))} {folder}/saved_model.pb",
    )


def _check(ends: Ends) -> str:
    if _known(ends):
        return "inputs and outputs are a guess from the graph, check them"
    return "write its own tensors' names in the place of INPUT and OUTPUT"


def _known(ends: Ends) -> bool:
    return bool(ends.inputs and ends.outputs) and max(map(len, (ends.inputs, ends.outputs))) <= (
        MOST_ENDS
    )


def _save(ends: Ends, folder: str) -> Iterable[str]:
    inputs, outputs = (ends.inputs, ends.outputs) if _known(ends) else (("INPUT",), ("OUTPUT",))
    yield f"    inputs = {_tensors(inputs)}"
    yield f"    outputs = {_tensors(outputs)}"
    yield "    inputs, outputs = ("
    yield "        {name: graph.get_tensor_by_name(one) for name, one in ends.items()}"
    yield "        for ends in (inputs, outputs)"
    yield "    )"
    yield f"    tf.saved_model.simple_save(session, {folder!r}, inputs, outputs)"


def _tensors(names: Iterable[str]) -> Mapping[str, str]:
    return {name.replace("/", "_"): f"{name}:0" for name in names}
