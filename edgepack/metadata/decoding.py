"""A `ModelDescription` from a flatbuffer of TFLite's metadata, whoever wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.metadata import schema
from edgepack.records.metadata import (
    AudioContent,
    ImageContent,
    ModelDescription,
    Normalization,
    TensorDescription,
)
from edgepack.tflite.flatbuffer import root

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgepack.tflite.flatbuffer import Table

Labels = tuple[str, ...]
Content = ImageContent | AudioContent
COLORS = {number: name for name, number in schema.COLORS.items()}


def decode(data: bytes, labels: Mapping[str, Labels]) -> ModelDescription:
    """What a flatbuffer says of the first subgraph, as far as a description can say it.

    Args:
        data: the flatbuffer.
        labels: by the name of the file that holds them; files that are not here are left out.

    Raises:
        CorruptError: it is no whole flatbuffer of metadata.
    """
    model, fields = root(data, schema.IDENTIFIER), schema.Model
    first = next(model.tables(fields.SUBGRAPHS), None)
    return ModelDescription(
        name=model.text(fields.NAME),
        description=model.text(fields.DESCRIPTION),
        version=model.text(fields.VERSION),
        author=model.text(fields.AUTHOR),
        license=model.text(fields.LICENSE),
        inputs=_side(first, schema.SubGraph.INPUTS, labels),
        outputs=_side(first, schema.SubGraph.OUTPUTS, labels),
    )


def _side(
    subgraph: Table | None, side: int, labels: Mapping[str, Labels]
) -> tuple[TensorDescription, ...]:
    if subgraph is None:
        return ()
    return tuple(_read_tensor(table, labels) for table in subgraph.tables(side))


def _read_tensor(table: Table, labels: Mapping[str, Labels]) -> TensorDescription:
    fields = schema.Tensor
    statistics = table.table(fields.STATISTICS)
    return TensorDescription(
        name=table.text(fields.NAME),
        description=table.text(fields.DESCRIPTION),
        content=_read_content(table.table(fields.CONTENT)),
        normalization=_read_normalization(table),
        least=_floats(statistics, schema.Statistics.LEAST),
        greatest=_floats(statistics, schema.Statistics.GREATEST),
        labels=_read_labels(table, labels),
    )


def _floats(table: Table | None, number: int) -> tuple[float, ...]:
    return tuple(map(float, table.numbers(number, "f"))) if table else ()


def _read_labels(table: Table, labels: Mapping[str, Labels]) -> Labels:
    """The first file's, which the schema says is the default one."""
    fields = schema.File
    for file in table.tables(schema.Tensor.FILES):
        if file.scalar(fields.TYPE, "b") == schema.AXIS_LABELS:
            return labels.get(file.text(fields.NAME), ())
    return ()


def _read_normalization(table: Table) -> Normalization | None:
    for unit in table.tables(schema.Tensor.UNITS):
        options = unit.table(schema.Unit.OPTIONS)
        if options and unit.scalar(schema.Unit.TYPE, "B") == schema.NORMALIZATION:
            mean, std = (_floats(options, number) for number in range(2))
            return Normalization(mean=mean, std=std)
    return None


def _read_content(table: Table | None) -> Content | None:
    properties = table.table(schema.Content.PROPERTIES) if table else None
    if table is None or properties is None:
        return None
    kind = table.scalar(schema.Content.TYPE, "B")
    if kind == schema.AUDIO:
        rate, channels = (properties.scalar(number, "I") for number in range(2))
        return AudioContent(sample_rate=rate, channels=channels)
    return _read_image(properties) if kind == schema.IMAGE else None


def _read_image(properties: Table) -> ImageContent | None:
    color = COLORS.get(properties.scalar(schema.Image.COLOR, "b"))
    size = properties.table(schema.Image.SIZE)
    width, height = (size.scalar(n, "I") if size else 0 for n in range(2))
    if color is None:
        return None
    return ImageContent(color=color, width=width or None, height=height or None)
