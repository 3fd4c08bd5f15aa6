"""The project's own files: embedded example, lock, Makefile, README."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

from edgepack import errors, tomlfile
from edgepack.records.dataset import DatasetSpec
from edgepack.records.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Command

ROOT = Path(__file__).resolve().parents[1]
DIGITS = ROOT / "calibration" / "digits"
README = ROOT / "README.md"
DOCUMENTS = sorted({README, ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")})
LOCK = ROOT / "requirements-dev.lock"
HELP = re.compile(r"(<!-- what `edgepack --help` says;[^\n]*-->\n```text\n)(.*?)(```)", re.DOTALL)


def image_digests(split: str) -> list[str]:
    return [hashlib.sha256(f.read_bytes()).hexdigest() for f in (DIGITS / split).glob("*/*.png")]


def test_example_has_1797_images_and_none_twice():
    train, test = image_digests("train"), image_digests("test")
    assert (len(train), len(test)) == (1200, 597)
    assert len({*train, *test}) == 1797


def test_example_images_are_8x8_gray_png():
    for file in DIGITS.glob("*/*/*.png"):
        head = file.read_bytes()[:26]
        assert head[:8] == b"\x89PNG\r\n\x1a\n"
        assert head[16:26] == bytes([0, 0, 0, 8, 0, 0, 0, 8, 8, 0]), file


@pytest.mark.parametrize("split", ["train", "test"])
def test_example_folders_are_its_classes_and_balanced(split):
    spec = tomlfile.load(DIGITS.parent / "digits.toml", DatasetSpec)
    counts = {d.name: len(list(d.iterdir())) for d in (DIGITS / split).iterdir()}
    assert sorted(counts) == sorted(spec.classes)
    assert max(counts.values()) - min(counts.values()) <= 0.1 * max(counts.values())


def test_example_evaluates_on_images_apart_from_those_it_calibrates_on():
    splits = tomlfile.load(DIGITS.parent / "digits.toml", DatasetSpec).splits
    assert (splits.calibrate.path, splits.tune.path) == ("", "")
    assert splits.evaluate.path == "digits/test"


def test_example_settings_point_at_what_is_there():
    settings = tomlfile.load(DIGITS / "edgepack.toml", Settings)
    assert (DIGITS / settings.model.path / "saved_model.pb").is_file()
    assert (DIGITS / settings.dataset).resolve() == DIGITS.parent / "digits.toml"
    assert settings.budgets.variants.keys() <= set(settings.variants)
    assert {"android", "ios"} <= set(settings.targets)


def test_example_expects_the_accuracy_its_readme_reports():
    settings = tomlfile.load(DIGITS / "edgepack.toml", Settings)
    text = (DIGITS / "README.md").read_text()
    right = int(re.search(r"gets (\d+) of the 597", text).group(1))
    assert settings.model.expected_accuracy == round(right / 597, 4)


def test_example_model_is_a_few_hundred_kilobytes():
    size = sum(f.stat().st_size for f in (DIGITS / "saved_model").rglob("*") if f.is_file())
    assert 100_000 < size < 1_000_000


def lock_entries() -> Iterator[tuple[str, list[str]]]:
    for entry in re.split(r"\n(?=\S)", LOCK.read_text().strip()):
        requirement, *options = entry.replace("\\\n", "\n").split("\n")
        yield requirement.strip(), [option.strip() for option in options]


def test_lock_pins_every_requirement_to_hashes_and_says_nothing_else():
    pinned = re.compile(r"[a-z0-9-]+==[0-9][^ ;]*( ; .+)?")
    for requirement, options in lock_entries():
        assert pinned.fullmatch(requirement), requirement
        assert options, requirement
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", o) for o in options), requirement


def test_lock_names_no_url_path_or_index():
    found = re.findall(r".*(?:://|file:|--index|--extra|--find|/).*", LOCK.read_text())
    assert not found


def declared() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    parts = (
        project["build-system"]["requires"],
        project["project"]["dependencies"],
        project["project"]["optional-dependencies"]["build"],
        project["dependency-groups"]["dev"],
    )
    return [Requirement(text) for part in parts for text in part]


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_lock_holds_what_pyproject_declares_in_the_declared_range(python):
    here = {"python_version": python, "python_full_version": f"{python}.0"}
    locked = [Requirement(requirement) for requirement, _ in lock_entries()]
    pins = {r.name: r.specifier for r in locked if not r.marker or r.marker.evaluate(here)}
    for wanted in declared():
        if not wanted.marker or wanted.marker.evaluate(here):
            version = str(pins[wanted.name]).removeprefix("==")
            assert wanted.specifier.contains(version), f"{wanted} but locked {version}: make lock"


def test_every_declared_dependency_is_documented():
    text = (ROOT / "docs" / "dependencies.md").read_text()
    assert not {wanted.name for wanted in declared() if wanted.name not in text}


def make(*arguments: str, cwd: Path, path: str | None = None) -> subprocess.CompletedProcess[str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    env = inherited | ({"PATH": path} if path is not None else {})
    return subprocess.run(
        [shutil.which("make"), *arguments],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


needs_make = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")


@needs_make
def test_make_alone_lists_the_targets():
    done = make(cwd=ROOT)
    assert done.returncode == 0
    listed = {line.split()[1] for line in done.stdout.splitlines()}
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE).group(1)
    assert listed == set(phony.split())


@needs_make
def test_make_without_a_suitable_python_says_so(tmp_path):
    for name in ("Makefile", "requirements-dev.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    done = make("demo", "PYTHON=/nowhere/python", cwd=tmp_path)
    assert done.returncode != 0
    assert "needs Python 3.11, 3.12 or 3.13" in done.stderr
    assert not (tmp_path / ".venv").exists()


@needs_make
def test_make_refuses_an_old_python(tmp_path):
    for name in ("Makefile", "requirements-dev.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    old = tmp_path / "python3.6"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = make("test", f"PYTHON={old}", cwd=tmp_path)
    assert str(old) in done.stderr
    assert done.returncode != 0


def test_ci_runs_lint_and_tests():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert {"make lint", "make test"} <= set(script.read_text().splitlines())


def test_readme_quotes_the_help(edgepack: Command, request):
    done = edgepack("--help")
    assert done.returncode == 0, done.stderr
    said = "".join(f"{line.rstrip()}\n" for line in done.stdout.strip("\n").splitlines())
    text = README.read_text()
    if request.config.getoption("update_golden"):
        text = HELP.sub(lambda found: found[1] + said + found[3], text)
        README.write_text(text)
    assert HELP.search(text)[2] == said, "run make docs"


def all_errors(root: type[errors.EdgepackError]) -> Iterator[type[errors.EdgepackError]]:
    yield root
    for kind in root.__subclasses__():
        yield from all_errors(kind)


def test_readme_lists_exactly_the_exit_codes():
    codes = [int(c) for c in re.findall(r"^\| (\d) \|", README.read_text(), re.MULTILINE)]
    assert codes == sorted({0, *(kind.exit_code for kind in all_errors(errors.EdgepackError))})


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_links_lead_to_files(file):
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", file.read_text()):
        assert (file.parent / link).exists(), link


def test_readme_leads_to_every_page():
    linked = set(re.findall(r"\]\((docs/[^)#]+)\)", README.read_text()))
    pages = {page for page in (ROOT / "docs").iterdir() if page.suffix != ".svg"}  # pages show it
    assert linked == {f"docs/{page.name}" for page in pages}


@pytest.mark.slow
def test_readme_quick_start_works(edgepack: Command, tmp_path):
    shutil.copytree(DIGITS / "saved_model", tmp_path / "my_model")
    section = README.read_text().split("## Quick start")[1].split("\n## ")[0]
    commands = re.findall(r"^edgepack (.+)$", section, re.MULTILINE)
    assert len(commands) >= 5
    for command in commands:
        done = edgepack(*command.split(), cwd=tmp_path)
        assert done.returncode == 0, f"edgepack {command}\n{done.stdout}{done.stderr}"
    assert (tmp_path / "edgepack.toml").is_file()
