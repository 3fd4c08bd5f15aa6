"""Both stock int8 files of a model, as their guides make them: `python stock.py DIR [NAME ...]`.

TFLiteConverter with a representative dataset, integers wherever it can; litert-quantizer's static
recipe on the float32 file, calibrated by its own `Quantizer.calibrate`. Each is made and run in a
process of its own, whose end by a signal or by the time limit is a result like any other. What
fails before float32 runs is no result, and ends the measurement.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[Any]

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
LIMIT = 300  # seconds for one file
ROUNDS = 15
DROP, AGREEMENT = 0.05, 0.9  # beyond which a file counts as ruined
WAYS = ("converter", "quantizer")
READY = "ready"  # printed once float32 runs: what fails from there on, int8 fails at


@dataclass(frozen=True)
class Figures:
    """One int8 file, on the evaluate split."""

    failure: str = ""
    top1: float = 0.0
    float_top1: float = 0.0
    agreement: float = 0.0
    latency_ratio: float = 0.0
    size_bytes: int = 0
    seconds: float = 0.0

    @property
    def collapses(self) -> bool:
        """More than five points worse, unlike float32 in more than a tenth, or not there."""
        return (
            bool(self.failure) or self.float_top1 - self.top1 > DROP or self.agreement < AGREEMENT
        )


def measure(folder: Path) -> dict[str, Figures]:
    """Both stock files of the model of a project, by way."""
    return {way: _apart(way, folder) for way in WAYS}


def _apart(way: str, folder: Path) -> Figures:
    command = [sys.executable, __file__, "--one", way, str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return Figures(failure=f"not done in {LIMIT} s")
    if done.returncode and READY not in done.stdout.splitlines():
        sys.exit(f"{folder}: not measured, as float32 does not run:\n{done.stderr[-2000:]}")
    if done.returncode < 0:
        return Figures(failure=f"killed by signal {-done.returncode}")
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it failed"]
        return Figures(failure=lines[-1][:200])
    return Figures(**json.loads(done.stdout.splitlines()[-1]))


def _one(way: str, folder: Path) -> Figures:
    calibration, _ = samples(folder, "calibrate")
    sample = samples(folder, "evaluate")[0][:1]
    import_module("litert_quantizer")  # its absence is not a failure of int8 either
    start = perf_counter()
    float_file = _converted(folder / "model", None)
    _answers(float_file, sample)
    print(READY, flush=True)
    if way == "converter":
        made = _converted(folder / "model", calibration)
    else:
        made = _quantized(float_file, calibration)
    return figures(made, float_file, folder, seconds=perf_counter() - start)


def samples(folder: Path, split: str) -> tuple[Samples, Samples]:
    """Inputs and labels of a split."""
    with np.load(folder / f"{split}.npz") as arrays:
        return arrays["x"], arrays["y"]


def figures(made: bytes, float_file: bytes, folder: Path, *, seconds: float) -> Figures:
    """Measure a file and float32 on the evaluate split, and time them side by side."""
    x, y = samples(folder, "evaluate")
    mine, theirs = (_answers(file, x) for file in (made, float_file))
    return Figures(
        top1=float((mine == y).mean()),
        float_top1=float((theirs == y).mean()),
        agreement=float((mine == theirs).mean()),
        latency_ratio=_ratio(made, float_file, x[:1]),
        size_bytes=len(made),
        seconds=seconds,
    )


def _converted(model: Path, calibration: Samples | None) -> bytes:
    """By TFLiteConverter; with what TensorFlow's own messages advise where that is refused."""
    import tensorflow as tf

    sets = tf.lite.OpsSet
    for lists in (False, True):
        for ops in ([sets.TFLITE_BUILTINS_INT8], [sets.TFLITE_BUILTINS_INT8, sets.TFLITE_BUILTINS]):
            converter: Any = tf.lite.TFLiteConverter.from_saved_model(str(model))
            if lists:
                converter._experimental_default_to_single_batch_in_tensor_list_ops = True  # noqa: SLF001 - as TensorFlow's own message advises
            if calibration is not None:
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
                converter.representative_dataset = lambda: ([one[None]] for one in calibration)
                converter.target_spec.supported_ops = ops
            try:
                return bytes(converter.convert())
            except Exception as error:  # noqa: BLE001 - the converter raises whatever it likes
                last = error
    raise last


def _quantized(float_file: bytes, calibration: Samples) -> bytes:
    from litert_quantizer import quantizer, recipe

    engine = quantizer.Quantizer(float_file, recipe.static_wi8_ai8())
    signature, inputs = next(iter(_interpreter(float_file).get_signature_list().items()))
    samples = [{inputs["inputs"][0]: one[None]} for one in calibration]
    found = engine.calibrate({signature: samples})
    return bytes(engine.quantize(found).quantized_model)


def _interpreter(content: bytes) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    return interpreter


def _feed(interpreter: Any, sample: Samples) -> None:
    detail = interpreter.get_input_details()[0]
    if detail["dtype"] == np.int8:
        scale, zero = detail["quantization"]
        sample = np.clip(np.rint(sample / scale + zero), -128, 127).astype(np.int8)
    interpreter.set_tensor(detail["index"], sample)


def _answers(content: bytes, x: Samples) -> Samples:
    interpreter = _interpreter(content)
    output, found = interpreter.get_output_details()[0]["index"], []
    for one in x:
        _feed(interpreter, one[None])
        interpreter.invoke()
        found.append(interpreter.get_tensor(output)[0].argmax())
    return np.array(found)


def _ratio(mine: bytes, other: bytes, sample: Samples) -> float:
    """Median over interleaved rounds of the time of one over that of the other."""
    pair = [_interpreter(content) for content in (mine, other)]
    for interpreter in pair:
        _feed(interpreter, sample)
    rounds = [[_block(interpreter) for interpreter in pair] for _ in range(ROUNDS + 3)][3:]
    return median(one / two for one, two in rounds)


def _block(interpreter: Any) -> float:
    times = []
    for _ in range(20):
        start = perf_counter()
        interpreter.invoke()
        times.append(perf_counter() - start)
    return median(times)


def main() -> None:
    if sys.argv[1] == "--one":
        print(json.dumps(asdict(_one(sys.argv[2], Path(sys.argv[3])))))
        return
    folder = Path(sys.argv[1])
    for name in sys.argv[2:] or sorted(one.name for one in folder.iterdir()):
        for way, found in measure(folder / name).items():
            print(name, way, found, "COLLAPSES" if found.collapses else "", flush=True)


if __name__ == "__main__":
    main()
