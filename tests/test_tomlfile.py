"""TOML files as records: what is wrong, said in plain words, with file and line."""

from __future__ import annotations

import contextlib
import json
import tomllib
from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from edgepack import tomlfile
from edgepack.errors import ConfigError
from edgepack.records.base import Record
from edgepack.records.dataset import DatasetSpec
from edgepack.records.settings import Settings
from edgepack.tomlfile.lines import line_of
from edgepack.tomlfile.plain import Problem
from edgepack.tomlfile.shapes import quoted

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """\
dataset = "pets.toml"

[model]
path = "pets"
name = "pets"
version = "1.0.0"
"""


class Inner(Record):
    wanted: int
    share: float | None = None


class Outer(Record):
    """One field of each kind."""

    number: float = 0.0
    count: int = 0
    text: str = ""
    flag: bool = False
    kind: Literal["red", "green"] = "red"
    either: int | float | None = None
    names: tuple[str, ...] = ()
    table: Inner = Inner(wanted=1)
    tables: dict[Literal["a", "b"], Inner] = Field(default_factory=dict)


def complaint(tmp_path: Path, text: str, kind: type[Record] = Outer) -> str:
    file = tmp_path / "file.toml"
    file.write_bytes(text.encode())
    with pytest.raises(ConfigError) as caught:
        tomlfile.load(file, kind)
    return str(caught.value).replace(f"{tmp_path}/", "")


def test_a_good_file_becomes_a_record(tmp_path):
    (tmp_path / "a.toml").write_text(GOOD)
    assert tomlfile.load(tmp_path / "a.toml", Settings).model.version == "1.0.0"


@pytest.mark.parametrize("lead", [b"\xef\xbb\xbf", b""])
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_what_windows_editors_write_is_read(tmp_path, lead, end):
    (tmp_path / "a.toml").write_bytes(lead + GOOD.encode().replace(b"\n", end))
    assert tomlfile.load(tmp_path / "a.toml", Settings).model.name == "pets"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nmuber = 1", 'file.toml:1: unknown key "nmuber"; did you mean "number"?'),
        ("\nzzz = 1", 'file.toml:2: unknown key "zzz"; known: count, either, flag, '),
        ("[table]\nwanted = 1\ncount = 2", "it belongs at the top, above the first [table]"),
        ("share = 1", 'file.toml:1: unknown key "share"; it belongs below [table]'),
        ("[tables.c]\nwanted = 1", 'unknown key "c" in [tables]; known: a, b'),
        ("number = true", "number must be a number, not true"),
        ('number = "1"', 'number must be a number, not "1"'),
        ("number = nan", "number is nan, not a finite number"),
        ("number = -inf", "number is -inf, not a finite number"),
        ("number = 1e999", "number is inf, not a finite number"),
        ("zzz = nan", 'unknown key "zzz"'),
        ('count = "1"', 'count must be a whole number, not "1"'),
        ("count = 1.0", "count must be a whole number, not 1.0"),
        ("count = false", "count must be a whole number, not false"),
        ("count = 9223372036854775808", "count is a whole number of more than 64 bits"),
        ("count = 0x" + "f" * 9000, "count is a whole number of more than 64 bits"),
        ("text = 1", "text must be text in quotes, not 1"),
        ("text = 2026-01-01", "text is a date or time; put it in quotes if it is text"),
        ("text = [1]", "text must be text in quotes, not a list"),
        ("flag = 1", "flag must be true or false, not 1"),
        ('kind = "gren"', 'kind is "gren"; did you mean "green"?'),
        ('kind = "blue"', 'kind is "blue"; known: green, red'),
        ("kind = 1", 'kind must be one of "red", "green", not 1'),
        ('either = "1"', 'either must be a number, not "1"'),
        ('names = "a"', 'names must be a list, each item text in quotes, not "a"'),
        ('names = [\n"a",\n1]', "file.toml:1: names (item 2) must be text in quotes, not 1"),
        ("table = 1", "table must be a table, not 1"),
        ("[table]\nshare = 1.5", "file.toml:1: table.wanted is missing"),
        ("table = { wanted = 1, share = 'x' }", "file.toml:1: table.share must be a number"),
        ("[tables]\n\na.wanted = ''", "file.toml:3: tables.a.wanted must be a whole number"),
        ("a = 1\na = 2\n", "file.toml:2: not valid TOML, column 6: this key was set before"),
        ("\ntext = bare", "file.toml:2: not valid TOML, column 8: this value is neither"),
        ("text", "file.toml:1: not valid TOML"),
        ("text = 'a", "file.toml:1: not valid TOML"),
        ("count = " + "9" * 5000, "file.toml: not valid TOML"),
        ("names = " + "[" * 5000, "nested too deeply"),
        (".".join("a" * 5000) + " = 1", "nested too deeply"),
    ],
)
def test_each_mistake_is_told_in_plain_words(tmp_path, text, says):
    assert says in complaint(tmp_path, text)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('name = "pets"', ""), "a.toml:3: model.name is missing: letters, digits"),
        (('name = "pets"', 'name = "my pets"'), '5: model.name is "my pets", which does not fit'),
        (('name = "pets"', f'name = "{"a" * 101}"'), "must not be longer than 100 characters"),
        (('"1.0.0"', '"1.0"'), "three numbers with dots, such as 1.2.0"),
        (('"1.0.0"', "1.0"), "model.version must be text in quotes, not 1.0"),
        (('path = "pets"', 'path = ""'), "4: model.path must not be empty"),
        (("[model]", "[modle]"), "the table [model] is missing; it needs path, name, version"),
        (('"1.0.0"', '"1.0.0"\naccuracy_tolerance = -1'), "must be at least 0, not -1"),
        (('"1.0.0"', '"1.0.0"\n[latency]\nrounds = 2'), "8: latency.rounds must be at least 3"),
        (('"1.0.0"', '"1.0.0"\n[limits]\ntimeout_seconds = 0'), "must be more than 0, not 0"),
        (
            ('"1.0.0"', '"1.0.0"\n[budgets.all]\nmin_agreement = 98'),
            "8: budgets.all.min_agreement must be at most 1, not 98",
        ),
    ],
)
def test_each_mistake_in_settings_names_its_line(tmp_path, change, says):
    file = tmp_path / "a.toml"
    assert change[0] in GOOD
    file.write_text(GOOD.replace(*change))
    with pytest.raises(ConfigError) as caught:
        tomlfile.load(file, Settings)
    assert says in str(caught.value)


def test_all_problems_are_listed_in_the_order_of_lines(tmp_path):
    said = complaint(tmp_path, "count = 1.5\nnumber = nan\nzzz = 1\n[table]\n")
    assert said.startswith("4 things are wrong:")
    assert [line.split(":")[1] for line in said.splitlines()[1:]] == ["1", "2", "3", "4"]


def test_a_whole_number_may_stand_for_a_number(tmp_path):
    (tmp_path / "a.toml").write_text("number = 3\neither = 2\n")
    assert tomlfile.load(tmp_path / "a.toml", Outer) == Outer(number=3.0, either=2)


def test_problems_beyond_types_have_lines_too(tmp_path):
    (tmp_path / "a.toml").write_text("\ncount = 7\n")
    with pytest.raises(ConfigError, match=r"a\.toml:2: count is unlucky"):
        tomlfile.load(
            tmp_path / "a.toml", Outer, lambda _: [Problem(("count",), "count is unlucky")]
        )


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "there is no such file"),
        (lambda path: path.mkdir(), "is a directory"),
        (lambda path: path.write_bytes(b'a = 1\nb = "\xff"'), "2: is not UTF-8 text"),
        (lambda path: path.write_bytes(b"#" * 5_000_000), "not a TOML file"),
        (lambda path: path.symlink_to(path), "cannot be read"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path, make, says):
    path = tmp_path / "a.toml"
    make(path)
    with pytest.raises(ConfigError, match=says):
        tomlfile.load(path, Outer)


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_no_bytes_raise_anything_but_a_config_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzz.toml"
    path.write_bytes(content)
    with contextlib.suppress(ConfigError):
        tomlfile.load(path, Outer)


SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=5),
    st.just([]),
    st.just({}),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*Outer.model_fields, "wanted", "a"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*Outer.model_fields, "other"]), VALUES))
def test_nothing_is_converted_and_every_problem_is_at_a_place(data):
    found = tomlfile.check(Outer, data)
    if isinstance(found, tuple):
        assert len({problem.path for problem in found}) == len(found)
        assert all(problem.message and "Input should" not in problem.message for problem in found)
    else:
        kept = found.model_dump(exclude_unset=True)
        assert json.dumps(kept) == json.dumps(_floats(data, kept))


def _floats(data, kept):
    """`data` with whole numbers as floats where the record holds floats."""
    if isinstance(kept, dict):
        return {key: _floats(data[key], value) for key, value in kept.items()}
    if isinstance(kept, tuple):
        return tuple(_floats(one, value) for one, value in zip(data, kept, strict=True))
    return float(data) if isinstance(kept, float) and not isinstance(data, bool) else data


KEYS = st.one_of(
    st.text("abcXYZ019_-", min_size=1, max_size=4),
    st.text(st.characters(codec="utf-8"), max_size=4).map(quoted),
    st.text('abc #[]=."', max_size=4).map(lambda text: f"'{text}'"),
)
TEXTS = st.sampled_from(
    [
        *("1", "true", '"a # [ b"', "'[table]'", '""', "''", '"\\""', "1979-05-27T07:32:00Z"),
        *('"""\n[not.a.table]\nkey = 1\n"""', "'''\n\"\"\"\n[x]'''", '"""a"""""', '"""\\""""'),
        *("[\n 1, # ]\n 2\n]", "[ '''\n]''', \"[\" ]", "{ a = 1, b = { c = 2 } }", "[{ a = 1 }]"),
    ]
)
HEADERS = st.sampled_from(["[{}]", "[[{}]]", "[ {} ] # comment", "[[ {} ]]"])
SPACES = st.sampled_from(["", "\n", "# [comment]\n\n", "  ", "\t# key = 1\n"])
TABLES = st.tuples(SPACES, HEADERS, KEYS, st.lists(st.tuples(KEYS, TEXTS), max_size=3))


def plain(key: str) -> str:
    return next(iter(tomllib.loads(f"{key} = 1")))


@given(st.lists(TABLES))
def test_every_key_is_found_on_the_line_it_was_written_on(tables):
    text, expected, elements = "", {}, {}
    for space, header, name, pairs in tables:
        root, is_list = plain(name), header.startswith("[[")
        if root in elements and not (is_list and elements[root]):
            continue  # TOML allows a table once, and a list's name to nothing else
        text += space
        here = (root, elements.get(root, 0)) if is_list else (root,)
        elements[root] = elements.get(root, 0) + is_list
        line = text.count("\n") + 1
        expected = {(root,): line} | expected | {here: line}
        text += header.format(name) + "\n"
        for key, (written, value) in {plain(key): (key, value) for key, value in pairs}.items():
            expected[*here, key] = text.count("\n") + 1
            text += f"{written} = {value}\n"
    tomllib.loads(text)
    assert {path: line_of(text, path) for path in expected} == expected


def test_dotted_keys_and_nested_lists_are_found():
    text = "a.b.c = 1\n[[d]]\n[d.e]\nf = 1\n[[d]]\n\n[d.e]\nf = 2\n[[d.g]]\n'h.i' = 3\n"
    tomllib.loads(text)
    places = {
        ("a",): 1,
        ("a", "b", "c"): 1,
        ("d", 0, "e", "f"): 4,
        ("d", 1): 5,
        ("d", 1, "e", "f"): 8,
        ("d", 1, "g", 0, "h.i"): 10,
        ("d", 1, "g", 0, "nowhere"): 9,
        ("nowhere",): 1,
    }
    assert {path: line_of(text, path) for path in places} == places


def test_the_specs_that_are_shipped_load(request):
    for spec in (request.config.rootpath / "calibration").glob("*.toml"):
        assert tomlfile.load(spec, DatasetSpec).name
