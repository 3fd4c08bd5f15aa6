"""The base of every record: frozen, strict, closed."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen value that may cross from one room to another.

    Unknown fields are refused, and no value is coerced from another type.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")
