"""Which kind of branch a run is of, as its environment tells."""

from __future__ import annotations

import pytest

from pytest_sentinel.telemetry.branches import branch_class


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "local"),
        ({"GITHUB_EVENT_NAME": "push", "GITHUB_REF_NAME": "main"}, "main"),
        ({"GITHUB_EVENT_NAME": "pull_request", "GITHUB_REF_NAME": "main"}, "pr"),
        ({"GITHUB_REF_NAME": "feature/main"}, "pr"),
        ({"CI_COMMIT_REF_NAME": "master"}, "main"),
        ({"CI_COMMIT_REF_NAME": "release/2.1"}, "release"),
        ({"CI_COMMIT_REF_NAME": "v2.1.0"}, "release"),
        ({"CI_COMMIT_REF_NAME": "main", "CI_MERGE_REQUEST_ID": "7"}, "pr"),
        ({"BUILDKITE_PULL_REQUEST": "false", "BUILDKITE_BRANCH": "main"}, "main"),
        ({"BRANCH_NAME": "", "CHANGE_ID": ""}, "local"),
    ],
)
def test_the_environment_tells_the_branch(environment: dict[str, str], expected: str) -> None:
    """Four classes, so that branches that come and go share one."""
    assert branch_class(environment) == expected
