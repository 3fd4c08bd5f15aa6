"""Other ways to prepare samples, tried where the source model's accuracy is off."""

from __future__ import annotations

from pydantic import Field

from edgepack.records.base import Record


class Alternative(Record):
    """One change to what already went through the dataset spec's preprocessing.

    In this order: channels reversed, value * scale + offset.
    """

    name: str = Field(description="completes: the model expects ...")
    input: str = Field(description="signature input, or '*' for the only one")
    advice: str = Field(description="what to write into the dataset spec")
    scale: tuple[float, ...] = Field((1.0,), description="one value, or one a channel")
    offset: tuple[float, ...] = Field((0.0,), description="one value, or one a channel")
    reverse_channels: bool = False
    channel_axis: int = Field(-1, description="of one sample: -1 for nhwc, 0 for nchw")
