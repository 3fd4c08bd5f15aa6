"""Whether a spec makes what the model's inputs take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

    from edgepack.records.dataset import DatasetSpec
    from edgepack.records.tensors import Tensor

NUMBERS = frozenset(
    [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
    + ["bool", "float16", "float32", "float64"]
)
TEXT = "string"
TEXT_KINDS = ("arrays", "table", "function")
OF_TEXT = {"dtype", "columns", "array"}  # all that a spec may say of an input that takes strings


def check_inputs(spec: DatasetSpec, root: Path, inputs: tuple[Tensor, ...]) -> None:
    """Hold every input of the spec against the model's, and against its type.

    Raises:
        DatasetError: the model has no such input, or it takes something else.
    """
    known = {tensor.name for tensor in inputs}
    if unknown := sorted(spec.inputs.keys() - known - {"*"}):
        raise DatasetError(
            f"the model has no input {unknown[0]!r}",
            where=root,
            hint=f"Its inputs: {', '.join(sorted(known))}. Rename [inputs.{unknown[0]}].",
        )
    if len(known) > 1 and spec.kind in {"image-folder", "image-list", "audio"}:
        raise DatasetError(
            f"kind {spec.kind} feeds one input, and the model has {', '.join(sorted(known))}",
            where=root,
            hint="Use kind arrays, table or function.",
        )
    for tensor in inputs:
        if tensor.dtype not in NUMBERS | {TEXT}:
            raise DatasetError(
                f"the input {tensor.name!r} takes {tensor.dtype}: samples are numbers or strings",
                where=root,
                hint="Export a signature that takes numbers or strings.",
            )
        mine = spec.preprocess(tensor.name).dtype
        if mine != tensor.dtype:
            raise DatasetError(
                f"the input {tensor.name!r} is {tensor.dtype}, the spec makes {mine}",
                where=root,
                hint=f'Set inputs.{tensor.name}.dtype = "{tensor.dtype}".',
            )
        if tensor.dtype == TEXT:
            _check_text(spec, root, tensor)


def _check_text(spec: DatasetSpec, root: Path, tensor: Tensor) -> None:
    """Nothing but where they come from can be said of strings."""
    if spec.kind not in TEXT_KINDS:
        raise DatasetError(
            f"kind {spec.kind} feeds numbers, and the input {tensor.name!r} takes strings",
            where=root,
            hint="Use kind arrays, table or function.",
        )
    preprocess = spec.preprocess(tensor.name)
    others = preprocess.model_dump(exclude=OF_TEXT, exclude_defaults=True)
    if others:
        raise DatasetError(
            f"the input {tensor.name!r} takes strings, which have no {', '.join(others)}",
            where=root,
            hint=f"Leave these out of [inputs.{tensor.name}].",
        )
