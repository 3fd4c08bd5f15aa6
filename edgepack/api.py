"""The Python interface: what `import edgepack` offers. The command line is a thin layer over it."""

from __future__ import annotations

import importlib.util
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from os import PathLike

    from edgepack.bundle.keys import Signer
    from edgepack.consumers import Parcel
    from edgepack.pipeline.build import Request
    from edgepack.records.consumers import Export, Platform
    from edgepack.records.difference import Difference
    from edgepack.records.events import Event
    from edgepack.records.facts import SavedModelFacts, TFLiteFacts
    from edgepack.records.manifest import Manifest
    from edgepack.records.report import BuildResult, BundleRef
    from edgepack.records.runtimes import RuntimeMatrix
    from edgepack.records.search import Sensitivity
    from edgepack.records.settings import Settings
    from edgepack.records.target import TargetFits
    from edgepack.records.vectors import SelfTest
    from edgepack.records.verification import KeyPair, Verification

BUILD_PARTS = {  # module: distribution
    "tensorflow": "tensorflow",
    "ai_edge_litert": "ai-edge-litert",
    "litert_quantizer": "litert-quantizer",
    "numpy": "numpy",
    "PIL": "pillow",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
}


def build(  # noqa: PLR0913 - each is an option of its own
    config: str | PathLike[str] | Settings,
    *,
    baseline: str | PathLike[str] | None = None,
    strict: bool = False,
    allow_failed: bool = False,
    keys: Iterable[str] = (),
    public_key: str | PathLike[str] | None = None,
    passphrase: Callable[[str], bytes | None] | None = None,
    cache: str | PathLike[str] | None = None,
    no_cache: bool = False,
    verbose: bool = False,
    on_event: Callable[[Event], None] | None = None,
) -> BuildResult:
    """Convert, quantize, measure, judge, and leave a bundle and its reports behind.

    A build that the gate refuses is returned, not raised: its `passed` is False, its reports are
    written, and its bundle is withheld unless `allow_failed`.

    Args:
        config: an `edgepack.toml`, or settings with absolute paths.
        baseline: bundle of an earlier release, to compare with.
        strict: a check that the samples cannot decide fails the build.
        allow_failed: write the bundle all the same, marked as failed in its manifest.
        keys: private keys that sign the bundle; see `sign`.
        public_key: file with the public key of a command among them.
        passphrase: asked for each encrypted key, by its name.
        cache: directory of stage results; EDGEPACK_CACHE or the user's cache directory by default.
        no_cache: neither take stage results from a cache nor keep them.
        verbose: let what TensorFlow and the interpreters print reach stderr.
        on_event: takes what the build says of its progress, from several threads.

    Returns:
        What was built, with the paths of what was written.

    Raises:
        EdgepackError: what stopped the build before it could be judged.
    """
    _require_build_parts()
    from edgepack.pipeline.build import build as run

    signers = _signers(keys, public_key, passphrase)
    with _request(_settings(config), cache, on_event, no_cache=no_cache) as request:
        asked = replace(
            request,
            signers=signers,
            baseline=Path(baseline) if baseline else None,
            strict=strict,
            allow_failed=allow_failed,
            verbose=verbose,
        )
        return run(asked)


def sensitivity(
    config: str | PathLike[str] | Settings,
    *,
    curve: bool = False,
    cache: str | PathLike[str] | None = None,
    no_cache: bool = False,
    on_event: Callable[[Event], None] | None = None,
) -> Sensitivity:
    """Measure what int8 does to each group of layers, without building or judging anything.

    Args:
        config: an `edgepack.toml`, or settings with absolute paths.
        curve: whether to calibrate with fewer samples too, and say what each number gives.
        cache: directory of stage results; EDGEPACK_CACHE or the user's cache directory by default.
        no_cache: neither take stage results from a cache nor keep them.
        on_event: takes what is said of progress, from several threads.

    Raises:
        EdgepackError: what stopped it, such as a model that no engine can quantize.
    """
    _require_build_parts()
    from edgepack.pipeline.sensitivity import sensitivity as run

    with _request(_settings(config), cache, on_event, no_cache=no_cache) as request:
        return run(request, curve=curve)


@contextmanager
def _request(
    settings: Settings,
    cache: str | PathLike[str] | None,
    on_event: Callable[[Event], None] | None,
    *,
    no_cache: bool,
) -> Iterator[Request]:
    from edgepack.cache import Cache, default_root
    from edgepack.pipeline.build import Request
    from edgepack.pipeline.session import SCRATCH

    with ExitStack() as stack:
        root = Path(cache) if cache else default_root()
        if no_cache:
            root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=SCRATCH)))
        yield Request(settings=settings, cache=Cache(root), emit=on_event or _ignore)


def verify(  # noqa: PLR0913 - each is an option of its own
    bundle: str | PathLike[str],
    *,
    keys: Iterable[str | PathLike[str]] = (),
    signature: str | PathLike[str] | None = None,
    lock: str | PathLike[str] | None = None,
    update_lock: bool = False,
    allow_failed: bool = False,
) -> Verification:
    """Check every byte of a bundle, and whether it may be taken now. Needs no TensorFlow.

    Args:
        bundle: the file.
        keys: public keys in PEM files; one of them must have signed. None: signatures are checked
            for their form alone.
        signature: a signature beside the bundle, of the directory that it unpacks to, as OpenSSF's
            model-signing makes it.
        lock: `edgepack.lock`, which knows the newest release that was taken.
        update_lock: write into `lock` that this one was taken.
        allow_failed: take a bundle that its own gate refused.

    Raises:
        VerificationError: it is not whole, not signed by a key, expired, older than the lock says,
            or failed its gate; each has a class of its own.
        UsageError: there is no such file, or a key or lock file that cannot be used.
    """
    from edgepack.bundle.keys import public_key
    from edgepack.bundle.trust import Policy, take

    policy = Policy(
        now=datetime.now(UTC),
        keys=tuple(public_key(Path(key)) for key in keys),
        detached=Path(signature) if signature else None,
        lock=Path(lock) if lock else None,
        update_lock=update_lock,
        allow_failed=allow_failed,
    )
    return take(Path(bundle), policy)


def sign(  # noqa: PLR0913 - each is an option of its own
    bundle: str | PathLike[str],
    keys: Iterable[str],
    *,
    public_key: str | PathLike[str] | None = None,
    output: str | PathLike[str] | None = None,
    passphrase: Callable[[str], bytes | None] | None = None,
    allow_failed: bool = False,
) -> BundleRef:
    """Add signatures to a bundle, which is checked whole before.

    Args:
        bundle: the file.
        keys: private keys: paths of PEM files, `env:NAME` or `command:ARGUMENTS`.
        public_key: file with the public key of a command.
        output: where the signed bundle goes; by default it takes the place of the other.
        passphrase: asked for each encrypted key, by its name.
        allow_failed: sign a bundle that its own gate refused.

    Raises:
        KeyFileError: a key cannot be used.
        VerificationError: the bundle does not hold, or failed its gate.
        UsageError: it cannot be read or written.
    """
    from edgepack.bundle.contents import add_signatures
    from edgepack.bundle.keys import check_apart

    keys, target = tuple(keys), Path(output or bundle)
    check_apart(target, keys, Path(public_key) if public_key else None)
    return add_signatures(
        Path(bundle),
        target,
        _signers(keys, public_key, passphrase),
        allow_failed=allow_failed,
    )


def _signers(
    keys: Iterable[str],
    public_key: str | PathLike[str] | None,
    passphrase: Callable[[str], bytes | None] | None,
) -> tuple[Signer, ...]:
    from edgepack.bundle.keys import signer

    public = Path(public_key) if public_key else None
    return tuple(signer(key, public, passphrase or _none) for key in keys)


def keygen(path: str | PathLike[str], *, passphrase: bytes | None = None) -> KeyPair:
    """Make a pair of keys for signing: the private one in `path`, the public one in `path`.pub.

    Args:
        path: of the private key, which only its owner may read. Nothing is replaced.
        passphrase: encrypts the private key.

    Raises:
        UsageError: one of the files is there already.
        OutputError: they cannot be written.
    """
    from edgepack.bundle.keypair import write

    return write(Path(path), passphrase)


def selftest(
    bundle: str | PathLike[str],
    *,
    variants: Iterable[str] = (),
    runtime: str | None = None,
    threads: int = 1,
) -> SelfTest:
    """Verify a bundle, and replay its golden vectors on a runtime of this machine.

    What does not answer as recorded is returned, not raised: the result's `passed` is False.

    Args:
        bundle: the file.
        variants: names of those to replay; all that have vectors by default.
        runtime: ai-edge-litert or tflite-runtime; by default the first that is installed.
        threads: of the interpreter.

    Raises:
        VerificationError: the bundle is not whole, or its vectors are damaged.
        UsageError: it has no vectors, or none of a variant.
        MissingExtraError: there is no runtime to replay on.
    """
    from edgepack.pipeline.selftest import Asked
    from edgepack.pipeline.selftest import selftest as run

    return run(Asked(Path(bundle), tuple(variants), runtime, threads))


def runtime_matrix(  # noqa: PLR0913 - each is an option of its own
    bundle: str | PathLike[str],
    runtimes: Iterable[str],
    *,
    variants: Iterable[str] = (),
    threads: int = 1,
    jobs: int = 1,
    offline: bool = False,
    cache: str | PathLike[str] | None = None,
) -> RuntimeMatrix:
    """Run a bundle's files on releases of runtimes, each in an environment that holds just that.

    What does not load or answer as recorded is returned, not raised: then `passed` is False.

    Args:
        bundle: the file, with golden vectors.
        runtimes: releases, such as tflite-runtime==2.14.0.
        variants: names of those to run; all that have vectors by default.
        threads: of each interpreter.
        jobs: how many run at a time; more than one disturbs latency.
        offline: take only releases that were installed before.
        cache: keeps the environments; the user's cache directory by default.

    Raises:
        VerificationError: the bundle is not whole, or its vectors are damaged.
        UsageError: it has no vectors, or none of a variant; what is named is no runtime.
        RuntimeInstallError: a release cannot be installed.
        MissingExtraError: NumPy is not installed.
    """
    from edgepack.pipeline.matrix import Asked, matrix

    root = Path(cache) if cache else None
    return matrix(
        Asked(Path(bundle), tuple(runtimes), tuple(variants), threads, jobs, offline, root)
    )


def check_targets(path: str | PathLike[str], *, targets: Iterable[str] = ()) -> TargetFits:
    """Hold a .tflite file, or every file of a bundle, against target profiles. Runs nothing.

    Args:
        path: the file.
        targets: names of built-in profiles, or paths of one's own; none for all that are built in.

    Raises:
        ConfigError: there is no such profile, or it says something that is not allowed.
        UsageError: the path is neither a .tflite nor a bundle.
        ModelError: it is a damaged .tflite.
        VerificationError: it is a bundle, and not whole.
    """
    from edgepack.pipeline.fitting import fits

    return fits(Path(path), tuple(targets))


def diff(before: str | PathLike[str], after: str | PathLike[str]) -> Difference:
    """What changed from one bundle to another, and what of it breaks an app.

    Both are checked whole first, but for signatures, which need keys: see `verify`.

    Args:
        before: the bundle that apps have.
        after: the bundle that they would get.

    Raises:
        VerificationError: one of them does not hold.
        UsageError: one of them cannot be read.
    """
    from edgepack.difference.bundles import compare

    return compare(Path(before), Path(after))


def export(  # noqa: PLR0913 - each is an option of its own
    platform: Platform,
    directory: str | PathLike[str],
    *,
    force: bool = False,
    bundle: str | PathLike[str] | None = None,
    variant: str | None = None,
    keys: Iterable[str | PathLike[str]] = (),
) -> Export:
    """Write the files that an app's build takes: verifiers of bundles, or a model as a C array.

    Args:
        platform: android, ios or java for the verifier in a build; microcontroller for an array.
        directory: where to; made if need be.
        force: replace files that are there and differ.
        bundle: that has the model, for a microcontroller. It is checked whole first.
        variant: of the model; by default the best one of the targets that are microcontrollers.
        keys: public keys in PEM files, one of which must have signed the bundle; none: signatures
            are checked for their form alone.

    Raises:
        UsageError: a file that differs is there, or one cannot be written; no variant is named
            and none can be chosen; a bundle is missing, or stands where none is used.
        VerificationError: the bundle does not hold, is not signed, expired, or failed its gate.
        IncompatibleError: TFLite Micro cannot run the model.
    """
    from edgepack import consumers

    if platform != "microcontroller":
        if bundle is not None or variant is not None or tuple(keys):
            raise UsageError(
                f"{platform} takes no bundle, variant or key: its files check any bundle",
                hint="Leave them out, or export for microcontroller.",
            )
        return consumers.export(platform, Path(directory), force=force)
    return consumers.write(_c_array(bundle, variant, keys), Path(directory), force=force)


def _c_array(
    bundle: str | PathLike[str] | None, variant: str | None, keys: Iterable[str | PathLike[str]]
) -> Parcel:
    from edgepack.bundle.keys import public_key
    from edgepack.consumers import Parcel
    from edgepack.pipeline.embedding import Asked, c_array

    if bundle is None:
        raise UsageError("no bundle is named", hint="Name it by --bundle NAME-VERSION.zip.")
    asked = Asked(Path(bundle), variant, tuple(public_key(Path(key)) for key in keys))
    contents = c_array(asked)
    return Parcel(
        "microcontroller",
        contents,
        f"compile {list(contents)[-1]} into the firmware",
        "docs/microcontrollers.md",
    )


def inspect(
    path: str | PathLike[str], *, identity: bool = False
) -> SavedModelFacts | TFLiteFacts | Manifest:
    """Read a SavedModel directory, a .tflite file or a bundle, without running or trusting it.

    Args:
        path: where it lies.
        identity: whether to digest what a SavedModel computes, which reads all of its weights.

    Raises:
        UsageError: it is none of these.
        EdgepackError: it is one of these, and damaged.
    """
    from edgepack.inspection import inspect as run

    return run(Path(path), identity=identity)


def _settings(config: str | PathLike[str] | Settings) -> Settings:
    from edgepack.config import settings
    from edgepack.records.settings import Settings

    return config if isinstance(config, Settings) else settings.load(Path(config))


def _require_build_parts() -> None:
    """Look for what building takes, without importing it.

    Raises:
        MissingExtraError: names what is missing, and how to install it.
    """
    missing = [name for part, name in BUILD_PARTS.items() if not importlib.util.find_spec(part)]
    if missing:
        raise MissingExtraError(
            f"building needs {', '.join(missing)}, not installed here",
            hint='Install it with: pip install "edgepack[build]"',
        )


def _none(_: str) -> None:
    """Who has no passphrase."""


def _ignore(_: Event) -> None:
    """What becomes of events that nobody wants."""
