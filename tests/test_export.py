"""The verifiers for builds without Python, written where an app's team wants them."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from edgepack import api, consumers
from edgepack.errors import OutputError, UsageError

HERE = Path(consumers.__file__).parent
PLATFORMS = sorted(consumers.KITS)


def names(platform):
    return consumers.KITS[platform].names


def states(done):
    return [file.state for file in done.files]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_files_are_written_as_they_are_shipped(platform, tmp_path):
    done = api.export(platform, tmp_path / "new" / "folder")
    assert {Path(file.path).name for file in done.files} == set(names(platform))
    assert set(states(done)) == {"written"}
    for file in done.files:
        written = Path(file.path)
        assert written.read_bytes() == (HERE / written.name).read_bytes()
        assert os.access(written, os.X_OK) == (written.suffix == ".sh")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_what_it_names_is_there(platform):
    kit = consumers.KITS[platform]
    assert (HERE.parents[1] / kit.page).is_file()
    assert all((HERE / name).is_file() for name in kit.names)


def test_every_file_of_the_room_is_exported_by_some_platform():
    shipped = {path.name for path in HERE.iterdir() if path.is_file() and path.suffix != ".py"}
    assert shipped == {name for platform in PLATFORMS for name in names(platform)}


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o027])
def test_who_may_read_a_script_may_run_it_and_nobody_else(tmp_path, mask):
    before = os.umask(mask)
    try:
        (file,) = api.export("ios", tmp_path).files
    finally:
        os.umask(before)
    assert stat.S_IMODE(Path(file.path).stat().st_mode) == 0o755 & ~mask


def test_identical_files_are_kept(tmp_path):
    (file,) = api.export("ios", tmp_path).files
    os.utime(file.path, (1, 1))
    assert states(api.export("ios", tmp_path)) == ["kept"]
    assert Path(file.path).stat().st_mtime == 1


def test_a_kept_script_can_be_run_again(tmp_path):
    (file,) = api.export("ios", tmp_path).files
    Path(file.path).chmod(0o640)
    assert states(api.export("ios", tmp_path)) == ["kept"]
    assert stat.S_IMODE(Path(file.path).stat().st_mode) == 0o750


def test_a_changed_file_is_replaced_by_force_alone(tmp_path):
    (file,) = api.export("ios", tmp_path).files
    Path(file.path).write_text("mine")
    with pytest.raises(UsageError, match=r"edgepack-verify\.sh: there already") as caught:
        api.export("ios", tmp_path)
    assert "--force" in caught.value.hint
    assert Path(file.path).read_text() == "mine"
    assert states(api.export("ios", tmp_path, force=True)) == ["replaced"]
    assert Path(file.path).read_bytes() == (HERE / "edgepack-verify.sh").read_bytes()


@pytest.mark.parametrize("platform", [one for one in PLATFORMS if len(names(one)) > 1])
def test_nothing_is_written_where_one_file_is_refused(platform, tmp_path):
    *_, last = names(platform)
    (tmp_path / last).write_text("mine")
    with pytest.raises(UsageError, match="there already"):
        api.export(platform, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [last]


def test_a_directory_in_place_of_a_file_is_said(tmp_path):
    (tmp_path / "edgepack-verify.sh").mkdir()
    with pytest.raises(OutputError, match="cannot be read"):
        api.export("ios", tmp_path, force=True)


def test_a_file_in_place_of_the_directory_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be"):
        api.export("ios", tmp_path / "file")


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_a_directory_that_cannot_be_written_is_said():
    with pytest.raises(OutputError, match="cannot be written"):
        api.export("ios", "/proc")


def test_the_command_says_what_it_wrote_and_what_comes_next(edgepack, tmp_path):
    done = edgepack("export", "ios", "--output", "Models", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "Written   Models/edgepack-verify.sh",
        "Next      call edgepack-verify.sh in a run-script phase of the app's target",
        "Read      docs/ios.md",
    ]


def test_the_command_writes_to_where_it_is_run(edgepack, tmp_path):
    done = edgepack("export", "ios", "--json", cwd=tmp_path)
    said = json.loads(done.stdout)
    assert said["files"] == [{"path": "edgepack-verify.sh", "state": "written"}]
    assert (tmp_path / "edgepack-verify.sh").is_file()


def test_the_command_refuses_what_it_does_not_know(edgepack, tmp_path):
    assert edgepack("export", "windows", cwd=tmp_path).returncode == 2
    (tmp_path / "edgepack-verify.sh").write_text("mine")
    done = edgepack("export", "ios", cwd=tmp_path)
    assert done.returncode == 2
    assert "--force" in done.stderr
