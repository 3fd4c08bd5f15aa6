"""Whatever is at hand, converted by TensorFlow alone. Runs in a worker."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import remedy_models

from edgepack.engines.importing import import_tensorflow

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared/data"
IMAGES = {  # models that are calibrated, by the shape of a sample
    ROOT / "calibration/digits/saved_model": (1, 8, 8, 1),
    SHARED / "ic/saved_model": (1, 32, 32, 3),
}
MODES = ("float32", "float16", "dynamic", "int8", "int16x8")
WILD = 6  # models out of repositories; half a second each


def convert_all(directory):
    """MODEL-MODE.tflite for each that TensorFlow converts; names of those that it does not."""
    tf, directory = import_tensorflow(), Path(directory)
    warnings.simplefilter("ignore")
    remedy_models.convert_all(directory)
    for number, (path, shape) in enumerate(IMAGES.items()):
        for mode in MODES if path.exists() else ():
            _convert(tf, path, mode, shape, directory / f"image{number}-{mode}.tflite")
    for number, path in enumerate(_wild()):
        for mode in ("float32", "dynamic"):
            _convert(tf, path, mode, None, directory / f"wild{number}-{mode}.tflite")


def _wild():
    """Some that the stock converter was seen to make builtins of."""
    told = SHARED / "wild/stock.jsonl"
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else ()
    names = [one["id"] for one in map(json.loads, lines) if one["plain_tensorflow"] == "builtins"]
    for name in names[:WILD]:
        yield min((SHARED / "wild" / name.partition("/")[0]).rglob("saved_model.pb")).parent


def _convert(tf, path, mode, shape, target):
    try:
        converter = tf.lite.TFLiteConverter.from_saved_model(str(path))
        _set(tf, converter, mode, shape)
        target.write_bytes(converter.convert())
    except Exception:  # noqa: BLE001 - one that does not convert is passed over
        return


def _set(tf, converter, mode, shape):
    if mode != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if mode == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if mode.startswith("int"):
        rng = np.random.default_rng(0)
        samples = rng.random((5, *shape), dtype=np.float32)
        converter.representative_dataset = lambda: ([sample] for sample in samples)
    if mode == "int16x8":
        sets = tf.lite.OpsSet
        wide = sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        converter.target_spec.supported_ops = [wide]
