"""`edgepack.toml`, the flags over it, and the one that `init` writes."""

from __future__ import annotations

import json
import math
import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.config import settings, template
from edgepack.config.settings import Flags
from edgepack.config.start import start
from edgepack.datasets import spec as dataset_spec
from edgepack.errors import ConfigError, ModelError, UsageError
from edgepack.records.base import Record
from edgepack.records.facts import SavedModelFacts
from edgepack.records.settings import (
    BaselineBudget,
    Budget,
    LatencySettings,
    Limits,
    MetadataSettings,
    ModelSettings,
    QuantizeSettings,
    ReleaseSettings,
    SearchSettings,
    Settings,
)
from edgepack.records.target import Target
from edgepack.records.tensors import Signature, Tensor

ROOT = Path(__file__).resolve().parents[1]
DIGITS = ROOT / "calibration" / "digits"
GOOD = """\
dataset = "data/pets.toml"
targets = ["android", "own/watch.toml"]

[model]
path = "models/pets"
name = "pets"
version = "1.0.0"

[budgets.all]
max_accuracy_drop = 0.02

[budgets.variants.int8]
max_size_bytes = 1000
"""
ALONE = Flags(model="m", name="pets", model_version="1.0.0", dataset="d.toml")


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "project" / "edgepack.toml"
    path.parent.mkdir()
    path.write_text(GOOD)
    return path


def refused(path, flags=None):
    with pytest.raises(ConfigError) as caught:
        settings.load(path, flags)
    return str(caught.value)


def test_paths_of_the_file_are_relative_to_it(config, monkeypatch):
    monkeypatch.chdir("/")
    found = settings.load(config)
    assert found.model.path == str(config.parent / "models/pets")
    assert found.dataset == str(config.parent / "data/pets.toml")
    assert found.output == str(config.parent / "dist")
    assert found.targets == ("android", str(config.parent / "own/watch.toml"))


def test_paths_of_flags_are_relative_to_the_working_directory(config, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    flags = Flags(model="m", dataset="d.toml", output="out", targets=("ios", "./t.toml"))
    found = settings.load(config, flags)
    assert found.model.path == str(tmp_path / "m")
    assert found.dataset == str(tmp_path / "d.toml")
    assert found.output == str(tmp_path / "out")
    assert found.targets == ("ios", str(tmp_path / "t.toml"))
    assert found.model.name == "pets"


def test_a_relative_config_file_gives_absolute_paths(config, monkeypatch):
    monkeypatch.chdir(config.parent)
    assert settings.load(Path("edgepack.toml")) == settings.load(config)


def test_dots_lead_where_the_file_system_says(tmp_path):
    (tmp_path / "a/deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to("a/deep")
    (tmp_path / "a/deep/edgepack.toml").write_text(GOOD.replace("data/pets", "../pets"))
    found = settings.load(tmp_path / "link/edgepack.toml")
    assert found.dataset == str((tmp_path / "a/pets.toml").resolve())


def test_home_is_found(config, monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    config.write_text(GOOD.replace("models/pets", "~/pets"))
    assert settings.load(config).model.path == "/home/someone/pets"


def test_flags_alone_are_enough(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    found = settings.load(None, ALONE)
    assert found.model.path == str(tmp_path / "m")
    assert found.output == str(tmp_path / "dist")
    assert found.budgets.all == Budget(max_accuracy_drop=0.01)


@pytest.mark.parametrize(
    ("flags", "place", "value"),
    [
        (Flags(name="cats"), "model.name", "cats"),
        (Flags(model_version="2.0.0"), "model.version", "2.0.0"),
        (Flags(signature="serve"), "model.signature", "serve"),
        (Flags(signature=""), "model.signature", ""),
        (Flags(expected_accuracy=0.5), "model.expected_accuracy", 0.5),
        (Flags(accuracy_tolerance=0.0), "model.accuracy_tolerance", 0.0),
        (Flags(variants=("int8", "float16")), "variants", ("int8", "float16")),
        (Flags(targets=("linux",)), "targets", ("linux",)),
        (Flags(threads=4), "latency.threads", 4),
        (Flags(sequence="42"), "release.sequence", 42),
        (Flags(sequence="commits"), "release.sequence", "commits"),
        (Flags(expires="2030-01-02"), "release.expires", "2030-01-02"),
        (Flags(license="MIT OR Apache-2.0"), "release.license", "MIT OR Apache-2.0"),
        (Flags(embed_metadata=True, author="A"), "metadata.author", "A"),
        (Flags(vectors=3), "release.vectors", 3),
        (Flags(provenance=True), "release.provenance", True),
        (Flags(rounds=5), "latency.rounds", 5),
        (Flags(runtime="tflite-runtime"), "latency.runtime", "tflite-runtime"),
        (Flags(timeout=1.5), "limits.timeout_seconds", 1.5),
        (Flags(memory_limit=2**30), "limits.memory_bytes", 2**30),
        (Flags(budgets=("min_accuracy=0.9",)), "budgets.all.min_accuracy", 0.9),
        (Flags(budgets=("min_accuracy=0.9",)), "budgets.all.max_accuracy_drop", 0.02),
        (Flags(budgets=("all.min_accuracy=1",)), "budgets.all.min_accuracy", 1.0),
        (Flags(budgets=("max_accuracy_drop=off",)), "budgets.all.max_accuracy_drop", None),
        (Flags(budgets=("baseline.max_size_ratio=2",)), "budgets.baseline.max_size_ratio", 2.0),
        (
            Flags(budgets=("baseline.allow_signature_change=true",)),
            "budgets.baseline.allow_signature_change",
            True,
        ),
    ],
)
def test_every_flag_takes_the_place_of_what_the_file_says(config, flags, place, value):
    found = settings.load(config, flags)
    for name in place.split("."):
        found = getattr(found, name)
    assert found == value


def test_budget_flags_of_one_variant_add_to_the_files(config):
    budgets = ("int8.max_accuracy_drop=0.05", "int8-float-io.max_size_bytes=2_000")
    found = settings.load(config, Flags(budgets=budgets)).budgets
    assert found.of("int8") == Budget(max_accuracy_drop=0.05, max_size_bytes=1000)
    assert found.of("int8-float-io").max_size_bytes == 2000
    assert found.of("float16") == Budget(max_accuracy_drop=0.02)


def test_a_budget_flag_does_not_lose_the_default_limit():
    found = settings.load(None, Flags(**vars(ALONE) | {"budgets": ("min_agreement=0.9",)}))
    assert found.budgets.all == Budget(max_accuracy_drop=0.01, min_agreement=0.9)


def leaves(kind: type[Record], path: tuple[str, ...] = ()):
    for name, field in kind.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Record):
            yield from leaves(inner, (*path, name))
        else:
            yield (*path, name)


def test_everything_in_the_file_has_a_flag():
    covered = set(settings._FLAGS.values())
    assert {f.name for f in fields(Flags)} == {*settings._FLAGS, "budgets", "shapes"}
    own = {path for path in leaves(Settings) if path[0] == "budgets" or "shapes" in path}
    assert {*leaves(Settings)} - own == covered


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (Flags(name="my pets"), '--name: model.name is "my pets", which does not fit'),
        (Flags(model_version="1"), "--model-version: model.version"),
        (Flags(variants=("flot16",)), 'is "flot16"; did you mean "float16"?'),
        (Flags(variants=("int8", "int8")), '--variant: variants names "int8" twice'),
        (Flags(targets=("ios", "ios")), '--target: targets names "ios" twice'),
        (Flags(expected_accuracy=math.nan), "--expected-accuracy: model.expected_accuracy is nan"),
        (Flags(threads=0), "--threads: latency.threads must be at least 1, not 0"),
        (Flags(runtime="litert"), '--runtime: latency.runtime is "litert"; did you mean'),
        (Flags(timeout=math.inf), "--timeout: limits.timeout_seconds is inf"),
        (Flags(memory_limit=-1), "--memory-limit: limits.memory_bytes must be more than 0"),
        (Flags(sequence="banana"), '--sequence: release.sequence is "banana"; known: baseline'),
        (Flags(author="A"), "--author: author is written only with metadata.embed = true"),
        (Flags(license="Apache"), '--license: "Apache" is no SPDX expression'),
        (Flags(expires="2030-13-01"), "--expires: expires is not a day"),
        (Flags(vectors=-1), "--vectors: release.vectors must be at least 0"),
        (Flags(model=""), "--model: model.path must not be empty"),
        (Flags(output=""), "--output: output must not be empty"),
        (Flags(budgets=("max_size_bytes",)), "--budget max_size_bytes: is not KEY=VALUE"),
        (Flags(budgets=("=1",)), "--budget =1: is not KEY=VALUE"),
        (Flags(budgets=("max_size=1",)), '--budget max_size=1: unknown key "max_size"'),
        (Flags(budgets=("int9.max_size_bytes=1",)), 'unknown key "int9"'),
        (Flags(budgets=("int8.max_siz_bytes=1",)), 'did you mean "max_size_bytes"?'),
        (Flags(budgets=("max_size_bytes=1.5",)), "must be a whole number, not 1.5"),
        (Flags(budgets=("max_size_bytes=big",)), '"big" is neither a number, true, false nor off'),
        (Flags(budgets=("max_size_bytes='1'",)), "is neither a number"),
        (Flags(budgets=("max_size_bytes=1\nb=2",)), "is neither a number"),
        (Flags(budgets=("min_agreement=true",)), "must be a number, not true"),
        (Flags(budgets=("min_agreement=nan",)), "min_agreement is nan, not a finite number"),
        (Flags(budgets=("baseline.allow_signature_change=off",)), "must be true or false"),
    ],
)
def test_each_mistake_of_a_flag_names_the_flag(config, flags, says):
    said = refused(config, flags)
    assert says in said
    assert said.startswith("--")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('["android", "own/watch.toml"]', '["ios", "ios"]', 'toml:2: targets names "ios" twice'),
        ("[model]", "variants = []\n[model]", "toml:4: variants is empty"),
        ("max_accuracy_drop", "max_acuracy_drop", 'toml:10: unknown key "max_acuracy_drop" in'),
        ("[budgets.all]", "[budgets.al]", 'did you mean "all"?'),
        (".int8]", ".int9]", 'toml:12: unknown key "int9" in [budgets.variants]'),
        ("max_size_bytes = 1000", 'max_size_bytes = "1 kB"', "toml:13: "),
        ('name = "pets"', 'naem = "pets"', 'unknown key "naem" in [model]; did you mean "name"?'),
        ('version = "1.0.0"', 'version = "1.0.0"\noutput = "d"', "it belongs at the top"),
    ],
)
def test_each_mistake_of_the_file_names_file_and_line(config, old, new, says):
    assert old in GOOD
    config.write_text(GOOD.replace(old, new))
    assert says in refused(config)
    assert str(config) in refused(config)


def test_a_flag_mends_what_the_file_says_wrongly(config):
    config.write_text(GOOD.replace('version = "1.0.0"', "version = 1"))
    assert settings.load(config, Flags(model_version="1.0.1")).model.version == "1.0.1"


def test_problems_of_file_and_flags_are_told_together(config):
    config.write_text(GOOD.replace('version = "1.0.0"', ""))
    said = refused(config, Flags(name="my pets"))
    assert "2 things are wrong" in said
    assert "--name: " in said
    assert f"{config}:4: model.version is missing" in said


def test_without_a_file_missing_flags_are_named():
    said = refused(None, Flags(model="m"))
    for missing in ("--name", "--model-version", "--dataset"):
        assert f"{missing}: is needed where no edgepack.toml says it" in said
    assert "--model:" not in said


def test_a_value_in_the_place_of_a_table_is_told(config):
    config.write_text('dataset = "d"\nmodel = 3\nbudgets = 1\n')
    said = refused(config, Flags(name="pets", budgets=("int8.min_accuracy=1",)))
    assert f"{config}:2: model must be a table, not 3" in said
    assert f"{config}:3: budgets must be a table, not 1" in said


def test_the_embedded_project_loads():
    found = settings.load(DIGITS / "edgepack.toml")
    assert found.dataset == str(DIGITS.parent / "digits.toml")


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
SHAPES = st.none() | st.lists(st.sampled_from([-1, 1, 3, 4, 8, 224]), max_size=5).map(tuple)
TENSORS = st.builds(
    Tensor,
    name=NAMES,
    dtype=st.sampled_from(["float32", "uint8", "int64", "string", "bool"]),
    shape=SHAPES,
)
LISTS = st.lists(TENSORS, min_size=1, max_size=3, unique_by=lambda tensor: tensor.name)
SIGNATURES = st.builds(Signature, name=NAMES, inputs=LISTS.map(tuple), outputs=LISTS.map(tuple))


@given(SIGNATURES, NAMES, NAMES)
def test_what_init_writes_loads_whatever_the_model_is_called(
    tmp_path_factory, signature, other, model
):
    directory = tmp_path_factory.getbasetemp() / "init"
    directory.mkdir(exist_ok=True)
    others = Signature(name=other, inputs=signature.inputs, outputs=signature.outputs)
    facts = SavedModelFacts(
        path=model, digest="", size_bytes=0, tags=(), signatures=(signature, others)
    )
    name = template.model_name(Path(model.replace("\0", "")))
    begun = template.Start(facts, signature, name, f"models/{model}", "dataset.toml")
    (directory / "edgepack.toml").write_text(template.settings(begun), newline="")
    (directory / "dataset.toml").write_text(template.dataset(begun), newline="")
    found = settings.load(directory / "edgepack.toml")
    assert found.model.signature == signature.name
    spec = dataset_spec.load(Path(found.dataset))
    assert list(spec.inputs) == [tensor.name for tensor in signature.inputs]
    for tensor in signature.inputs:
        assert spec.inputs[tensor.name].dtype == tensor.dtype


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/models/pets", "pets"),
        ("/models/pets/3", "pets"),
        ("/srv/pets/saved_model", "pets"),
        ("/models/Pets & co", "Pets-co"),
        ("/1", "model"),
        ("/models/-__", "model"),
    ],
)
def test_a_models_name_is_that_of_its_folder(path, name):
    assert template.model_name(Path(path)) == name


def images(*dims, dtype="float32"):
    tensor = Tensor(name="image", dtype=dtype, shape=dims)
    signature = Signature(name="serve", inputs=(tensor,), outputs=())
    facts = SavedModelFacts(path="", digest="", size_bytes=0, tags=(), signatures=(signature,))
    return template.dataset(template.Start(facts, signature, "m", "m", "d.toml"))


@pytest.mark.parametrize(
    ("dims", "says"),
    [
        ((-1, 96, 128, 3), ("height = 96, width = 128", 'color = "rgb"', "image-folder")),
        ((1, 28, 28, 1), ("height = 28, width = 28", 'color = "gray"', "image-folder")),
        ((-1, -1, -1, 3), ("takes any size", "image-folder")),
        ((-1, 3, 96, 96), ('kind = "arrays"', 'array = "image"')),
        ((-1, 10), ('kind = "arrays"', 'array = "image"')),
    ],
)
def test_a_dataset_spec_is_filled_in_from_the_shape(dims, says):
    assert all(text in images(*dims) for text in says)


def test_whole_number_images_are_not_scaled():
    assert "scale = 0.0039" in images(-1, 8, 8, 3)
    assert "scale" not in images(-1, 8, 8, 3, dtype="uint8")


def test_init_writes_both_files_and_the_signature(tmp_path):
    done = start(DIGITS / "saved_model", tmp_path / "edgepack.toml", force=False)
    assert done.dataset_is_new
    text = done.config.read_text()
    assert 'input "image": float32 [?, 8, 8, 1]' in text
    assert 'output "scores": float32 [?, 10]' in text
    found = settings.load(done.config)
    assert (DIGITS / "saved_model").samefile(found.model.path)
    assert found.dataset == str(tmp_path / "dataset.toml")
    assert dataset_spec.load(done.dataset).inputs["image"].resize.height == 8


def test_init_overwrites_a_config_only_when_told_to_and_a_dataset_never(tmp_path):
    config, dataset = tmp_path / "edgepack.toml", tmp_path / "dataset.toml"
    config.write_text("mine")
    dataset.write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        start(DIGITS / "saved_model", config, force=False)
    assert config.read_text() == "mine"
    done = start(DIGITS / "saved_model", config, force=True)
    assert settings.load(config).model.name == "digits"
    assert not done.dataset_is_new
    assert dataset.read_text() == "mine"


def test_init_names_the_known_signatures(tmp_path):
    with pytest.raises(ModelError, match="Known: serve, serving_default"):
        start(DIGITS / "saved_model", tmp_path / "a.toml", signature="sreve", force=False)
    assert not list(tmp_path.iterdir())


def test_init_keeps_a_link_to_the_model(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models/latest").symlink_to(DIGITS / "saved_model")
    (tmp_path / "conf").mkdir()
    done = start(tmp_path / "models/latest", tmp_path / "conf/edgepack.toml", force=False)
    assert 'path = "../models/latest"' in done.config.read_text()


@pytest.mark.parametrize(
    ("kind", "page"),
    [
        (Settings, "config.md"),
        (Budget, "config.md"),
        (BaselineBudget, "config.md"),
        (Target, "targets.md"),
    ],
)
def test_every_key_is_documented(kind, page):
    text = (ROOT / "docs" / page).read_text()
    assert not [path[-1] for path in leaves(kind) if f"`{path[-1]}`" not in text]


def test_the_defaults_in_the_documentation_are_those_of_the_records():
    text = (ROOT / "docs/config.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", text, re.MULTILINE))
    rows = {key: value for key, value in rows.items() if key not in Budget.model_fields}
    stated = {key: tomllib.loads(f"value = {value}")["value"] for key, value in rows.items()}
    kinds = (Settings, ModelSettings, BaselineBudget, LatencySettings, Limits)
    kinds += (QuantizeSettings, SearchSettings, ReleaseSettings, MetadataSettings)
    known = {
        name: field.get_default(call_default_factory=True)
        for kind in kinds
        for name, field in kind.model_fields.items()
    }
    assert len(stated) >= 10
    assert stated == {key: json.loads(json.dumps(known[key])) for key in stated}
