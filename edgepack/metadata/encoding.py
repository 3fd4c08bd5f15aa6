"""A `ModelDescription` as a flatbuffer of TFLite's metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.metadata import schema
from edgepack.metadata.flatbuffer import Numbers, Scalar, Table, Tables, Text, buffer
from edgepack.records.metadata import AudioContent, ImageContent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgepack.records.metadata import ModelDescription, Normalization, TensorDescription

Labels = tuple[str, ...]
Content = ImageContent | AudioContent
LABELS_ARE = "Labels of the last axis, one a line."


def encode(description: ModelDescription, label_files: Mapping[Labels, str]) -> bytes:
    """The flatbuffer.

    Args:
        description: what it says.
        label_files: names of the files that hold labels.
    """
    fields = schema.SubGraph
    inputs, outputs = (
        Tables(tuple(_tensor(tensor, label_files) for tensor in side))
        for side in (description.inputs, description.outputs)
    )
    subgraph = Table({fields.INPUTS: inputs, fields.OUTPUTS: outputs})
    return buffer(_model(description, subgraph), schema.IDENTIFIER)


def _model(description: ModelDescription, subgraph: Table) -> Table:
    fields = schema.Model
    heard = any(isinstance(tensor.content, AudioContent) for tensor in description.inputs)
    return Table(
        {
            fields.NAME: _text(description.name),
            fields.DESCRIPTION: _text(description.description),
            fields.VERSION: _text(description.version),
            fields.SUBGRAPHS: Tables((subgraph,)),
            fields.AUTHOR: _text(description.author),
            fields.LICENSE: _text(description.license),
            fields.LEAST_VERSION: Text(schema.AUDIO_VERSION if heard else schema.LEAST_VERSION),
        }
    )


def _text(value: str) -> Text | None:
    return Text(value) if value else None


def _tensor(tensor: TensorDescription, label_files: Mapping[Labels, str]) -> Table:
    fields = schema.Tensor
    units = _unit(tensor.normalization) if tensor.normalization else None
    files = _file(label_files[tensor.labels]) if tensor.labels else None
    return Table(
        {
            fields.NAME: _text(tensor.name),
            fields.DESCRIPTION: _text(tensor.description),
            fields.CONTENT: _content(tensor.content),
            fields.UNITS: Tables((units,)) if units else None,
            fields.STATISTICS: _statistics(tensor),
            fields.FILES: Tables((files,)) if files else None,
        }
    )


def _content(content: Content | None) -> Table:
    kind, properties = _properties(content)
    fields = schema.Content
    return Table({fields.TYPE: Scalar("B", kind), fields.PROPERTIES: properties})


def _properties(content: Content | None) -> tuple[int, Table]:
    match content:
        case None:
            return schema.FEATURE, Table({})
        case AudioContent(sample_rate=rate, channels=channels):
            audio = schema.Audio
            said = {audio.RATE: Scalar("I", rate), audio.CHANNELS: Scalar("I", channels)}
            return schema.AUDIO, Table({**said})
        case ImageContent():
            return schema.IMAGE, _image(content)


def _image(content: ImageContent) -> Table:
    size = None
    if content.width and content.height:
        width, height = Scalar("I", content.width), Scalar("I", content.height)
        size = Table({schema.Size.WIDTH: width, schema.Size.HEIGHT: height})
    color = Scalar("b", schema.COLORS[content.color])
    return Table({schema.Image.COLOR: color, schema.Image.SIZE: size})


def _unit(normalization: Normalization) -> Table:
    fields = schema.Normalization
    mean, std = Numbers("f", normalization.mean), Numbers("f", normalization.std)
    options = Table({fields.MEAN: mean, fields.STD: std})
    kind = Scalar("B", schema.NORMALIZATION)
    return Table({schema.Unit.TYPE: kind, schema.Unit.OPTIONS: options})


def _statistics(tensor: TensorDescription) -> Table | None:
    fields = schema.Statistics
    if not tensor.least and not tensor.greatest:
        return None
    greatest, least = Numbers("f", tensor.greatest), Numbers("f", tensor.least)
    return Table({fields.GREATEST: greatest, fields.LEAST: least})


def _file(name: str) -> Table:
    fields = schema.File
    said = Text(LABELS_ARE)
    kind = Scalar("b", schema.AXIS_LABELS)
    return Table({fields.NAME: Text(name), fields.DESCRIPTION: said, fields.TYPE: kind})
