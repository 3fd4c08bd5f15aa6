"""`edgepack build`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgepack.cli.boundary import command
from edgepack.cli.codes import INCOMPATIBLE, OVER_BUDGET
from edgepack.cli.options import CacheDir, Config, Demo, Json, NoCache, Quiet, Verbose, utf8
from edgepack.cli.passphrase import passphrase
from edgepack.cli.projects import config_file

if TYPE_CHECKING:
    from edgepack.cli.terminal import Terminal
    from edgepack.records.report import BuildResult

Model = Annotated[Path | None, typer.Option(callback=utf8, help="SavedModel directory.")]
Name = Annotated[str | None, typer.Option(help="Name of the bundle.")]
ModelVersion = Annotated[str | None, typer.Option(help="Version of the bundle, such as 1.2.0.")]
Signature = Annotated[str | None, typer.Option(help="Signature to build.")]
WithSignature = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Further signature to convert; repeatable; '*' is all."),
]
Shape = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=NUMBERS", help="Input shape, such as image=1,224,224,3."),
]
Batched = Annotated[
    bool | None,
    typer.Option("--batched/--unbatched", help="Whether inputs begin with the batch dimension."),
]
Tag = Annotated[
    list[str] | None, typer.Option(metavar="TAG", help="Tag of the meta graph; repeatable.")
]
Import = Annotated[
    list[str] | None,
    typer.Option("--import", metavar="MODULE", help="Module with a Keras file's custom layers."),
]
Contract = Annotated[
    Path | None, typer.Option(callback=utf8, help="Contract with what the app expects.")
]
SelectOps = Annotated[
    bool | None, typer.Option("--allow-select-tf-ops", help="Take a file that needs Select-TF.")
]
UnsafeOp = Annotated[
    list[str] | None, typer.Option(metavar="OP", help="Unsafe op to accept; repeatable.")
]
Lambda = Annotated[
    bool | None, typer.Option("--allow-lambda", help="Run code of a Keras file's Lambda layers.")
]
Expected = Annotated[
    float | None, typer.Option("--expected-accuracy", help="The source's, as training said.")
]
Tolerance = Annotated[
    float | None, typer.Option("--accuracy-tolerance", help="How far that may be off.")
]
Dataset = Annotated[Path | None, typer.Option(callback=utf8, help="Dataset spec.")]
Variant = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Variant to build; repeatable. Replaces the file's list."),
]
Target = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME", help="Target, name or path; repeatable. Replaces the file's list."
    ),
]
Budget = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=VALUE",
        help="Limit, such as max_accuracy_drop=0.01, int8.max_size_bytes=200000, "
        "baseline.max_size_ratio=1.2 or min_agreement=off; repeatable.",
    ),
]
Engine = Annotated[
    str | None, typer.Option(metavar="NAME", help="auto, quantizer or converter, for int8.")
]
Clip = Annotated[
    str | None,
    typer.Option("--clipping", metavar="NAME", help="min-max, percentile, mse or auto."),
]
Granularity = Annotated[
    str | None, typer.Option(metavar="NAME", help="Scales of weights: channel or tensor.")
]
Symmetric = Annotated[
    bool | None, typer.Option("--symmetric/--asymmetric", help="int8 activations around 0.")
]
Objective = Annotated[
    str | None, typer.Option(metavar="NAME", help="What the search makes small: latency or size.")
]
Seconds = Annotated[float | None, typer.Option(help="Longest time of the search.")]
Trials = Annotated[int | None, typer.Option(help="Most files that the search tries.")]
Rest = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Precision for layers the search keeps; repeatable."),
]
Pick = Annotated[int | None, typer.Option(help="Build this trial of the search instead.")]
Replay = Annotated[
    Path | None, typer.Option(callback=utf8, help="search.json whose measurements are used.")
]
Threads = Annotated[int | None, typer.Option(help="Threads of each interpreter.")]
Rounds = Annotated[int | None, typer.Option(help="Rounds of latency measurement.")]
Runtime = Annotated[str | None, typer.Option(help="ai-edge-litert or tflite-runtime.")]
Timeout = Annotated[float | None, typer.Option(help="Longest time of one phase, seconds.")]
Memory = Annotated[
    int | None, typer.Option("--memory-limit", help="Most memory of a worker, bytes.")
]
PassEnvironment = Annotated[
    list[str] | None, typer.Option(metavar="NAME", help="Environment variable for workers.")
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", callback=utf8, help="Directory for bundle and reports."),
]
Sequence = Annotated[
    str | None,
    typer.Option(metavar="NUMBER", help="Number of the release, or: baseline, ci-run, commits."),
]
Expires = Annotated[
    str | None, typer.Option(metavar="DATE", help="Day from which no verifier takes the bundle.")
]
License = Annotated[
    str | None, typer.Option("--license", metavar="SPDX", help="Licence of the models.")
]
Vectors = Annotated[int | None, typer.Option(help="Evaluation samples to attach, with answers.")]
Provenance = Annotated[
    bool | None, typer.Option("--provenance", help="Attach an SLSA provenance statement.")
]
Sbom = Annotated[bool | None, typer.Option("--sbom", help="Attach a CycloneDX bill of materials.")]
EmbedMetadata = Annotated[
    bool | None, typer.Option("--embed-metadata", help="Write TFLite metadata into the files.")
]
Description = Annotated[str | None, typer.Option(help="What the model is for, in metadata.")]
Author = Annotated[str | None, typer.Option(help="Who made the model, in metadata.")]
SignKey = Annotated[
    list[str] | None,
    typer.Option(
        "--sign",
        metavar="KEY",
        help="Sign by a private key: a file, env:NAME or command:ARGUMENTS; repeatable.",
    ),
]
PublicKey = Annotated[
    Path | None, typer.Option(callback=utf8, help="Public key of a command that signs.")
]
Baseline = Annotated[
    Path | None, typer.Option(callback=utf8, help="The last release's bundle, to compare with.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Fail what the samples cannot decide.")]
Allow = Annotated[
    bool, typer.Option("--allow-failed", help="Write the bundle of a refused build, marked so.")
]


def build(
    config: Config = None,
    demo: Demo = False,
    model: Model = None,
    name: Name = None,
    model_version: ModelVersion = None,
    signature: Signature = None,
    with_signature: WithSignature = None,
    shape: Shape = None,
    batched: Batched = None,
    tag: Tag = None,
    imports: Import = None,
    contract: Contract = None,
    allow_select_tf_ops: SelectOps = None,
    allow_unsafe_op: UnsafeOp = None,
    allow_lambda: Lambda = None,
    expected: Expected = None,
    tolerance: Tolerance = None,
    dataset: Dataset = None,
    variant: Variant = None,
    target: Target = None,
    budget: Budget = None,
    engine: Engine = None,
    clipping: Clip = None,
    granularity: Granularity = None,
    symmetric: Symmetric = None,
    objective: Objective = None,
    search_seconds: Seconds = None,
    search_trials: Trials = None,
    rest: Rest = None,
    pick: Pick = None,
    replay: Replay = None,
    threads: Threads = None,
    rounds: Rounds = None,
    runtime: Runtime = None,
    sequence: Sequence = None,
    expires: Expires = None,
    license_: License = None,
    vectors: Vectors = None,
    provenance: Provenance = None,
    sbom: Sbom = None,
    embed_metadata: EmbedMetadata = None,
    description: Description = None,
    author: Author = None,
    sign: SignKey = None,
    public_key: PublicKey = None,
    timeout: Timeout = None,
    memory: Memory = None,
    pass_environment: PassEnvironment = None,
    output: Output = None,
    baseline: Baseline = None,
    strict: Strict = False,
    allow_failed: Allow = False,
    cache_dir: CacheDir = None,
    no_cache: NoCache = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Convert, measure and judge a SavedModel, and bundle it."""
    with command(json=json, quiet=quiet, verbose=verbose) as terminal:
        from edgepack import api
        from edgepack.cli.progress import progress
        from edgepack.config import settings

        flags = settings.Flags(
            model=_text(model),
            name=name,
            model_version=model_version,
            signature=signature,
            with_signatures=tuple(with_signature or ()),
            shapes=tuple(shape or ()),
            batched=batched,
            tags=tuple(tag or ()),
            imports=tuple(imports or ()),
            contract=_text(contract),
            allow_select_tf_ops=allow_select_tf_ops,
            allow_unsafe_ops=tuple(allow_unsafe_op or ()),
            allow_lambda=allow_lambda,
            expected_accuracy=expected,
            accuracy_tolerance=tolerance,
            dataset=_text(dataset),
            variants=tuple(variant or ()),
            targets=tuple(target or ()),
            budgets=tuple(budget or ()),
            engine=engine,
            clipping=clipping,
            granularity=granularity,
            symmetric=symmetric,
            objective=objective,
            search_seconds=search_seconds,
            search_trials=search_trials,
            rests=tuple(rest or ()),
            pick=pick,
            replay=_text(replay),
            threads=threads,
            rounds=rounds,
            runtime=runtime,
            sequence=sequence,
            expires=expires,
            license=license_,
            vectors=vectors,
            provenance=provenance,
            sbom=sbom,
            embed_metadata=embed_metadata,
            description=description,
            author=author,
            timeout=timeout,
            memory_limit=memory,
            pass_environment=tuple(pass_environment or ()),
            output=_text(output) or ("dist" if demo else None),
        )
        wanted = settings.load(config_file(config, demo=demo, enough=flags.enough), flags)
        with progress(terminal) as emit:
            result = api.build(
                wanted,
                baseline=baseline,
                strict=strict,
                allow_failed=allow_failed,
                keys=sign or (),
                public_key=public_key,
                passphrase=passphrase,
                cache=cache_dir,
                no_cache=no_cache,
                verbose=verbose,
                on_event=emit,
            )
        _say(terminal, result)
        raise typer.Exit(_code(result))


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _say(terminal: "Terminal", result: "BuildResult") -> None:
    if terminal.json:
        terminal.record(result)
        return
    from edgepack.report.terminal import render, summary

    terminal.show(render(result.report), "")
    terminal.text(summary(result))


def _code(result: "BuildResult") -> int:
    """0, 3 over budget, or 6 where all that fails is what targets can run."""
    verdict = result.report.verdict
    if verdict.passed:
        return 0
    refused = {"fail", "inconclusive"} if verdict.strict else {"fail"}
    subjects = [check.subject for check in verdict.checks if check.outcome in refused]
    only_targets = bool(subjects) and all(one.startswith("target:") for one in subjects)
    return INCOMPATIBLE if only_targets else OVER_BUDGET
