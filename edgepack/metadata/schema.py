"""Names of the numbers in TFLite's metadata, in the order of their schema (metadata_schema.fbs).

https://github.com/google-ai-edge/mediapipe/blob/master/mediapipe/tasks/metadata/metadata_schema.fbs
"""

from __future__ import annotations

from typing import Literal

IDENTIFIER = b"M001"
ENTRY = "TFLITE_METADATA"  # the entry of Model.metadata whose buffer holds them
# The least version of the schema whose readers understand all that is said.
LEAST_VERSION, AUDIO_VERSION = "1.0.0", "1.3.0"

FEATURE, IMAGE, AUDIO = 1, 2, 4  # of the union ContentProperties
NORMALIZATION = 1  # of the union ProcessUnitOptions
AXIS_LABELS = 2  # of AssociatedFileType: one label a line for each index of an axis
COLORS: dict[Literal["rgb", "grayscale"], int] = {"rgb": 1, "grayscale": 2}  # ColorSpaceType


class Model:
    """Fields of ModelMetadata, by their number in the schema, as in all classes below."""

    NAME, DESCRIPTION, VERSION, SUBGRAPHS, AUTHOR, LICENSE = range(6)
    LEAST_VERSION = 7


class SubGraph:
    """Fields of SubGraphMetadata."""

    INPUTS, OUTPUTS = 2, 3


class Tensor:
    """Fields of TensorMetadata."""

    NAME, DESCRIPTION = 0, 1
    CONTENT, UNITS, STATISTICS, FILES = 3, 4, 5, 6


class Content:
    """Fields of Content."""

    TYPE, PROPERTIES = range(2)


class Image:
    """Fields of ImageProperties."""

    COLOR, SIZE = range(2)


class Size:
    """Fields of ImageSize."""

    WIDTH, HEIGHT = range(2)


class Audio:
    """Fields of AudioProperties."""

    RATE, CHANNELS = range(2)


class Unit:
    """Fields of ProcessUnit."""

    TYPE, OPTIONS = range(2)


class Normalization:
    """Fields of NormalizationOptions."""

    MEAN, STD = range(2)


class Statistics:
    """Fields of Stats."""

    GREATEST, LEAST = range(2)


class File:
    """Fields of AssociatedFile."""

    NAME, DESCRIPTION, TYPE = range(3)
