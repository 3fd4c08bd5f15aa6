"""How a file is quantized: the words that engines, search, config and manifest share."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgepack.records.base import Record

Engine = Literal["converter", "quantizer"]
ENGINES: tuple[Engine, ...] = ("quantizer", "converter")
Mode = Literal["float16", "dynamic", "weight-only", "int8", "int16x8"]
Clipping = Literal["min-max", "percentile", "mse"]
CLIPPINGS: tuple[Clipping, ...] = ("min-max", "percentile", "mse")
Granularity = Literal["channel", "tensor"]
Rest = Literal["float32", "float16", "dynamic", "int16x8"]
STATIC: tuple[Mode, ...] = ("int8", "int16x8")


class Recipe(Record):
    """One way to quantize a float32 .tflite."""

    mode: Mode
    engine: Engine = Field("quantizer", description="TFLiteConverter's quantizer, or LiteRT's")
    clipping: Clipping = Field(
        "min-max", description="how ranges of activations follow from the statistics"
    )
    granularity: Granularity = Field(
        "channel", description="one scale a channel of the weights, or one a tensor"
    )
    float_io: bool = Field(False, description="inputs and outputs stay float32 (static modes)")
    symmetric: bool = Field(False, description="zero points of activations are 0 (int8)")
    kept: tuple[str, ...] = Field(
        (), description="names of the tensors whose operators are not quantized, in graph order"
    )
    rest: Rest = Field("float32", description="precision of the operators that are kept")

    @property
    def static(self) -> bool:
        """Whether it needs calibration statistics."""
        return self.mode in STATIC


class Group(Record):
    """Neighbouring operators of the float32 file that are quantized together or not at all."""

    name: str = Field(description="short, unique, from the tensor's name in the model")
    tensors: tuple[str, ...] = Field(description="what the operators put out, in graph order")
    ops: tuple[str, ...] = Field(description="operators' names, such as CONV_2D, in graph order")
    weights_bytes: int = Field(0, description="of constants that only quantization makes smaller")
