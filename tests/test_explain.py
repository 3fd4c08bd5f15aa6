from __future__ import annotations

import ast
import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgepack import errors
from edgepack.cli.app import app
from edgepack.errors import EdgepackError
from edgepack.records.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
PAGES = {page.stem: page.read_text() for page in sorted((ROOT / "docs/errors").glob("*.md"))}
KINDS = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, EdgepackError)
}
PARTS = ("What happened", "What to change", "TensorFlow's own words")
SMALLEST = {"model": {"path": "m", "name": "m", "version": "1.0.0"}, "dataset": "d.toml"}


def run(*arguments):
    return CliRunner().invoke(app, ["explain", *arguments])


def blocks(code):
    """The indented blocks of a page: commands, config lines or Python."""
    found = re.findall(r"(?:^ {4}.*\n)+(?:\n(?: {4}.*\n)+)*", PAGES[code], re.MULTILINE)
    return [re.sub(r"^ {4}", "", block, flags=re.MULTILINE).strip() for block in found]


def is_command(block):
    return re.match(r"([A-Z]+=\S+ )?(edgepack|pip|git) ", block) is not None


def is_toml(block):
    return re.match(r"\[|\w+ = ", block) is not None


EVERY_BLOCK = [(code, block) for code in PAGES for block in blocks(code)]
COMMANDS = [
    line
    for _, block in EVERY_BLOCK
    if is_command(block)
    for line in block.splitlines()
    if "edgepack " in line and not line.startswith("pip")
]


def test_every_class_of_errors_has_a_code_of_its_own():
    named = [k for k in vars(errors).values() if isinstance(k, type) and "code" in vars(k)]
    assert len(named) == len({kind.code for kind in named}) == len(KINDS)


def test_every_error_has_a_page_and_every_page_an_error():
    assert PAGES.keys() == KINDS.keys()


@pytest.mark.parametrize("code", PAGES)
def test_a_page_has_title_cause_and_parts_in_order(code):
    title, blank, cause, after, *_ = PAGES[code].split("\n")
    assert re.fullmatch(rf"# [A-Z].+ \(`{code}`\)", title)
    assert (blank, after) == ("", "")
    assert re.fullmatch(r"[A-Z`].{20,110}\.", cause)
    assert tuple(re.findall(r"^## (.*)$", PAGES[code], re.MULTILINE)) == PARTS
    happened, change, words = re.split(r"^## .*$", PAGES[code], flags=re.MULTILINE)[1:]
    assert 2 <= len(re.findall(r"[.?](?=\s)", happened)) <= 6
    assert change.strip()
    assert words.strip()


@pytest.mark.parametrize("code", PAGES)
def test_what_a_page_tells_to_change_is_a_command_a_config_line_or_code(code):
    assert blocks(code)
    for block in blocks(code):
        if is_toml(block):
            _require_settings(tomllib.loads(block))
        elif not is_command(block):
            ast.parse(block)


def _require_settings(found):
    """The lines are valid in an edgepack.toml: at the top, or in the part that the text names."""
    if "pass_environment" in found:
        found = {"limits": found}
    if "runtime" in found:
        found = {"latency": found}
    merged = {**SMALLEST, **found, "model": {**SMALLEST["model"], **found.get("model", {})}}
    Settings.model_validate_json(json.dumps(merged))


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_that_pages_name_are_taken_by_the_program(line):
    words = shlex.split(line.split(" > ")[0], comments=True)
    words = words[words.index("edgepack") + 1 :]
    names = [word for word in words if not word.startswith("-")]
    groups = (names[:2], names[:1])
    helps = [CliRunner().invoke(app, [*group, "--help"]) for group in groups]
    text = next(done.stdout for done in helps if done.exit_code == 0)
    text += CliRunner().invoke(app, ["--help"]).stdout
    options = [word for word in words if word.startswith("--")]
    assert [option for option in options if option not in text] == []


def test_links_between_pages_lead_somewhere():
    links = [link for text in PAGES.values() for link in re.findall(r"\]\(([^)#]+)\)", text)]
    assert links
    assert [link for link in links if not (ROOT / "docs/errors" / link).exists()] == []


@pytest.mark.parametrize("code", PAGES)
def test_explain_prints_the_page(code):
    done = run(code)
    assert done.exit_code == 0
    assert done.stdout == PAGES[code]


def test_explain_lists_every_code_with_its_cause():
    lines = run().stdout.splitlines()
    assert {line.split()[0] for line in lines} == set(PAGES)
    assert all(line.split(maxsplit=1)[1] in PAGES[line.split()[0]] for line in lines)


def test_explain_answers_in_json():
    listed = json.loads(run("--json").stdout)
    assert {one["code"]: one["exit_code"] for one in listed} == {
        code: kind.exit_code for code, kind in KINDS.items()
    }
    one = json.loads(run("shape", "--json").stdout)
    assert (one["code"], one["exit_code"], one["page"]) == ("shape", 5, PAGES["shape"])


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("unsafe", "Did you mean unsafe-model?"),
        ("ship", "Did you mean shape?"),
        ("x", "lists them"),
    ],
)
def test_a_code_that_is_not_known_names_the_nearest(asked, hint):
    done = run(asked)
    assert done.exit_code == 2
    assert f"error[usage]: no error has the code '{asked}'" in done.stderr
    assert hint in done.stderr


@pytest.mark.parametrize("asked", ["../config", "/etc/hostname", ""])
def test_a_code_is_no_path(asked):
    assert run(asked).exit_code == 2
