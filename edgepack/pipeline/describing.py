"""TFLite metadata within a variant's file, where the settings ask for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.errors import ConfigError
from edgepack.files import sha256_file
from edgepack.metadata import describing, embedding
from edgepack.pipeline import making
from edgepack.records.metadata import About, AppData
from edgepack.tflite import reader

if TYPE_CHECKING:
    from concurrent.futures import Future

    from edgepack.pipeline.plan import Plan
    from edgepack.pipeline.session import Session
    from edgepack.records.dataset import SampleSet
    from edgepack.records.metadata import ModelDescription
    from edgepack.records.settings import Settings
    from edgepack.records.stages import ModelFile, SourceModel


def require_one_signature(settings: Settings, source: SourceModel) -> None:
    """Refuse metadata for a file of several signatures before anything is converted.

    Raises:
        ConfigError: both are asked for.
    """
    if settings.metadata.embed and source.others:
        names = ", ".join(source.signatures)
        raise ConfigError(
            f"metadata.embed is on, and the file would have several signatures: {names}",
            hint="TFLite's metadata describe one signature: turn off metadata.embed, or build one.",
        )


def described(
    session: Session, plan: Plan, file: ModelFile, samples: Future[SampleSet]
) -> ModelFile:
    """The file with metadata and labels, or as it was; whatever is measured is measured of this.

    Raises:
        ModelError: the file cannot take metadata.
    """
    if not plan.settings.metadata.embed:
        return file
    told = _description(plan, file, samples.result().classes)
    name = Path(file.path).name

    def make(directory: Path) -> ModelFile:
        target = directory / name
        session.general.submit(embedding.embed_file, file.path, told, str(target)).result()
        return file.model_copy(update={"path": name, "sha256": sha256_file(target)})

    key = {"model": file.sha256, "description": told.model_dump_json()}
    return making.stored(session, "describe", key, make)


def _description(plan: Plan, file: ModelFile, classes: tuple[str, ...]) -> ModelDescription:
    model, about = plan.settings.model, plan.settings.metadata
    signature = reader.read(Path(file.path)).signatures[0]
    inputs = {tensor.name: plan.spec.preprocess(tensor.name) for tensor in signature.inputs}
    return describing.describe(
        About(
            name=model.name,
            version=model.version,
            description=about.description,
            author=about.author,
            license=plan.settings.release.license,
        ),
        signature,
        AppData(
            kind=plan.spec.kind,
            preprocessing=inputs,
            classes=classes,
            output=plan.spec.output,
        ),
    )
