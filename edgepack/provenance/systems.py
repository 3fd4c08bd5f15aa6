"""Which variables each CI system describes its run by, under the names that its runners set."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class System(NamedTuple):
    """Templates over the environment; of several, the first whose variables are all set."""

    name: str
    marker: str
    repository: tuple[str, ...]
    commit: str
    ref: tuple[str, ...]
    run: str
    number: str
    url: tuple[str, ...]
    builder: tuple[str, ...]


_GITHUB_RUN = "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}"

SYSTEMS = (
    System(
        "github-actions",
        "GITHUB_ACTIONS",
        ("{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}",),
        "{GITHUB_SHA}",
        ("{GITHUB_REF}",),
        "{GITHUB_RUN_ID}",
        "{GITHUB_RUN_NUMBER}",
        (_GITHUB_RUN + "/attempts/{GITHUB_RUN_ATTEMPT}", _GITHUB_RUN),
        (
            "{GITHUB_SERVER_URL}/actions/runner/{RUNNER_ENVIRONMENT}",
            "{GITHUB_SERVER_URL}/actions/runner",
        ),
    ),
    System(
        "gitlab-ci",
        "GITLAB_CI",
        ("{CI_PROJECT_URL}",),
        "{CI_COMMIT_SHA}",
        ("{CI_COMMIT_REF_NAME}",),
        "{CI_PIPELINE_ID}",
        "{CI_PIPELINE_IID}",
        ("{CI_JOB_URL}", "{CI_PIPELINE_URL}"),
        ("{CI_SERVER_URL}",),
    ),
    System(
        "jenkins",
        "JENKINS_URL",
        ("{GIT_URL}",),
        "{GIT_COMMIT}",
        ("{GIT_BRANCH}", "{BRANCH_NAME}"),
        "{BUILD_TAG}",
        "{BUILD_NUMBER}",
        ("{BUILD_URL}",),
        ("{JENKINS_URL}",),
    ),
    System(
        "circleci",
        "CIRCLECI",
        ("{CIRCLE_REPOSITORY_URL}",),
        "{CIRCLE_SHA1}",
        ("{CIRCLE_TAG}", "{CIRCLE_BRANCH}"),
        "{CIRCLE_WORKFLOW_ID}",
        "{CIRCLE_BUILD_NUM}",
        ("{CIRCLE_BUILD_URL}",),
        ("https://circleci.com",),
    ),
    System(
        "bitbucket-pipelines",
        "BITBUCKET_BUILD_NUMBER",
        ("{BITBUCKET_GIT_HTTP_ORIGIN}",),
        "{BITBUCKET_COMMIT}",
        ("{BITBUCKET_TAG}", "{BITBUCKET_BRANCH}"),
        "{BITBUCKET_PIPELINE_UUID}",
        "{BITBUCKET_BUILD_NUMBER}",
        (),
        ("https://bitbucket.org",),
    ),
    System(
        "azure-pipelines",
        "TF_BUILD",
        ("{BUILD_REPOSITORY_URI}",),
        "{BUILD_SOURCEVERSION}",
        ("{BUILD_SOURCEBRANCH}",),
        "{BUILD_BUILDID}",
        "{BUILD_BUILDID}",  # BUILD_BUILDNUMBER is a text of the user's format
        (),
        ("{SYSTEM_COLLECTIONURI}",),
    ),
    System(
        "buildkite",
        "BUILDKITE",
        ("{BUILDKITE_REPO}",),
        "{BUILDKITE_COMMIT}",
        ("{BUILDKITE_TAG}", "{BUILDKITE_BRANCH}"),
        "{BUILDKITE_BUILD_ID}",
        "{BUILDKITE_BUILD_NUMBER}",
        ("{BUILDKITE_BUILD_URL}",),
        ("https://buildkite.com",),
    ),
)


def system(environment: Mapping[str, str]) -> System | None:
    """The CI system that this environment is of; None where it is none of those known."""
    return next((one for one in SYSTEMS if environment.get(one.marker)), None)


def fill(environment: Mapping[str, str], *templates: str) -> str:
    """The first template whose variables are all set and not empty, filled in; else empty."""
    known = {name: value for name, value in environment.items() if value}
    for template in templates:
        try:
            return template.format_map(known)
        except KeyError:
            continue
    return ""
