"""A signature contract: what an app expects of the model it was written for."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgepack.records.base import Record
from edgepack.records.settings import VariantName


class ExpectedTensor(Record):
    """One input or output that an app feeds or reads."""

    name: str = Field(description="name in the signature")
    dtype: str = Field(min_length=1, description="NumPy's name of the element type, or string")
    shape: tuple[int, ...] | None = Field(description="-1 accepts any size, null accepts any shape")
    quantization: Literal["none", "any"] | None = Field(
        None, description="none: not quantized; any: quantized; null: either"
    )
    scales: tuple[float, ...] = Field(
        (), description="that an app has built in; any when empty, one or one a channel"
    )
    zero_points: tuple[int, ...] = Field((), description="as many as there are scales")


class ExpectedSignature(Record):
    """One signature that an app calls."""

    name: str = Field(description="of the SignatureDef; empty where the file has none")
    inputs: tuple[ExpectedTensor, ...]
    outputs: tuple[ExpectedTensor, ...]


class Contract(Record):
    """`contract.json`, format version 1."""

    schema_version: Literal[1] = 1
    variants: tuple[VariantName, ...] = Field(
        (), description="variants that it speaks for; all of them when empty"
    )
    signatures: tuple[ExpectedSignature, ...] = Field(description="those that the app calls")
