"""TFLite's metadata as plain values, by the `flatbuffers` package and the published schema.

Compiled by hand from mediapipe/tasks/metadata/metadata_schema.fbs, and independent of the package.
"""

import struct

from flatbuffers import encode, number_types, table

ASSOCIATED_FILE = {"name": 0, "description": 1, "type": (2, "Int8")}
IMAGE = {
    "colorSpace": (0, "Int8"),
    "defaultSize": (1, {"width": (0, "Uint32"), "height": (1, "Uint32")}),
}
AUDIO = {"sampleRate": (0, "Uint32"), "channels": (1, "Uint32")}
CONTENT = {
    "contentPropertiesType": (0, "Uint8"),
    "contentProperties": (1, {1: {}, 2: IMAGE, 4: AUDIO}),
}
UNIT = {"optionsType": (0, "Uint8"), "options": (1, {1: {"mean": (0, "f"), "std": (1, "f")}})}
TENSOR = {
    "name": 0,
    "description": 1,
    "content": (3, CONTENT),
    "processUnits": (4, [UNIT]),
    "stats": (5, {"max": (0, "f"), "min": (1, "f")}),
    "associatedFiles": (6, [ASSOCIATED_FILE]),
}
SUBGRAPH = {"inputTensorMetadata": (2, [TENSOR]), "outputTensorMetadata": (3, [TENSOR])}
MODEL = {
    "name": 0,
    "description": 1,
    "version": 2,
    "subgraphMetadata": (3, [SUBGRAPH]),
    "author": 4,
    "license": 5,
    "minParserVersion": 7,
}


def published(data):
    """What is said of a model; what is absent or 0 is left out."""
    assert data[4:8] == b"M001"
    return _table(
        table.Table(data, encode.Get(number_types.UOffsetTFlags.packer_type, data, 0)), MODEL
    )


def _table(found, fields):
    told = {}
    for name, field in fields.items():
        number, kind = field if isinstance(field, tuple) else (field, "text")
        if offset := found.Offset(4 + 2 * number):
            value = _value(found, offset + found.Pos, kind, told)
            if value not in (0, None):
                told[name] = value
    return told


def _value(found, at, kind, told):
    if kind == "text":
        return found.String(at).decode()
    if kind == "f":
        start, count = found.Vector(at - found.Pos), found.VectorLen(at - found.Pos)
        return list(struct.unpack_from(f"<{count}f", found.Bytes, start))
    if isinstance(kind, str):
        return found.Get(getattr(number_types, f"{kind}Flags"), at)
    if isinstance(kind, list):
        start, count = found.Vector(at - found.Pos), found.VectorLen(at - found.Pos)
        spots = range(start, start + 4 * count, 4)
        return [_table(table.Table(found.Bytes, found.Indirect(spot)), kind[0]) for spot in spots]
    if all(isinstance(key, int) for key in kind) and kind:  # a union: its type was told before
        kind = kind[next(value for key, value in told.items() if key.endswith("Type"))]
    return _table(table.Table(found.Bytes, found.Indirect(at)), kind)
