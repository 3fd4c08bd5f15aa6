"""Provenance and bill of materials: what they say, and that other people's validators take them."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from bundle_samples import manifest_of, tiny_model
from hypothesis import given
from hypothesis import strategies as st

from edgepack.errors import UsageError
from edgepack.provenance import mlbom, origin, slsa
from edgepack.provenance.origin import Origin
from edgepack.provenance.urls import public
from edgepack.records.evidence import Interval

COMMIT = "0123456789abcdef0123456789abcdef01234567"
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
CIS = {
    "github-actions": (
        {
            "GITHUB_ACTIONS": "true",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_REPOSITORY": "o/r",
            "GITHUB_SHA": COMMIT,
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_RUN_ID": "99",
            "GITHUB_RUN_NUMBER": "42",
            "GITHUB_RUN_ATTEMPT": "2",
            "RUNNER_ENVIRONMENT": "github-hosted",
        },
        "https://github.com/o/r",
        "https://github.com/o/r/actions/runs/99/attempts/2",
    ),
    "gitlab-ci": (
        {
            "GITLAB_CI": "true",
            "CI_PROJECT_URL": "https://gitlab.com/o/r",
            "CI_COMMIT_SHA": COMMIT,
            "CI_COMMIT_REF_NAME": "main",
            "CI_PIPELINE_ID": "99",
            "CI_PIPELINE_IID": "42",
            "CI_JOB_URL": "https://gitlab.com/o/r/-/jobs/7",
            "CI_SERVER_URL": "https://gitlab.com",
        },
        "https://gitlab.com/o/r",
        "https://gitlab.com/o/r/-/jobs/7",
    ),
    "jenkins": (
        {
            "JENKINS_URL": "https://ci.example/",
            "GIT_URL": "https://bot:secret@git.example/o/r.git",
            "GIT_COMMIT": COMMIT,
            "GIT_BRANCH": "origin/main",
            "BUILD_TAG": "jenkins-r-42",
            "BUILD_NUMBER": "42",
            "BUILD_URL": "https://ci.example/job/r/42/",
        },
        "https://git.example/o/r.git",
        "https://ci.example/job/r/42/",
    ),
    "circleci": (
        {
            "CIRCLECI": "true",
            "CIRCLE_REPOSITORY_URL": "git@github.com:o/r.git",
            "CIRCLE_SHA1": COMMIT,
            "CIRCLE_BRANCH": "main",
            "CIRCLE_WORKFLOW_ID": "99",
            "CIRCLE_BUILD_NUM": "42",
            "CIRCLE_BUILD_URL": "https://circleci.com/gh/o/r/42",
        },
        "ssh://github.com/o/r.git",
        "https://circleci.com/gh/o/r/42",
    ),
    "bitbucket-pipelines": (
        {
            "BITBUCKET_BUILD_NUMBER": "42",
            "BITBUCKET_GIT_HTTP_ORIGIN": "https://bitbucket.org/o/r",
            "BITBUCKET_COMMIT": COMMIT,
            "BITBUCKET_BRANCH": "main",
            "BITBUCKET_PIPELINE_UUID": "{99}",
        },
        "https://bitbucket.org/o/r",
        "{99}",
    ),
    "azure-pipelines": (
        {
            "TF_BUILD": "True",
            "BUILD_REPOSITORY_URI": "https://org@dev.azure.com/org/p/_git/r",
            "BUILD_SOURCEVERSION": COMMIT,
            "BUILD_SOURCEBRANCH": "refs/heads/main",
            "BUILD_BUILDID": "42",
            "SYSTEM_COLLECTIONURI": "https://dev.azure.com/org/",
        },
        "https://dev.azure.com/org/p/_git/r",
        "42",
    ),
    "buildkite": (
        {
            "BUILDKITE": "true",
            "BUILDKITE_REPO": "git@github.com:o/r.git",
            "BUILDKITE_COMMIT": COMMIT,
            "BUILDKITE_BRANCH": "main",
            "BUILDKITE_BUILD_ID": "99",
            "BUILDKITE_BUILD_NUMBER": "42",
            "BUILDKITE_BUILD_URL": "https://buildkite.com/o/r/builds/42",
        },
        "ssh://github.com/o/r.git",
        "https://buildkite.com/o/r/builds/42",
    ),
}


@pytest.mark.parametrize("system", CIS)
def test_every_ci_says_commit_and_run(system, tmp_path):
    environment, repository, invocation = CIS[system]
    found = origin.find(environment, tmp_path)
    assert (found.system, found.commit, found.run_number) == (system, COMMIT, 42)
    assert (found.repository, found.invocation) == (repository, invocation)
    assert found.ref.endswith("main")
    assert found.builder.startswith("https://")


def test_no_ci_has_no_run_number():
    with pytest.raises(UsageError, match="no CI run has a number"):
        origin.run_number({"CI": "true"})


@pytest.mark.parametrize("number", ["", "x", "-1", "²", str(2**53), "9" * 5000])
def test_a_run_number_is_a_number(number):
    with pytest.raises(UsageError):
        origin.run_number({"BUILDKITE": "true", "BUILDKITE_BUILD_NUMBER": number})


SECRETS = (
    "{a}://{b}:SECRET{c}@host.example/o/r.git",
    "{a}://SECRET{b}@host.example/{c}",
    "{a}://{b}@SECRET{c}@host.example/r",
    "{a}://host.example/r;{b}=SECRET{c}",
    "{a}://host.example/r?{b}=SECRET{c}",
    "{a}://host.example/r#{b}SECRET{c}",
    "{a}://host.example;{b}SECRET{c}/r",
    "SECRET{b}@host.example:{c}",
)
odd = st.text(st.sampled_from("abc019@:/?#;&=%.[]\\ \n\u00e9")) | st.text()


@given(st.sampled_from(SECRETS), st.sampled_from(["https", "ssh", "http", "git"]), odd, odd)
def test_no_credential_survives(form, scheme, one, other):
    cleaned = public(form.format(a=scheme, b=one, c=other))
    assert cleaned == "" or "SECRET" not in cleaned


@pytest.mark.parametrize(
    ("url", "cleaned"),
    [
        ("https://u:p@h.example/r", "https://h.example/r"),
        ("https://token@h.example:8443/r", "https://h.example:8443/r"),
        ("https://u:a@b@h.example/r", "https://h.example/r"),
        ("https://h.example/r?private_token=x#y", "https://h.example/r"),
        ("https://u:pa/ss@h.example/r", ""),
        ("https://u:p#x@h.example/r", ""),
        ("https://p;x@h.example/r", ""),
        ("https://h.example/r;token=x", "https://h.example/r"),
        ("git@h.example:o/r.git", "ssh://h.example/o/r.git"),
        ("/home/me/r.git", ""),
        ("file:///home/me/r.git", ""),
        ("C:\\repo", ""),
        ("", ""),
    ],
)
def test_public_urls(url, cleaned):
    assert public(url) == cleaned


def git(directory, *arguments):
    who = ("-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "protocol.file.allow=always")
    subprocess.run(["git", *who, *arguments], cwd=directory, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path):
    path = tmp_path / "repository"
    path.mkdir()
    git(path, "init", "-q")
    for text in ("one", "two"):
        (path / "file").write_text(text)
        git(path, "add", "file")
        git(path, "commit", "-q", "-m", text)
    git(path, "remote", "add", "origin", "https://me:token@git.example/o/r.git")
    return path


@needs_git
def test_git_says_what_ci_does_not(repository):
    found = origin.find({}, repository)
    assert found.repository == "https://git.example/o/r.git"
    assert (len(found.commit), found.dirty) == (40, False)
    (repository / "file").write_text("three, and longer")
    assert origin.find({}, repository).dirty


@needs_git
def test_git_fills_in_what_ci_leaves_empty(repository):
    local = origin.find({}, repository)
    ci = {"JENKINS_URL": "https://ci.example/", "BUILD_NUMBER": "7", "GIT_COMMIT": local.commit}
    found = origin.find(ci, repository)
    assert (found.repository, found.ref) == (local.repository, local.ref)
    assert (found.system, found.dirty) == ("jenkins", False)
    other = origin.find(ci | {"GIT_COMMIT": COMMIT}, repository)
    assert (other.commit, other.repository, other.ref, other.dirty) == (COMMIT, "", "", None)


@needs_git
@pytest.mark.parametrize("driver", ["clean", "process"])
def test_git_runs_no_filter_of_the_repository(repository, tmp_path, driver):
    git(repository, "config", f"filter.odd.{driver}", f"touch {tmp_path}/ran; cat")
    (repository / ".git/info/attributes").write_text("* filter=odd\n")
    (repository / "file").write_text("own")  # as long as before: git has to read it
    assert origin.find({}, repository).dirty is None
    assert not (tmp_path / "ran").exists()


@needs_git
def test_git_variables_do_not_lead_elsewhere(repository, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))
    assert origin.find({}, tmp_path) == Origin()


@needs_git
def test_git_runs_no_program_of_the_repository(repository, tmp_path):
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    git(repository, "config", "core.fsmonitor", str(program))
    assert origin.find({}, repository).dirty is False
    assert not (tmp_path / "ran").exists()


@needs_git
def test_commits_are_counted(repository):
    assert origin.commit_count(repository) == 2


@needs_git
def test_a_shallow_clone_has_too_few_commits(repository, tmp_path):
    git(tmp_path, "clone", "-q", "--depth", "1", repository.as_uri(), "shallow")
    with pytest.raises(UsageError, match="shallow"):
        origin.commit_count(tmp_path / "shallow")


def test_no_repository_has_no_commits(tmp_path):
    with pytest.raises(UsageError, match="no repository"):
        origin.commit_count(tmp_path)


def test_no_git_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert origin.find({}, tmp_path) == Origin()


def sample():
    made = manifest_of({"float32": tiny_model(), "int8": tiny_model("other")})
    tools = made.tools.model_copy(update={"quantizer": "litert-quantizer 0.11.0"})
    measured = made.source.accuracy.metrics[0].model_copy(
        update={"interval": Interval(low=0.87, high=0.94, method="wilson")}
    )
    source = made.source.model_copy(
        update={"accuracy": made.source.accuracy.model_copy(update={"metrics": (measured,)})}
    )
    return made.model_copy(
        update={"license": "Apache-2.0 OR MIT", "tools": tools, "source": source}
    )


def provenance():
    found = origin.find(CIS["github-actions"][0], "/nowhere")
    return slsa.statement(sample(), found)


@pytest.mark.parametrize(
    ("name", "make"),
    [("provenance.intoto.json", provenance), ("sbom.cdx.json", lambda: mlbom.bom(sample()))],
)
def test_documents_stay_as_they_were(name, make, golden):
    golden(f"provenance/{name}", json.dumps(json.loads(make()), indent=2) + "\n")


def test_cyclonedx_takes_the_bill():
    validation = pytest.importorskip(
        "cyclonedx.validation.json", reason="cyclonedx-python-lib is not installed"
    )
    schema = pytest.importorskip("cyclonedx.schema").SchemaVersion.V1_6
    found = mlbom.bom(sample())
    assert validation.JsonStrictValidator(schema).validate_str(found.decode()) is None


def test_in_toto_takes_the_statement():
    reason = "in-toto-attestation is not installed"
    statements = pytest.importorskip("in_toto_attestation.v1.statement", reason=reason)
    predicates = pytest.importorskip(
        "in_toto_attestation.predicates.provenance.v1.provenance_pb2", reason=reason
    )
    from google.protobuf import json_format

    found = json.loads(provenance())
    statement = statements.Statement([], "", {})
    json_format.ParseDict(found, statement.pb)
    statement.validate()
    # Refuses fields that SLSA's published message does not have.
    json_format.ParseDict(found["predicate"], predicates.Provenance())


def test_the_bill_says_what_was_measured_and_by_which_tools():
    found = json.loads(mlbom.bom(sample()))
    (ancestor,) = found["metadata"]["component"]["pedigree"]["ancestors"]
    (metric,) = ancestor["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert metric["confidenceInterval"] == {"lowerBound": "0.87", "upperBound": "0.94"}
    measured = found["components"][0]["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert [one["type"] for one in measured] == ["top1", "top1 drop"]
    purls = [tool["purl"] for tool in found["metadata"]["tools"]["components"]]
    assert "pkg:pypi/litert-quantizer@0.11.0" in purls


def test_serial_number_follows_from_the_contents():
    other = sample().model_copy(update={"version": "9.9.9"})
    serials = [json.loads(mlbom.bom(one))["serialNumber"] for one in (sample(), sample(), other)]
    assert serials[0] == serials[1] != serials[2]
