"""HDF5 files, told apart by the names in them: Keras' whole models, its weights, and others.

The signature stands at byte 0, 512, 1024, ... (HDF5 File Format Specification, III.A). Names of
attributes and groups are plain bytes in object headers, which this does not follow: what it says
is as sure as a search for a name can be. h5py decides, in the worker, when a model is exported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.formats import remedies
from edgepack.records.formats import Format, Remedy

if TYPE_CHECKING:
    from edgepack.formats.opened import Opened

SIGNATURE = b"\x89HDF\r\n\x1a\n"
PLACES = (0, 512, 1024, 2048, 4096)
WEIGHTS = (b"layer_names", b"weight_names", b"_layer_checkpoint_dependencies")


def recognise(file: Opened) -> Format | None:
    """A file that begins as HDF5 does."""
    if not any(file.head.startswith(SIGNATURE, place) for place in PLACES):
        return None
    path = str(file.path)
    if file.holds(b"model_config"):
        return Format(
            path=path,
            kind="keras-hdf5",
            what="a Keras model in one HDF5 file",
            sure=False,
            missing="it is not exported yet",
            remedy=remedies.export_keras(file.path),
        )
    if file.holds(*WEIGHTS) or (file.holds(b"layers") and file.holds(b"vars")):
        return Format(
            path=path,
            kind="hdf5-weights",
            what="an HDF5 file of Keras weights",
            sure=False,
            missing="the architecture is missing: it says nothing of what is computed",
            remedy=remedies.load_weights(file.path),
        )
    return Format(
        path=path,
        kind="hdf5",
        what="an HDF5 file, and holds no Keras model",
        missing="it is data, or written by another program",
        remedy=Remedy(advice="Name the model, not its data."),
    )
