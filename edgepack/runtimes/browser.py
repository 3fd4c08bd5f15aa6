"""One file run by LiteRT.js in a headless browser; a browser's death is an answer too."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from edgepack.errors import RuntimeInstallError
from edgepack.records.runtimes import PageAnswer
from edgepack.runtimes import npy
from edgepack.runtimes.running import death, failed
from edgepack.runtimes.serving import ANSWER, Exchange, serving
from edgepack.tflite import schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgepack.records.runtimes import ReplayAnswer, ReplayJob
    from edgepack.runtimes.requirement import Requirement
    from edgepack.runtimes.running import Versions

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OWN = "CHROME_PATH"  # variable that names another
SECONDS = 600.0
POLL = 0.2
PATIENCE = 5.0  # seconds to end in
SCOPE = "@litertjs"  # packages of npm that a page may load
HERE = Path(__file__).parent
START = "start.html"  # of the profile: sends the browser to its page
PAGE, SCRIPT = "page.html", "script.js"
REPLAY, REGISTER = "replay.js", "register.js"
LIFETIME = 120  # files that the runtime is asked about before it is loaded anew
SWITCHES = (
    "--headless",
    "--disable-gpu",
    # To itself: it asks nobody for updates, and reaches nothing but this machine.
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-breakpad",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def program(wanted: Requirement) -> Path:
    """The browser of this machine.

    Raises:
        RuntimeInstallError: there is none.
    """
    named = os.environ.get(OWN)
    for name in (named,) if named else PROGRAMS:
        if found := shutil.which(name):
            return Path(found)
    raise RuntimeInstallError(
        f"{wanted} runs in Chromium, and {named or 'none'} was {'not ' if named else ''}found",
        hint=f"Install Chromium (Debian's package is chromium), or name its program by {OWN}.",
    )


def stamp(wanted: Requirement) -> str:
    """What changes when the browser of this machine does: its place and time.

    Raises:
        RuntimeInstallError: there is none.
    """
    found = program(wanted).resolve()
    return f"{found} {found.stat().st_mtime_ns}"


def run(
    browser: Path, modules: Path, job: ReplayJob, directory: Path, environment: dict[str, str]
) -> ReplayAnswer:
    """What LiteRT.js makes of a job, on the CPU.

    Args:
        browser: its program.
        modules: `node_modules` with the release.
        job: what to run.
        directory: takes the job's file, and what the page posts.
        environment: variables of the process.
    """
    asked = directory / "job.json"
    asked.write_text(job.model_dump_json(), encoding="utf-8")
    taken = {f"output/{number}": directory / f"{number}.bin" for number in range(len(job.outputs))}
    inputs = {f"input/{number}": Path(one.path) for number, one in enumerate(job.inputs)}
    exchange = Exchange(
        given=_site(modules, REPLAY) | {"job.json": asked, "model": Path(job.model)} | inputs,
        taken=taken | {ANSWER: directory / "answer.json"},
    )
    if fault := _opened(browser, exchange, environment):
        return failed(fault)
    return _answer(exchange, job)


def registered(browser: Path, modules: Path) -> Versions:
    """Which versions of which builtin operators LiteRT.js knows.

    Raises:
        subprocess.SubprocessError: it does not answer.
    """
    from edgepack.runtimes import remote  # imports NumPy

    operators, versions = range(remote.LAST_OPERATOR + 1), range(1, remote.LAST_VERSION + 1)
    wanted = [(number, version) for number in operators for version in versions]
    files = [remote.file_of(*pair) for pair in wanted]
    with tempfile.TemporaryDirectory(prefix="edgepack-") as scratch:
        directory = Path(scratch)
        job, content = directory / "job.json", directory / "files"
        job.write_text(json.dumps({"size": len(files[0]), "lifetime": LIFETIME}))
        content.write_bytes(b"".join(files))
        exchange = Exchange(
            given=_site(modules, REGISTER) | {"job.json": job, "files": content},
            taken={ANSWER: directory / "answer.json"},
        )
        if fault := _opened(browser, exchange, os.environ):
            raise subprocess.SubprocessError(fault)
        found: Versions = {}
        for place in json.loads(exchange.taken[ANSWER].read_bytes())["loaded"]:
            number, version = wanted[place]
            found.setdefault(schema.operator(number), []).append(version)
    return found


def _site(modules: Path, script: str) -> dict[str, Path]:
    """The page, and the release's programs by their place below its scope."""
    scope = modules / SCOPE
    programs = (path for path in scope.rglob("*") if path.suffix in {".js", ".wasm"})
    own = {PAGE: HERE / PAGE, SCRIPT: HERE / script}
    return {path.relative_to(scope).as_posix(): path for path in programs} | own


def _opened(browser: Path, exchange: Exchange, environment: Mapping[str, str]) -> str:
    """Let the page do its work; the reason where it does not come to an answer."""
    with serving(exchange) as address, tempfile.TemporaryFile() as stderr:
        try:
            with _process(browser, address + PAGE, environment, stderr.fileno()) as process:
                fault = _wait(process, exchange)
        except OSError as error:
            return f"{browser} cannot be run: {error.strerror}"
        if fault or exchange.answered.is_set():
            return fault
        stderr.seek(0)
        return death(process.returncode, stderr.read())


@contextmanager
def _process(
    browser: Path, address: str, environment: Mapping[str, str], stderr: int
) -> Iterator[subprocess.Popen[bytes]]:
    """A browser with a new profile, for as long as the block lasts.

    The address stands in a file of the profile, which only this user reads: whoever is on this
    machine sees what a program is started with.
    """
    with tempfile.TemporaryDirectory(prefix="edgepack-", ignore_cleanup_errors=True) as profile:
        start = Path(profile) / START
        start.write_text(f"<script>location.replace({json.dumps(address)})</script>\n")
        switches = [*SWITCHES, f"--user-data-dir={profile}"]
        if os.geteuid() == 0:
            switches.append("--no-sandbox")  # it refuses to run as root otherwise
        homes = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"), profile)
        process = subprocess.Popen(  # noqa: S603 - the browser of this machine
            [browser, *switches, start.as_uri()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env={**environment, **homes},
            start_new_session=True,
        )
        try:
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it with all its children."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _wait(process: subprocess.Popen[bytes], exchange: Exchange) -> str:
    """Until the answer, or the process's end; the reason where neither comes."""
    end = time.monotonic() + SECONDS
    while not exchange.answered.wait(POLL) and process.poll() is None:
        if exchange.gone.is_set() and not exchange.answered.is_set():
            return "its page died"
        if time.monotonic() > end:
            return f"no answer within {SECONDS:g} seconds"
    return ""


def _answer(exchange: Exchange, job: ReplayJob) -> ReplayAnswer:
    """The page's, with its outputs as .npy where the job wants them."""
    try:
        found = PageAnswer.model_validate_json(exchange.taken[ANSWER].read_bytes())
        for number, (output, wanted) in enumerate(zip(found.outputs, job.outputs, strict=False)):
            values = exchange.taken[f"output/{number}"].read_bytes()
            shape = (job.count, *output.shape)
            Path(wanted.path).write_bytes(npy.encoded(values, output.dtype, shape))
    except OSError as error:  # without its path, which is of this machine: bundles quote this
        return failed(f"its answer cannot be read: {error.strerror}")
    except (ValidationError, ValueError) as error:
        return failed(f"its answer cannot be read: {error}")
    return found
