"""`edgepack.toml` and the flags that override it, as `Settings` with absolute paths."""

from __future__ import annotations

import copy
import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack import targets, tomlfile
from edgepack.errors import ConfigError
from edgepack.records.settings import Budgets, MetadataSettings, ReleaseSettings, Settings
from edgepack.tomlfile.plain import Problem, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.tomlfile import Document
    from edgepack.tomlfile.lines import KeyPath

DEFAULT = "edgepack.toml"
OFF = "off"
REPEATED = frozenset(
    ("variants", "targets", "budgets", "with_signatures", "shapes", "tags", "imports",
     "allow_unsafe_ops", "rests")
)  # fmt: skip
NEEDED = ("model", "name", "model_version", "dataset")  # flags that make a file unnecessary


@dataclass(frozen=True)
class Flags:
    """What the command line says in place of `edgepack.toml`; None and empty: nothing.

    Paths are relative to the working directory. Each of `budgets` is KEY=VALUE, where KEY is a
    limit for all variants (max_accuracy_drop), for one (int8.max_accuracy_drop) or against the
    baseline (baseline.max_size_ratio), and VALUE is a number, true, false or off.
    """

    model: str | None = None
    name: str | None = None
    model_version: str | None = None
    signature: str | None = None
    expected_accuracy: float | None = None
    accuracy_tolerance: float | None = None
    with_signatures: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ()
    batched: bool | None = None
    tags: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    contract: str | None = None
    allow_select_tf_ops: bool | None = None
    allow_unsafe_ops: tuple[str, ...] = ()
    allow_lambda: bool | None = None
    dataset: str | None = None
    variants: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    budgets: tuple[str, ...] = ()
    engine: str | None = None
    clipping: str | None = None
    granularity: str | None = None
    symmetric: bool | None = None
    objective: str | None = None
    search_seconds: float | None = None
    search_trials: int | None = None
    rests: tuple[str, ...] = ()
    pick: int | None = None
    replay: str | None = None
    threads: int | None = None
    rounds: int | None = None
    runtime: str | None = None
    sequence: str | None = None
    expires: str | None = None
    license: str | None = None
    vectors: int | None = None
    provenance: bool | None = None
    sbom: bool | None = None
    embed_metadata: bool | None = None
    description: str | None = None
    author: str | None = None
    timeout: float | None = None
    memory_limit: int | None = None
    pass_environment: tuple[str, ...] = ()
    output: str | None = None

    @property
    def enough(self) -> bool:
        """Whether a build needs no file beside these."""
        return any(getattr(self, name) is not None for name in NEEDED)


_FLAGS: dict[str, tuple[str, ...]] = {
    "model": ("model", "path"),
    "name": ("model", "name"),
    "model_version": ("model", "version"),
    "signature": ("model", "signature"),
    "expected_accuracy": ("model", "expected_accuracy"),
    "accuracy_tolerance": ("model", "accuracy_tolerance"),
    "with_signatures": ("model", "signatures"),
    "batched": ("model", "batched"),
    "tags": ("model", "tags"),
    "imports": ("model", "imports"),
    "contract": ("model", "contract"),
    "allow_select_tf_ops": ("model", "allow_select_tf_ops"),
    "allow_unsafe_ops": ("model", "allow_unsafe_ops"),
    "allow_lambda": ("model", "allow_lambda"),
    "dataset": ("dataset",),
    "variants": ("variants",),
    "targets": ("targets",),
    "engine": ("quantize", "engine"),
    "clipping": ("quantize", "clipping"),
    "granularity": ("quantize", "granularity"),
    "symmetric": ("quantize", "symmetric"),
    "objective": ("search", "objective"),
    "search_seconds": ("search", "seconds"),
    "search_trials": ("search", "trials"),
    "rests": ("search", "rests"),
    "pick": ("search", "pick"),
    "replay": ("search", "replay"),
    "threads": ("latency", "threads"),
    "rounds": ("latency", "rounds"),
    "runtime": ("latency", "runtime"),
    "sequence": ("release", "sequence"),
    "expires": ("release", "expires"),
    "license": ("release", "license"),
    "vectors": ("release", "vectors"),
    "provenance": ("release", "provenance"),
    "sbom": ("release", "sbom"),
    "embed_metadata": ("metadata", "embed"),
    "description": ("metadata", "description"),
    "author": ("metadata", "author"),
    "timeout": ("limits", "timeout_seconds"),
    "memory_limit": ("limits", "memory_bytes"),
    "pass_environment": ("limits", "pass_environment"),
    "output": ("output",),
}


def load(path: Path | None, flags: Flags | None = None) -> Settings:
    """Read a config file, apply flags, check it all, and make its paths absolute.

    Args:
        path: the file, or None where the flags alone say everything.
        flags: what is to stand in place of what the file says.

    Raises:
        ConfigError: lists every problem, each with file and line or with the flag.
    """
    document = tomlfile.read(path) if path else None
    draft = _Draft(flags or Flags(), document)
    found = tomlfile.check(Settings, draft.data)
    problems = found if isinstance(found, tuple) else tuple(_faults(found))
    if problems or isinstance(found, tuple):
        raise tomlfile.complaint(draft.located(problems))
    return _absolute(found, draft)


class _Draft:
    """A document with flags laid over it, which remembers what came from which."""

    def __init__(self, flags: Flags, document: Document | None) -> None:
        self.document = document
        self.data: Table = copy.deepcopy(document.data) if document else {}
        self.set_by: dict[KeyPath, str] = {}
        self.made_by: dict[KeyPath, str] = {}  # tables that only flags speak of
        for name, key in _FLAGS.items():
            value = getattr(flags, name)
            if value is not None and value != ():
                self._set(key, _plain(name, value), flag(name))
        for shape in flags.shapes:
            self._set(*_shape(shape), f"--shape {shape}")
        for budget in flags.budgets:
            self._set(*_budget(budget), f"--budget {budget}")

    def _set(self, key: tuple[str, ...], value: Any, by: str) -> None:
        table = self.data
        for depth, part in enumerate(key[:-1], 1):
            if part not in table:
                self.made_by[key[:depth]] = by
            inner = table.setdefault(part, _start(key[:depth]))
            if not isinstance(inner, dict):
                return  # the file says something else here, and is told so
            table = inner
        table[key[-1]] = value
        self.set_by[key] = by

    def source(self, path: KeyPath) -> str:
        """The flag that set a key or something around it; nothing where the file did."""
        ends = range(len(path), 0, -1)
        return next((self.set_by[path[:end]] for end in ends if path[:end] in self.set_by), "")

    def base(self, *path: str | int) -> Path:
        """The directory that a path is relative to: the file's, or for a flag the working one."""
        from_file = self.document and not self.source(path)
        return (self.document.path.parent if self.document and from_file else Path()).absolute()

    def located(self, problems: tuple[Problem, ...]) -> list[tuple[str, str]]:
        """Each problem with the flag or line that caused it."""
        by_flag, rest = [], []
        for problem in problems:
            source = self.source(problem.path)
            if problem.unknown:  # the table itself may be what is wrong
                source = source or self.made_by.get(problem.path, "")
            if source:
                by_flag.append((source, problem.message))
            else:
                rest.append(problem)
        in_file = self.document.located(rest) if self.document else _without_file(rest)
        return by_flag + in_file


def flag(name: str) -> str:
    """The option of the command line that a field of `Flags` stands for."""
    singular = name.removesuffix("s") if name in REPEATED else name
    return "--" + singular.replace("_", "-")


def _plain(name: str, value: Any) -> Any:
    """A flag's value as TOML would have it."""
    if name == "sequence" and value.isdecimal():
        return int(value)
    return list(value) if isinstance(value, tuple) else value


def _start(key: tuple[str, ...]) -> Table:
    """What a table holds before a flag adds to it: the default limits must not get lost."""
    return Budgets().all.model_dump(exclude_none=True) if key == ("budgets", "all") else {}


def _without_file(problems: list[Problem]) -> list[tuple[str, str]]:
    """Without a file, what is missing are flags."""
    paths = [problem.path for problem in problems]
    missing = [name for name in NEEDED if any(_FLAGS[name][: len(p)] == p for p in paths)]
    return [(flag(name), f"is needed where no {DEFAULT} says it") for name in missing]


def _shape(text: str) -> tuple[tuple[str, ...], Any]:
    """Key and value of a --shape.

    Raises:
        ConfigError: it is not NAME=NUMBERS.
    """
    name, _, numbers = text.rpartition("=")
    try:
        return ("model", "shapes", name), [int(number) for number in numbers.split(",")]
    except ValueError:
        raise ConfigError(
            "is not NAME=NUMBERS",
            where=f"--shape {text}",
            hint="Such as --shape image=1,224,224,3.",
        ) from None


def _budget(text: str) -> tuple[tuple[str, ...], Any]:
    """Key and value of a --budget.

    Raises:
        ConfigError: it is not KEY=VALUE.
    """
    key, equals, value = text.partition("=")
    subject, _, limit = key.strip().rpartition(".")
    if not (equals and limit):
        raise ConfigError(
            "is not KEY=VALUE",
            where=f"--budget {text}",
            hint="Such as --budget max_accuracy_drop=0.01 or --budget int8.max_size_bytes=2000000.",
        )
    tables = (subject,) if subject in {"", "all", "baseline"} else ("variants", subject)
    where = ("all",) if tables == ("",) else tables
    return ("budgets", *where, limit), _value(value.strip(), text)


def _value(value: str, text: str) -> Any:
    """A number or truth value as TOML writes it; None for off.

    Raises:
        ConfigError: it is neither.
    """
    if value == OFF:
        return None
    try:
        parsed = tomllib.loads(f"value = {value}")
    except ValueError:
        parsed = {}
    found = parsed.get("value")
    if set(parsed) != {"value"} or not isinstance(found, bool | int | float):
        raise ConfigError(
            f'"{value}" is neither a number, true, false nor off', where=f"--budget {text}"
        )
    return found


def _faults(settings: Settings) -> Iterator[Problem]:
    """What is wrong beyond types and ranges."""
    if not settings.variants:
        yield Problem(("variants",), "variants is empty: there would be nothing to build")
    yield from _release_faults(settings.release)
    yield from _metadata_faults(settings.metadata)
    for key, values in (("variants", settings.variants), ("targets", settings.targets)):
        for index, value in enumerate(values):
            if value in values[:index]:
                yield Problem((key, index), f'{key} names "{value}" twice')


def _release_faults(release: ReleaseSettings) -> Iterator[Problem]:
    if release.expires:
        try:
            date.fromisoformat(release.expires)
        except ValueError:
            yield Problem(("release", "expires"), 'expires is not a day, such as "2027-06-30"')
    if release.license:
        from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

        try:
            canonicalize_license_expression(release.license)
        except InvalidLicenseExpression:
            yield Problem(
                ("release", "license"),
                f'"{release.license}" is no SPDX expression, such as "Apache-2.0 OR MIT"',
            )


def _metadata_faults(metadata: MetadataSettings) -> Iterator[Problem]:
    for key in ("description", "author"):
        if getattr(metadata, key) and not metadata.embed:
            yield Problem(("metadata", key), f"{key} is written only with metadata.embed = true")


def _absolute(settings: Settings, draft: _Draft) -> Settings:
    paths = {"path": _path(draft.base("model", "path"), settings.model.path)}
    if settings.model.contract:
        paths["contract"] = _path(draft.base("model", "contract"), settings.model.contract)
    search = settings.search
    if search.replay:
        replay = _path(draft.base("search", "replay"), search.replay)
        search = search.model_copy(update={"replay": replay})
    return settings.model_copy(
        update={
            "model": settings.model.model_copy(update=paths),
            "search": search,
            "dataset": _path(draft.base("dataset"), settings.dataset),
            "output": _path(draft.base("output"), settings.output),
            "targets": tuple(
                _path(draft.base("targets"), one) if targets.is_path(one) else one
                for one in settings.targets
            ),
        }
    )


def _path(base: Path, path: str) -> str:
    """An absolute path; `..` goes where the file system says it goes."""
    found = base / Path(path).expanduser()
    return str(found.resolve() if ".." in found.parts else found)
