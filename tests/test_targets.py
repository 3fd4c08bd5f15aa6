"""Target profiles, built in and one's own."""

from __future__ import annotations

from typing import get_args

import pytest

from edgepack import targets
from edgepack.errors import ConfigError
from edgepack.records.facts import Precision

OWN = """\
name = "watch"
description = "a watch"
platform = "android"
precisions = ["int8"]
"""


def test_android_ios_and_linux_are_built_in():
    assert targets.names() == ("android", "ios", "linux")


def test_each_built_in_profile_has_its_files_name_and_something_for_every_model():
    for target in targets.load_all():
        assert targets.load(target.name) == target
        assert target.description
        assert target.max_size_bytes > 10_000_000
        assert {"int8", "float32"} <= set(target.precisions) <= set(get_args(Precision))
        for dtypes in (target.input_dtypes, target.output_dtypes):
            assert not dtypes or {"float32", "uint8"} <= set(dtypes)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("andriod", 'no target is called "andriod"; did you mean "android"?'),
        ("toaster", "known: android, ios, linux"),
        ("", 'no target is called ""'),
        ("..", 'no target is called ".."'),
    ],
)
def test_an_unknown_name_lists_the_known_ones(name, says):
    with pytest.raises(ConfigError) as caught:
        targets.load(name)
    assert says in str(caught.value)
    assert "android, ios, linux" in str(caught.value)


def test_a_profile_of_ones_own_is_a_path(tmp_path, monkeypatch):
    (tmp_path / "watch.toml").write_text(OWN)
    assert targets.load(str(tmp_path / "watch.toml")).precisions == ("int8",)
    monkeypatch.chdir(tmp_path)
    assert targets.load("watch.toml").name == "watch"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"android"', '"symbian"', ':3: platform is "symbian"; known: android, ios, linux'),
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


def test_a_missing_profile_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"no-such\.toml: there is no such file"):
        targets.load(str(tmp_path / "no-such.toml"))
