"""Samples as the .tflite takes them, where the app prepares an input that the source prepares."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from edgepack.engines import tensorflow
from edgepack.pipeline import making, running
from edgepack.records.dataset import Outputs

if TYPE_CHECKING:
    from pathlib import Path

    from edgepack.pipeline.plan import Plan
    from edgepack.pipeline.session import Session
    from edgepack.records.dataset import SampleSet, SplitData
    from edgepack.records.stages import Conversion


def fed(session: Session, plan: Plan, samples: SampleSet, conversion: Conversion) -> SampleSet:
    """The samples with what the source itself makes of the inputs that the file does not take."""
    if not conversion.prepared:
        return samples
    splits = {
        name: _prepared(session, plan, split, conversion) if split.samples else split
        for name, split in samples.splits.items()
    }
    return samples.model_copy(update={"splits": splits})


def _prepared(session: Session, plan: Plan, split: SplitData, conversion: Conversion) -> SplitData:
    tensors = ",".join(one.model_dump_json() for one in conversion.prepared)
    key = {
        **making.source_key(plan),
        "samples": split.digest,
        "tensors": tensors,
        "tensorflow": plan.versions.tensorflow,
    }

    def make(directory: Path) -> Outputs:
        session.tell("prepare", f"preparing {split.samples} samples as the app will have to")
        call = session.tensorflow.submit(
            tensorflow.prepare_inputs, plan.source, conversion, split, directory
        )
        return running.relative(call.result())

    found, directory = session.cache.stage("prepare", key, Outputs, make)
    replaced = {source for one in conversion.prepared for source in one.sources}
    kept = {name: ref for name, ref in split.inputs.items() if name not in replaced}
    digest = hashlib.sha256(f"{split.digest}\0{tensors}".encode()).hexdigest()
    inputs = {**kept, **running.located(found, directory).arrays}
    return split.model_copy(update={"inputs": inputs, "digest": digest})
