"""Which kind of branch a run belongs to, as its environment tells. Pure.

Four classes, so that runs of branches that come and go share one series.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_MAIN = re.compile(r"main|master|trunk|develop")
_RELEASE = re.compile(r"(release|hotfix)s?[/-].*|v?\d+(\.\d+)*(\.x)?")
_REFERENCES = ("GITHUB_REF_NAME", "CI_COMMIT_REF_NAME", "BUILDKITE_BRANCH", "BRANCH_NAME")
_REQUESTS = ("CI_MERGE_REQUEST_ID", "CHANGE_ID", "BUILDKITE_PULL_REQUEST")


def branch_class(environment: Mapping[str, str]) -> str:
    """Return ``main``, ``release``, ``pr`` or, outside of CI, ``local``."""
    asked = environment.get("GITHUB_EVENT_NAME", "").startswith("pull_request")
    if asked or any(environment.get(name, "false") not in ("", "false") for name in _REQUESTS):
        return "pr"
    for name in _REFERENCES:
        branch = environment.get(name, "")
        if _MAIN.fullmatch(branch):
            return "main"
        if _RELEASE.fullmatch(branch):
            return "release"
        if branch:
            return "pr"
    return "local"
