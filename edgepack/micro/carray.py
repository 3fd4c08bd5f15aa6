"""A .tflite as an aligned array in C, valid C11 and C++11: what firmware compiles in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgepack.micro.planner import ALIGNMENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.records.micro import CModel

SUFFIX = "model"
ROW = 12  # bytes on a line


def identifier(name: str) -> str:
    """What the array is called: ASCII letters, digits and single underscores, then `_model`.

    A name that would start with a digit gets an `m` in front.
    """
    words = re.findall(r"[A-Za-z0-9]+", name.lower())
    found = "_".join([*words, SUFFIX])
    return f"m{found}" if found[0].isdigit() else found


def files(model: CModel, data: bytes) -> dict[str, bytes]:
    """A header and a source by their names; equal input gives equal bytes."""
    own = identifier(model.name)
    header, source = _header(own, model), _source(own, model, data)
    return {
        f"{own}.h": "".join(f"{line}\n" for line in header).encode("ascii"),
        f"{own}.c": "".join(f"{line}\n" for line in source).encode("ascii"),
    }


def _title(model: CModel) -> str:
    named = f"{model.name} {model.version}, variant {model.variant}"
    return f"/* {_plain(named)}: written by edgepack export, not to be edited. */"


def _header(own: str, model: CModel) -> Iterator[str]:
    prefix = own.upper()
    yield _title(model)
    yield from (f"#ifndef {prefix}_H_", f"#define {prefix}_H_", "")
    for key, value in (
        ("NAME", model.name),
        ("VERSION", model.version),
        ("VARIANT", model.variant),
        ("SHA256", model.sha256),
    ):
        yield f'#define {prefix}_{key} "{_plain(value)}"'
    yield f"#define {prefix}_BYTES {model.size_bytes}"
    yield f"#define {prefix}_ALIGNMENT {ALIGNMENT}"
    yield from _arena(prefix, model)
    yield from ("", "#ifdef __cplusplus", 'extern "C" {', "#endif", "")
    yield f"extern const unsigned char {own}[{prefix}_BYTES];"
    yield f"extern const unsigned long {own}_bytes;"
    yield from ("", "#ifdef __cplusplus", "}", "#endif", "")
    yield f"#endif /* {prefix}_H_ */"


def _arena(prefix: str, model: CModel) -> Iterator[str]:
    """What TFLite Micro's arena takes, where it is known, and what the figure is worth."""
    arena = model.arena
    if arena is None:
        return
    how = arena.method + (f" by {arena.runtime}" if arena.runtime else "")
    yield ""
    yield f"/* Tensor arena, {_plain(how)}; an array that starts at a multiple of {ALIGNMENT}."
    yield "   Kernels of others, such as CMSIS-NN, take more: measure it on the device. */"
    yield f"#define {prefix}_ARENA_BYTES {arena.bytes}"


def _source(own: str, model: CModel, data: bytes) -> Iterator[str]:
    prefix = own.upper()
    yield _title(model)
    yield from (f'#include "{own}.h"', "")
    yield "#if defined(__cplusplus) && __cplusplus >= 201103L"
    yield f"#define {prefix}_ALIGNED alignas({prefix}_ALIGNMENT)"
    yield "#elif !defined(__cplusplus) && defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L"
    yield f"#define {prefix}_ALIGNED _Alignas({prefix}_ALIGNMENT)"
    yield "#elif defined(__GNUC__) || defined(__ARMCC_VERSION) || defined(__ICCARM__)"
    yield f"#define {prefix}_ALIGNED __attribute__((aligned({prefix}_ALIGNMENT)))"
    yield "#else"
    yield '#error "this compiler is not told here how to align an array"'
    yield from ("#endif", "")
    yield f"const unsigned long {own}_bytes = {prefix}_BYTES;"
    yield from ("", f"{prefix}_ALIGNED const unsigned char {own}[{prefix}_BYTES] = {{")
    for at in range(0, len(data), ROW):
        yield "    " + " ".join(f"0x{byte:02x}," for byte in data[at : at + ROW])
    yield "};"


def _plain(text: str) -> str:
    """Text that neither ends a comment or a string, nor means anything in one."""
    return re.sub(r"[^A-Za-z0-9 .,;:=+_-]", "_", text)
