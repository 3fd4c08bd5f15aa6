"""Tensors and signatures, as a SavedModel or a .tflite file declares them."""

from __future__ import annotations

from pydantic import Field

from edgepack.records.base import Record


class Quantization(Record):
    """Affine quantization: real = scale * (stored - zero_point)."""

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int | None = Field(None, description="dimension that scales run along, if per-channel")


class Tensor(Record):
    """One input or output of a signature."""

    name: str = Field(description="name in the signature; the tensor's own name without one")
    dtype: str = Field(description="NumPy's name of the element type, or string, resource, variant")
    shape: tuple[int, ...] | None = Field(
        description="dimensions as allocated by default; None where the rank is unknown"
    )
    shape_signature: tuple[int, ...] | None = Field(
        None, description="dimensions with -1 for each dynamic one"
    )
    tensor: str = Field("", description="name of the tensor in the graph")
    quantization: Quantization | None = None
    subgraph_index: int | None = Field(
        None, description="position among the subgraph's inputs or outputs (.tflite only)"
    )
    signature_index: int | None = Field(
        None, description="position in the SignatureDef, as stored (.tflite only)"
    )

    @property
    def dims(self) -> tuple[int, ...] | None:
        """Dimensions with -1 for each dynamic one, or None where the rank is unknown."""
        return self.shape_signature if self.shape_signature is not None else self.shape


class Signature(Record):
    """A SignatureDef: a named function with named inputs and outputs."""

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    method: str = Field("", description="SignatureDef.method_name (SavedModel only)")


class OpUse(Record):
    """How often a graph uses one operator."""

    name: str
    count: int
    version: int = 1
    custom: bool = False
