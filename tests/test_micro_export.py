"""A model of a bundle as a C array: the text, what compilers make of it, and what is refused."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import zlib

import pytest
import tflite_models
from bundle_samples import EPOCH, manifest_of, tiny_model, write_models
from hypothesis import given
from hypothesis import strategies as st
from tflite_models import tensor

from edgepack import api
from edgepack.bundle.contents import write_bundle
from edgepack.errors import (
    ExpiredError,
    FailedBundleError,
    IncompatibleError,
    OutputError,
    UntrustedError,
    UsageError,
    VerificationError,
)
from edgepack.micro import carray
from edgepack.micro.arena import estimate
from edgepack.records.manifest import TargetEntry
from edgepack.records.micro import ArenaSize, CModel

MODELS = {"float32": tiny_model(), "int8": tiny_model("other")}
CC, CXX = shutil.which("cc"), shutil.which("c++")
STRICT = ("-pedantic", "-Wall", "-Wextra", "-Werror")
DIALECTS = {
    "C11": (CC, "-std=c11"),
    "C99": (CC, "-std=c99"),
    "C++11": (CXX, "-xc++", "-std=c++11"),
    "C++98": (CXX, "-xc++", "-std=c++98"),
}
PROGRAM = """
#include <stdint.h>
#include <stdio.h>
#include "pets_model.h"
int main(void) {
    uint32_t crc = 0xffffffffu;
    unsigned long at;
    int bit;
    for (at = 0; at < pets_model_bytes; at++) {
        crc ^= pets_model[at];
        for (bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1u ? 0xedb88320u : 0u);
    }
    printf("%lu %lu %lu %u %s\\n", pets_model_bytes, (unsigned long)sizeof pets_model,
           (unsigned long)((uintptr_t)pets_model % PETS_MODEL_ALIGNMENT),
           (unsigned)~crc, PETS_MODEL_SHA256);
    return 0;
}
"""


def bundle(directory, models=None, targets=(("mcu", "microcontroller"),), **changes):
    """A bundle whose targets take its variants in the order of the models."""
    models = models or MODELS
    entries = tuple(
        TargetEntry(name=name, platform=platform, variants=tuple(variants or models))
        for name, platform, *variants in targets
    )
    manifest = manifest_of(models).model_copy(update={"targets": entries, **changes})
    paths = write_models(models, directory)
    write_bundle(manifest, paths, directory / "pets-1.2.3.zip", epoch=EPOCH)
    return directory / "pets-1.2.3.zip"


def export(directory, path, **options):
    return api.export("microcontroller", directory / "out", bundle=path, **options)


def variant_of(directory):
    found = re.search(r'_VARIANT "(.*)"', (directory / "out" / "pets_model.h").read_text())
    return found.group(1)


def test_the_text_is_what_it_was(golden):
    arena = ArenaSize(
        bytes=1234, method="measured", runtime="tflite-micro==1.0", planned=1000, kept=234
    )
    data = bytes(range(250, 256)) + bytes(range(20))
    model = CModel(
        name="Pets-2.go",
        version="1.2.3-rc.1+5",
        variant="int8",
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        arena=arena,
    )
    found = carray.files(model, data)
    assert list(found) == ["pets_2_go_model.h", "pets_2_go_model.c"]
    for name, text in found.items():
        golden(f"micro/{name}", text.decode())
    unknown = carray.files(model.model_copy(update={"arena": None}), data)
    assert b"ARENA" not in unknown["pets_2_go_model.h"]
    assert unknown["pets_2_go_model.c"] == found["pets_2_go_model.c"]


@given(st.text(max_size=30))
def test_any_name_is_an_identifier_of_c_and_of_cpp(name):
    found = carray.identifier(name)
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", found)
    assert found.endswith("model")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("pets", "pets_model"),
        ("int", "int_model"),
        ("7-Segment__X", "m7_segment_x_model"),
        ("Äffchen", "ffchen_model"),
        ("", "model"),
    ],
)
def test_names_become_identifiers(name, found):
    assert carray.identifier(name) == found


HOSTILE = st.text(st.sampled_from('*/"\\?\n\r#(){};é x'), max_size=12)


@given(HOSTILE, HOSTILE)
def test_no_text_leaves_its_comment_or_string(version, variant):
    model = CModel(name="n", version=version, variant=variant, sha256="", size_bytes=1)
    plain = model.model_copy(update={"version": "v", "variant": "v"})
    for text, tame in zip(
        carray.files(model, b"1").values(), carray.files(plain, b"1").values(), strict=True
    ):
        lines = text.decode().splitlines()
        assert len(lines) == len(tame.decode().splitlines())
        assert lines[0].count("*/") == 1
        assert all(line.count('"') in {0, 2} for line in lines)
        assert "\\" not in text.decode()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_compilers_take_it_and_the_program_has_the_file(tmp_path, dialect):
    compiler, *options = DIALECTS[dialect]
    if compiler is None:
        pytest.skip("no such compiler here")
    export(tmp_path, bundle(tmp_path))
    (tmp_path / "out" / "main.c").write_text(PROGRAM)
    built = ["pets_model.o", "main.o"]
    for source in ("pets_model.c", "main.c"):
        command = [compiler, *options, *STRICT, "-c", source]
        done = subprocess.run(
            command, cwd=tmp_path / "out", capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    subprocess.run([compiler, *built, "-o", "main"], cwd=tmp_path / "out", check=True)
    done = subprocess.run([tmp_path / "out" / "main"], capture_output=True, text=True, check=True)
    data = MODELS["float32"]
    size, digest = len(data), hashlib.sha256(data).hexdigest()
    assert done.stdout == f"{size} {size} 0 {zlib.crc32(data)} {digest}\n"


def test_the_arena_is_that_of_the_model(tmp_path):
    export(tmp_path, bundle(tmp_path))
    (tmp_path / "model.tflite").write_bytes(MODELS["float32"])
    expected = estimate(tmp_path / "model.tflite").bytes
    header = (tmp_path / "out" / "pets_model.h").read_text()
    assert f"#define PETS_MODEL_ARENA_BYTES {expected}\n" in header


def test_the_best_of_the_microcontroller_is_taken_or_the_one_that_is_named(tmp_path):
    targets = (("phone", "android", "float32"), ("mcu", "microcontroller", "int8", "float32"))
    path = bundle(tmp_path, targets=targets)
    export(tmp_path, path)
    assert variant_of(tmp_path) == "int8"
    export(tmp_path, path, variant="float32", force=True)
    assert variant_of(tmp_path) == "float32"


@pytest.mark.parametrize(
    ("targets", "variant", "says"),
    [
        ((), None, "no target of the bundle is a microcontroller"),
        ((("phone", "android"),), None, "no target of the bundle is a microcontroller"),
        (
            (("a", "microcontroller", "int8"), ("b", "microcontroller", "float32")),
            None,
            "its microcontrollers take different variants first: float32, int8",
        ),
        ((("a", "microcontroller"),), "int4", "the bundle has no variant int4"),
    ],
)
def test_what_cannot_be_chosen_is_said(tmp_path, targets, variant, says):
    with pytest.raises(UsageError, match=says) as caught:
        export(tmp_path, bundle(tmp_path, targets=targets), variant=variant)
    assert caught.value.hint == "Name one by --variant: there are float32, int8."
    assert not (tmp_path / "out").exists()


def test_what_tflite_micro_cannot_run_is_refused(tmp_path):
    ends = [tensor("x"), tensor("y")]
    models = {"float32": tflite_models.build(ends, [("COMPLEX_ABS", [0], [1])], [0], [1])}
    with pytest.raises(IncompatibleError, match="it has no COMPLEX_ABS"):
        export(tmp_path, bundle(tmp_path, models))
    assert not (tmp_path / "out").exists()


def test_a_bundle_that_may_not_be_taken_is_refused(tmp_path):
    failed = manifest_of(MODELS).verdict.model_copy(update={"passed": False})
    with pytest.raises(FailedBundleError):
        export(tmp_path, bundle(tmp_path, failed=True, verdict=failed))
    with pytest.raises(ExpiredError):
        export(tmp_path, bundle(tmp_path, expires="2001-01-01T00:00:00Z"))
    path = bundle(tmp_path)
    data = bytearray(path.read_bytes())
    data[data.index(MODELS["float32"]) + 60] ^= 1
    path.write_bytes(data)
    with pytest.raises(VerificationError, match="models/float32"):
        export(tmp_path, path)
    assert not (tmp_path / "out").exists()


def test_a_key_must_have_signed(tmp_path):
    path, key = bundle(tmp_path), str(tmp_path / "release.key")
    api.keygen(key)
    with pytest.raises(UntrustedError):
        export(tmp_path, path, keys=[f"{key}.pub"])
    api.sign(path, [key])
    export(tmp_path, path, keys=[f"{key}.pub"])
    assert variant_of(tmp_path) == "float32"


def test_files_that_differ_need_force(tmp_path):
    path = bundle(tmp_path)
    export(tmp_path, path)
    assert [one.state for one in export(tmp_path, path).files] == ["kept", "kept"]
    with pytest.raises(UsageError, match=r"pets_model\.h, pets_model\.c: there already"):
        export(tmp_path, path, variant="int8")
    assert variant_of(tmp_path) == "float32"
    done = export(tmp_path, path, variant="int8", force=True)
    assert [one.state for one in done.files] == ["replaced", "replaced"]
    with pytest.raises(OutputError):
        api.export("microcontroller", path / "in", bundle=path)


def test_the_command_takes_it_and_says_what_comes_next(edgepack, tmp_path):
    path = bundle(tmp_path)
    asked = ("export", "microcontroller", "--bundle", path)
    done = edgepack(*asked, "--output", "firmware", cwd=tmp_path)
    assert done.stdout.splitlines() == [
        "Written   firmware/pets_model.h",
        "Written   firmware/pets_model.c",
        "Next      compile pets_model.c into the firmware",
        "Read      docs/microcontrollers.md",
    ], done.stderr
    done = edgepack(*asked, "--variant", "int8", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["platform"] == "microcontroller"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("microcontroller",), "no bundle is named"),
        (("ios", "--bundle", "pets.zip"), "ios takes no bundle, variant or key"),
        (("java", "--variant", "int8"), "java takes no bundle, variant or key"),
        (("android", "--key", "a.pub"), "android takes no bundle, variant or key"),
        (("microcontroller", "--bundle", "none.zip"), "none.zip"),
        (("microcontroller", "--bundle", "model.tflite"), "model.tflite"),
    ],
)
def test_the_command_refuses_what_makes_no_sense(edgepack, tmp_path, words, says):
    (tmp_path / "model.tflite").write_bytes(MODELS["float32"])
    done = edgepack("export", *words, cwd=tmp_path)
    assert done.returncode in {2, 4}
    assert says in done.stderr
    assert "Traceback" not in done.stderr
