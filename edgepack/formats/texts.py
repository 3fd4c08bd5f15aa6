"""Models, and what is taken for them, that are text: pointers, pages, JSON, YAML, graphs."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from edgepack.formats import checkpoints, graphs, remedies
from edgepack.formats.graphs import Ends
from edgepack.formats.opened import MOST
from edgepack.records.formats import Format, Remedy
from edgepack.savedmodel.location import TO_BINARY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgepack.formats.opened import Opened

LFS = "version https://git-lfs.github.com/spec/"
LFS_SIZE = re.compile(r"^size ([0-9]{1,18})$", re.MULTILINE)
PAGE = re.compile(
    r"\s*(?:<!--.*?-->\s*)?<(?:!doctype html|html|head|body)(?=[\s>])", re.IGNORECASE | re.DOTALL
)
OPENVINO = re.compile(r"\s*(?:<\?xml[^>]{0,200}\?>\s*)?<net\s[^>]{0,500}version=", re.DOTALL)
CLASSES = frozenset(("Model", "Functional", "Sequential"))
YAML_CLASS = re.compile(r"^class_name: ['\"]?(?:Model|Functional|Sequential)\b", re.MULTILINE)
YAML_CONFIG = re.compile(r"^config:", re.MULTILINE)
TEXT_SAVED = re.compile(r"\A(?:\s|#.*\n)*(?:saved_model_schema_version\s*:|meta_graphs\s*\{)")
TEXT_META = re.compile(r"\A(?:\s|#.*\n)*(?:meta_info_def|graph_def)\s*\{")
TEXT_GRAPH = re.compile(r"\A(?:\s|#.*\n)*(?:node|library|versions)\s*:?\s*\{")
TEXT_FIELD = re.compile(r' {2}(name|op|input): "([^"\\]{0,999})"')
CHECKPOINT = re.compile(r'\A\s*model_checkpoint_path\s*:\s*"([^"\n]{1,4096})"')


def recognise(file: Opened) -> Format | None:
    """A file whose head is text."""
    text = file.text
    if not text.strip():
        return None
    found = (one(file, text) for one in (_pointer, _page, _openvino, _json, _yaml, _proto))
    return next((one for one in found if one), None)


def newest_checkpoint(text: str, folder: Path) -> Path | None:
    """The newest checkpoint that a `checkpoint` file in a folder names; None where it is none.

    It may name it by a path of the machine that trained: what lies beside it comes first.
    """
    match = CHECKPOINT.match(text)
    if not match:
        return None
    beside = folder / PurePath(match[1]).name
    here = beside.is_file() or beside.with_name(f"{beside.name}.index").is_file()
    return beside if here else folder / match[1]


def _pointer(file: Opened, text: str) -> Format | None:
    if not text.startswith(LFS):
        return None
    size = LFS_SIZE.search(text)
    missing = f"the file itself{f', {int(size[1]):,} bytes,' if size else ''} was not fetched"
    folder, name = shlex.quote(str(file.path.parent)), shlex.quote(file.path.name)
    return Format(
        path=str(file.path),
        kind="lfs-pointer",
        what="a Git LFS pointer",
        missing=missing,
        remedy=remedies.shell(
            "Fetch it (git lfs install once, before)", f"git -C {folder} lfs pull --include {name}"
        ),
    )


def _page(file: Opened, text: str) -> Format | None:
    if not PAGE.match(text):
        return None
    return Format(
        path=str(file.path),
        kind="html",
        what="a web page",
        missing="a download saved the page about the model, or an error, instead of the model",
        remedy=Remedy(
            advice="Download the file itself: the raw or download link, signed in if need be."
        ),
    )


def _openvino(file: Opened, text: str) -> Format | None:
    if not OPENVINO.match(text):
        return None
    return Format(
        path=str(file.path),
        kind="openvino",
        what="an OpenVINO model (IR)",
        missing="it was made from another model, and no tool makes a SavedModel of it reliably",
        remedy=Remedy(advice="Go back to the model that it was converted from, and name that."),
    )


def _json(file: Opened, text: str) -> Format | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(file.read(0, MOST).decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    return _tensorflow_js(file, value) or _architecture(file, value)


def _tensorflow_js(file: Opened, value: dict[str, Any]) -> Format | None:
    if "modelTopology" not in value or "weightsManifest" not in value:
        return None
    layers = value.get("format") != "graph-model"
    source, folder = shlex.quote(str(file.path)), shlex.quote(remedies.target(file.path))
    command = (
        "tensorflowjs_converter --input_format tfjs_layers_model --output_format "
        f"keras_saved_model {source} {folder}"
    )
    return Format(
        path=str(file.path),
        kind="tensorflow-js",
        what=f"a TensorFlow.js {'layers' if layers else 'graph'} model",
        missing="its weights lie in the .bin files beside it",
        remedy=remedies.shell("Convert it (pip install tensorflowjs)", command)
        if layers
        else Remedy(advice="Go back to the SavedModel that it was converted from, and name that."),
    )


def _architecture(file: Opened, value: dict[str, Any]) -> Format | None:
    config, name = value.get("config"), value.get("class_name")
    if not isinstance(name, str) or not isinstance(config, dict | list):
        return None
    layers = config.get("layers") if isinstance(config, dict) else config
    own = name in CLASSES or isinstance(layers, list) or "registered_name" in value
    return _config(file, yaml=False) if own else None


def _yaml(file: Opened, text: str) -> Format | None:
    if not YAML_CLASS.search(text) or not YAML_CONFIG.search(text):
        return None
    return _config(file, yaml=True)


def _config(file: Opened, *, yaml: bool) -> Format:
    return Format(
        path=str(file.path),
        kind="keras-config",
        what=f"the architecture of a Keras model ({'YAML' if yaml else 'JSON'})",
        missing="the weights are missing: it says only how layers are connected",
        remedy=remedies.load_architecture(file.path, yaml=yaml),
    )


def _proto(file: Opened, text: str) -> Format | None:
    path = str(file.path)
    if TEXT_SAVED.match(text):
        binary = str(file.path.with_name("saved_model.pb"))
        return Format(
            path=path,
            kind="saved-model-graph",
            what="the graph of a SavedModel as text",
            missing="its weights, in the variables/ saved with it",
            remedy=remedies.python(
                "Put it beside that variables/ and write its binary form",
                TO_BINARY.format(text=path, binary=binary),
            ),
        )
    if TEXT_META.match(text):
        return Format(
            path=path,
            kind="meta-graph",
            what="a graph of TensorFlow 1's training as text (MetaGraphDef)",
            missing="the weights are missing: they are in the checkpoint saved with it",
            remedy=remedies.restore_meta(file.path, file.path.with_suffix(""), Ends((), ())),
        )
    if TEXT_GRAPH.match(text):
        return Format(
            path=path,
            kind="graph-def-text",
            what="a TensorFlow graph as text (GraphDef)",
            missing="it has no signature",
            remedy=remedies.wrap_graph(file.path, _ends(file), text=True),
        )
    newest = newest_checkpoint(text, file.path.parent)
    return checkpoints.of_prefix(file.path, newest) if newest else None


def _ends(file: Opened) -> Ends:
    if file.size > MOST:
        return Ends((), ())
    return graphs.ends(_nodes(file.read(0, MOST).decode("utf-8", "replace")))


def _nodes(text: str) -> Iterator[graphs.Node]:
    """Nodes as text_format writes them: a field of a node is indented by two spaces."""
    fields: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith("node"):
            fields = []
        elif match := TEXT_FIELD.match(line):
            fields.append((match[1], match[2]))
        elif line.startswith("}"):
            used = tuple(value for key, value in fields if key == "input")
            named = dict(reversed(fields))
            yield graphs.Node(named.get("name", ""), named.get("op", ""), used)
