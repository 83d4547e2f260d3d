"""The manifests that the documentation shows are manifests, and say what the service does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner

from pytest_sentinel.cli import main
from pytest_sentinel.units import parse_duration

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "kubernetes.md"


def manifests() -> list[dict[str, Any]]:
    """Return every manifest of the page."""
    texts = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return [manifest for text in texts for manifest in yaml.safe_load_all(text)]


def container() -> dict[str, Any]:
    """Return the container of the Deployment."""
    deployment = next(found for found in manifests() if found["kind"] == "Deployment")
    found: dict[str, Any] = deployment["spec"]["template"]["spec"]["containers"][0]
    return found


@pytest.mark.parametrize("manifest", manifests(), ids=lambda found: str(found["kind"]))
def test_a_manifest_keeps_to_the_schema(manifest: dict[str, Any]) -> None:
    """Of Kubernetes 1.29 and of the newest that the validator knows; unknown fields are errors."""
    newest = kubernetes_validate.latest_version()
    for version in ("1.29", newest):
        kubernetes_validate.validate(manifest, version, strict=True)


def test_there_are_all_that_a_cluster_needs() -> None:
    """Nothing that the text speaks of is missing."""
    assert {found["kind"] for found in manifests()} >= {
        *("Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler")
    }


def test_the_options_are_options_of_the_command() -> None:
    """What the manifest passes, the command knows."""
    told = CliRunner().invoke(main, ["serve", "--help"]).output
    drain = CliRunner().invoke(main, ["drain", "--help"]).output
    hook = container()["lifecycle"]["preStop"]["exec"]["command"]

    unknown = [word for word in container()["args"] if word.split("=")[0] not in told]

    assert unknown == []
    assert [
        word for word in hook if word.startswith("--") and word.split("=")[0] not in drain
    ] == []


def test_the_kubelet_waits_longer_than_a_drain() -> None:
    """The time that the pod is given covers the drain and the hook."""
    deployment = next(found for found in manifests() if found["kind"] == "Deployment")
    grace = deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    told = dict(word.removeprefix("--").split("=") for word in container()["args"])
    hook = container()["lifecycle"]["preStop"]["exec"]["command"]
    waits = next(float(word.split("=")[1]) for word in hook if word.startswith("--wait"))

    assert parse_duration(told["drain-timeout"]) < waits < grace
