"""One build from settings to bundle: plan, measure, judge, deliver."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack import gate
from edgepack.bundle import parts
from edgepack.bundle.contents import write_bundle
from edgepack.errors import UsageError
from edgepack.files import write_atomic
from edgepack.pipeline import baseline as baselines
from edgepack.pipeline import compose, devices, measuring, proving, releasing, sources
from edgepack.pipeline import plan as plans
from edgepack.pipeline import vectors as golden
from edgepack.pipeline.compose import Outcome
from edgepack.pipeline.session import Session
from edgepack.records.report import BuildResult
from edgepack.report import frontier, markdown
from edgepack.report import json as report_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edgepack.bundle.keys import Signer
    from edgepack.cache import Cache
    from edgepack.pipeline.measuring import Measured
    from edgepack.pipeline.plan import Plan
    from edgepack.pipeline.releasing import Sequence
    from edgepack.records.events import Event
    from edgepack.records.manifest import Manifest
    from edgepack.records.search import Findings
    from edgepack.records.settings import Settings

ZIP_EPOCH = 315_532_800  # 1980-01-01, the first day a zip can name


@dataclass(frozen=True)
class Request:
    """One call of `build`, wholly described."""

    settings: Settings
    cache: Cache
    emit: Callable[[Event], None]
    baseline: Path | None = None
    strict: bool = False
    allow_failed: bool = False
    verbose: bool = False
    signers: tuple[Signer, ...] = ()


def build(request: Request) -> BuildResult:
    """Convert, quantize, measure, judge, and leave a bundle and its reports behind.

    A refused build writes its reports and no bundle, and is returned, not raised: its result's
    `passed` is False.

    Raises:
        EdgepackError: what stopped the build before it could be judged.
    """
    settings, output, epoch = request.settings, Path(request.settings.output), _epoch()
    with Session(request.cache, settings.limits, request.emit, request.verbose, output) as session:
        plan = plans.make(session, settings)
        for remark in sources.remarks(plan.facts, plan.signature):
            session.warn("model", remark)
        release = None
        if request.baseline:
            release = baselines.load(request.baseline, session.work / "baseline")
        sequence = releasing.sequence(settings, release)
        if doubt := releasing.doubt(sequence, release):
            session.warn("release", doubt)
        measured = measuring.measure(session, plan, release)
        count = settings.release.vectors
        vectors = golden.make(session, plan, measured, count or proving.samples(plan))
        measured = proving.prove(session, plan, measured, vectors)
        measured = devices.look(session, plan, measured)
    request.cache.prune()
    outcome = _judge(request, plan, measured, sequence)
    return _deliver(request, outcome, epoch, vectors.members if vectors and count else {})


def _judge(request: Request, plan: Plan, measured: Measured, sequence: Sequence) -> Outcome:
    files = {one.evidence.variant: one.facts for one in measured.built}
    verdict = gate.judge(
        measured.evidence,
        plan.settings,
        plan.targets,
        files,
        contract=plan.contract,
        strict=request.strict,
    )
    return Outcome(
        plan=plan,
        samples=measured.samples,
        conversion=measured.conversion,
        findings=measured.findings,
        identity=measured.identity,
        built=measured.built,
        evidence=measured.evidence,
        verdict=verdict,
        targets=gate.selection(plan.targets, measured.evidence, files, verdict),
        sequence=sequence,
    )


def _deliver(
    request: Request, outcome: Outcome, epoch: int, vectors: Mapping[str, bytes | Path]
) -> BuildResult:
    output = Path(request.settings.output)
    bundle = None
    if outcome.built and (outcome.verdict.passed or request.allow_failed):
        name = f"{request.settings.model.name}-{request.settings.model.version}.zip"
        models = {one.evidence.variant: Path(one.file.path) for one in outcome.built}
        manifest = compose.manifest(outcome)
        bundle = write_bundle(
            manifest,
            models,
            output / name,
            epoch=epoch,
            attachments={**vectors, **_documents(request.settings, manifest)},
            signers=request.signers,
        )
    report = compose.report(outcome, bundle)
    write_atomic(output / "report.json", report_json.render(report).encode())
    write_atomic(output / "report.md", markdown.render(report).encode())
    log = _write_search(output, report.findings)
    return BuildResult(
        passed=outcome.verdict.passed,
        bundle=str(output / bundle.path) if bundle else None,
        report=report,
        report_json=str(output / "report.json"),
        report_markdown=str(output / "report.md"),
        search_json=log,
        cached=tuple(dict.fromkeys(request.cache.hits)),
    )


def _documents(settings: Settings, manifest: Manifest) -> dict[str, bytes]:
    """Provenance and bill of materials, where they are asked for."""
    documents: dict[str, bytes] = {}
    if not (settings.release.provenance or settings.release.sbom):
        return documents
    from edgepack.provenance import mlbom, origin, slsa

    if settings.release.provenance:
        found = origin.find(os.environ, Path(settings.model.path).parent)
        documents[parts.PROVENANCE] = slsa.statement(manifest, found)
    if settings.release.sbom:
        documents[parts.SBOM] = mlbom.bom(manifest)
    return documents


def _write_search(output: Path, findings: Findings | None) -> str | None:
    """The search, to replay or pick from, and its picture; None where there was none."""
    if findings is None or findings.search is None:
        return None
    write_atomic(output / "search.json", findings.search.model_dump_json(indent=2).encode())
    write_atomic(output / "frontier.svg", frontier.svg(findings.search).encode())
    return str(output / "search.json")


def _epoch() -> int:
    """SOURCE_DATE_EPOCH, or the first day a zip can name.

    Raises:
        UsageError: it is not a whole number of seconds.
    """
    value = os.environ.get("SOURCE_DATE_EPOCH", str(ZIP_EPOCH))
    if not value.isdecimal():
        raise UsageError(
            f"SOURCE_DATE_EPOCH is {value!r}",
            hint="Set it to whole seconds since 1970, or unset it.",
        )
    return int(value)
