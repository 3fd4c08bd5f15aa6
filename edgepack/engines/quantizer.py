"""litert-quantizer: calibration statistics once, then any variant of a float32 .tflite.

Runs in a worker. Statistics are plain minima and maxima, which do not depend on the samples'
order; the library's own default is a moving average, which does.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.engines.observing import Numeric, samples_of
from edgepack.errors import QuantizationError
from edgepack.records.stages import Statistics

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgepack.records.dataset import SplitData
    from edgepack.records.stages import QuantizeJob

EVERY_TENSOR = ".*"


def calibrate(float_model: str, signature: str, split: SplitData, target: Path) -> Statistics:
    """Run the float32 model over the calibration split; write each tensor's range to `target`.

    Raises:
        QuantizationError: the model cannot be run or observed.
    """
    from litert_quantizer import calibrator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # preserving all tensors is the point here
        observer = calibrator.Calibrator(
            Path(float_model).read_bytes(),
            num_threads=1,
            qsv_update_func=calibrator.qsv_utils.min_max_update,
        )
    observer._tfl_interpreter = Numeric(observer._tfl_interpreter)  # noqa: SLF001 - see there
    try:
        observer.calibrate(samples_of(float_model, signature, split), _manager(_static))
    except (RuntimeError, ValueError, KeyError) as error:
        raise QuantizationError(f"it cannot be calibrated: {error}", where=float_model) from error
    if not observer.get_model_qsvs():
        raise QuantizationError("calibration observed no tensor", where=float_model)
    observer.save_calibration_result(str(target))
    return Statistics(samples=split.samples)


def quantize(job: QuantizeJob) -> None:
    """Write one variant of the float32 model.

    Raises:
        QuantizationError: the quantizer refuses the model.
    """
    from litert_quantizer import quantizer
    from litert_quantizer.utils import calibration_utils

    statistics = None
    if job.statistics:
        statistics, _ = calibration_utils.load_calibration_results(job.statistics)
    engine = quantizer.Quantizer(
        job.float_model, _manager(RECIPES[job.variant]).get_quantization_recipe()
    )
    try:
        result = engine.quantize(
            statistics, enable_progress_bar=False, enable_progress_report=False
        )
    except Exception as error:
        what = f"the quantizer refuses it: {type(error).__name__}: {error}"
        raise QuantizationError(what) from error
    Path(job.target).write_bytes(bytes(result.quantized_model))


def _manager(recipe: Callable[[Any], None]) -> Any:
    from litert_quantizer.recipe_manager import RecipeManager

    manager = RecipeManager()
    recipe(manager)
    return manager


def _static(manager: Any) -> None:
    """int8 weights per channel, int8 activations, integer inputs and outputs."""
    manager.add_static_config(EVERY_TENSOR, _every_op(), activation_num_bits=8, weight_num_bits=8)


def _static_float_io(manager: Any) -> None:
    """The same inside, float32 inputs and outputs."""
    from litert_quantizer.algorithm_manager import AlgorithmName
    from litert_quantizer.qtyping import TFLOperationName

    _static(manager)
    for border in (TFLOperationName.INPUT, TFLOperationName.OUTPUT):
        manager.add_quantization_config(EVERY_TENSOR, border, None, AlgorithmName.NO_QUANTIZE)


def _dynamic(manager: Any) -> None:
    """int8 weights per channel; activations are quantized by the kernels as they run."""
    manager.add_dynamic_config(EVERY_TENSOR, _every_op(), num_bits=8)


def _float16(manager: Any) -> None:
    """float16 weights, expanded to float32 when the file is loaded."""
    from litert_quantizer import qtyping
    from litert_quantizer.algorithm_manager import AlgorithmName

    weights = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
    config = qtyping.OpQuantizationConfig(
        weight_tensor_config=weights,
        compute_precision=qtyping.ComputePrecision.FLOAT,
        explicit_dequantize=True,
    )
    manager.add_quantization_config(EVERY_TENSOR, _every_op(), config, AlgorithmName.FLOAT_CASTING)


def _every_op() -> Any:
    from litert_quantizer.qtyping import TFLOperationName

    return TFLOperationName.ALL_SUPPORTED


RECIPES: dict[str, Callable[[Any], None]] = {
    "float16": _float16,
    "dynamic": _dynamic,
    "int8": _static,
    "int8-float-io": _static_float_io,
}
