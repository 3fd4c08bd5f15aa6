"""Target profiles, built in and one's own."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import get_args

import pytest

from edgepack import targets
from edgepack.errors import ConfigError
from edgepack.records.target import Platform
from edgepack.tflite import schema

ROOT = Path(__file__).resolve().parents[1]
KNOWN = ", ".join(targets.names())

OWN = """\
name = "watch"
description = "a watch"
platform = "android"
precisions = ["int8"]
"""


# What a figure is: each that a profile states itself has a source.
FIGURES = (
    "input_dtypes",
    "output_dtypes",
    "weight_dtypes",
    "static_shapes",
    "integer_only",
    "custom_operators",
    "max_size_bytes",
    "max_memory_bytes",
    "max_arena_bytes",
    "operators",
    "delegates",
    "precisions",
    "runtime.least_version",
    "runtime.below_version",
    "os.least_version",
)


def test_every_kind_of_device_has_a_built_in_profile():
    assert {target.platform for target in targets.load_all()} == set(get_args(Platform))


@pytest.mark.parametrize("name", targets.names())
def test_each_built_in_profile_says_what_it_is_and_where_its_figures_are_from(name):
    target = targets.load(name)
    assert (target.name, target.extends == name) == (name, False)
    assert target.description
    assert target.packaging
    assert set(target.operators) <= set(schema.OPERATORS)
    own = tomllib.loads((ROOT / f"targets/{name}.toml").read_text())
    stated = {key for key in FIGURES if _states(own, key)}
    assert stated <= own["sources"].keys(), "a figure has no source"
    assert all(date.fromisoformat(one.read) for one in target.sources.values())


def _states(profile, key):
    table, _, inner = key.partition(".")
    return inner in profile.get(table, {}) if inner else table in profile


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("andriod", 'no target is called "andriod"; did you mean "android"?'),
        ("toaster", f"known: {KNOWN}"),
        ("", 'no target is called ""'),
        ("..", 'no target is called ".."'),
    ],
)
def test_an_unknown_name_lists_the_known_ones(name, says):
    with pytest.raises(ConfigError) as caught:
        targets.load(name)
    assert says in str(caught.value)
    assert KNOWN in str(caught.value)


def test_a_profile_of_ones_own_is_a_path(tmp_path, monkeypatch):
    (tmp_path / "watch.toml").write_text(OWN)
    assert targets.load(str(tmp_path / "watch.toml")).precisions == ("int8",)
    monkeypatch.chdir(tmp_path)
    assert targets.load("watch.toml").name == "watch"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            '"android"',
            '"symbian"',
            ':3: platform is "symbian"; known: android, browser, edgetpu, ios',
        ),
        ('["int8"]', "[]", ":4: precisions is empty"),
        ('["int8"]', '["int8", "int8"]', ":4: precisions names one twice"),
        ('["int8"]', '["int9"]', 'precisions (item 1) is "int9"; did you mean "int8"?'),
        ('["int8"]', '["int8"]\ninput_dtypes = ["float"]', ":5: input_dtypes: no element type is"),
        ('["int8"]', '["int8"]\nmax_size_bytes = 0', ":5: max_size_bytes must be more than 0"),
        ('["int8"]', '["int8"]\nmax_size = 1', 'did you mean "max_size_bytes"?'),
        ('"watch"', '""', ":1: name must not be empty"),
        (OWN, "", "4 things are wrong"),
    ],
)
def test_each_mistake_in_a_profile_names_its_line(tmp_path, old, new, says):
    assert old in OWN
    (tmp_path / "watch.toml").write_text(OWN.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        targets.load(str(tmp_path / "watch.toml"))
    assert says in str(caught.value)


def _own(tmp_path, text, name="own.toml"):
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


def test_a_profile_says_only_what_it_has_otherwise(tmp_path):
    own = """\
extends = "android"
name = "watch"
max_size_bytes = 8_000_000
input_dtypes = ["float32"]
[runtime]
least_version = "1.1.0"
"""
    android, found = targets.load("android"), targets.load(_own(tmp_path, own))
    changed = {"name", "extends", "max_size_bytes", "input_dtypes", "runtime", "sources"}
    assert {"max_memory_bytes", "os.least_version"} & found.sources.keys()
    assert found.model_dump(exclude=changed) == android.model_dump(exclude=changed)
    assert (found.name, found.max_size_bytes, found.input_dtypes) == (
        "watch",
        8_000_000,
        ("float32",),
    )
    assert found.runtime.artifact == android.runtime.artifact
    assert found.runtime.least_version == "1.1.0"


def test_a_source_goes_with_its_figure_and_versions_with_their_artifact(tmp_path):
    base = (
        OWN
        + """\
max_size_bytes = 9
max_memory_bytes = 9
operators = { ADD = 1, MUL = 0 }
[runtime]
artifact = "tflite-runtime"
least_version = "2.10.0"
[os]
name = "Wear"
least_version = "3"
[sources]
max_size_bytes = { at = "a page", read = "2026-01-31" }
max_memory_bytes = { at = "a page", read = "2026-01-31" }
"runtime.least_version" = { at = "a page", read = "2026-01-31" }
"os.least_version" = { at = "a page", read = "2026-01-31" }
"""
    )
    own = """\
extends = "base.toml"
name = "own"
max_size_bytes = 8
operators = { ADD = 2 }
[runtime]
artifact = "ai-edge-litert"
[os]
least_version = "4"
"""
    _own(tmp_path, base, "base.toml")
    found = targets.load(_own(tmp_path, own))
    assert found.sources.keys() == {"max_memory_bytes"}
    assert found.operators == {"ADD": 2}
    assert (found.runtime.artifact, found.runtime.least_version) == ("ai-edge-litert", "")
    assert (found.os.name, found.os.least_version) == ("Wear", "4")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('\nextends = "own.toml"', "own.toml:2: the profile extends itself"),
        ('extends = "other.toml"', "other.toml:1: the profile extends itself"),
        ('extends = "androd"', 'own.toml:1: no target is called "androd"; did you mean "android"?'),
        ('extends = "no/such.toml"', "no/such.toml: there is no such file"),
        ('extends = "android"\nruntime = 3', "own.toml:2: runtime must be a table"),
        ('extends = "android"\nsources = []', "own.toml:2: sources must be a table"),
        (
            'extends = "android"\n[runtime]\nleast_version = "x"',
            "own.toml:3: runtime.least_version",
        ),
        ('extends = "android"\n[runtime]\nbelow_version = "1"', "no release is between them"),
        ('extends = "android"\nruntimes = ["tflite-runtime"]', "own.toml:2: runtimes (item 1)"),
        (
            'extends = "android"\nruntimes = ["a==1"]',
            "runtimes (item 1): a is no runtime known here",
        ),
        (
            'extends = "android"\nruntimes = ["tensorflow==2.9.0", "tensorflow==2.*"]',
            "own.toml:2: runtimes (item 2)",
        ),
        ('extends = "ios"\nruntimes = ["numpy==1.0"]', "numpy is no runtime known here. Known are"),
        ('extends = "ios"\nruntimes = ["@foo/bar==1"]', "own.toml:2: runtimes (item 1): '@foo/bar"),
        (
            'extends = "ios"\n[operators]\nADD = 1\nconv2d = 5',
            'own.toml:4: operators: none is called "conv2d"; did you mean "CONV_2D"?',
        ),
        (
            'extends = "android"\n[sources]\nmax_size = { at = "x", read = "2026-01-31" }',
            'own.toml:3: sources: "max_size" names no key of a profile; did you mean',
        ),
    ],
)
def test_each_mistake_in_extending_names_its_line(tmp_path, text, says):
    _own(tmp_path, 'extends = "own.toml"', "other.toml")
    with pytest.raises(ConfigError) as caught:
        targets.load(_own(tmp_path, text))
    assert says in str(caught.value)


def test_releases_are_named_as_runs_are(tmp_path):
    text = 'extends = "linux"\nruntimes = ["tflite_runtime == 2.14.0", "litertjs==2.5.3"]'
    found = targets.load(_own(tmp_path, text))
    assert found.runtimes == ("tflite-runtime==2.14.0", "@litertjs/core==2.5.3")


def test_sources_of_other_keys_stay_where_the_name_has_one(tmp_path):
    """A key `name` or `artifact` starts a table anew, but for sources."""
    base = """\
extends = "linux"
max_size_bytes = 9
[sources]
max_size_bytes = { at = "a page", read = "2026-01-31" }
"""
    _own(tmp_path, base, "base.toml")
    own = 'extends = "base.toml"\n[sources]\nname = { at = "our choice", read = "2026-01-31" }'
    assert {"name", "max_size_bytes"} <= targets.load(_own(tmp_path, own)).sources.keys()


def test_a_missing_profile_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"no-such\.toml: there is no such file"):
        targets.load(str(tmp_path / "no-such.toml"))


def test_two_targets_of_one_name_are_refused(tmp_path):
    own = _own(tmp_path, 'extends = "android"\nmax_size_bytes = 1', "tiny.toml")
    assert [one.name for one in targets.load_each(["ios", own])] == ["ios", "android"]
    with pytest.raises(ConfigError, match=r'two targets are called "android": android and .*tiny'):
        targets.load_each(["android", own])
