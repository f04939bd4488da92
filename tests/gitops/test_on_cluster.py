"""Judges objects as the API server of the cluster stores them, and waits for an import with the real Helm 4."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.tenant import IMPORTS, PREVIEWS, PROJECTS, Tenant, condition_of, state_of
from tests.gitops.health_rules import read_health_checks, read_health_script
from tests.gitops.judge_program import Verdict, judge
from tests.support import kubectl
from tests.support.kubectl import Manifest

pytestmark = pytest.mark.cluster

CHART = "apiVersion: v2\nname: preview\nversion: 0.1.0\n"
SHORT_WAIT, LONG_WAIT = "10s", "15m"


def judge_one(body: Manifest) -> Verdict:
    (verdict,) = judge([body], read_health_checks(), read_health_script())
    return verdict


def is_pending(body: Manifest) -> bool:
    return state_of(body) == "pending"


def create_and_read(manifest: Manifest) -> Manifest:
    """Returns the object of the API server's answer: as it is stored before the operator observes it."""
    answer = kubectl.run("create", "--filename", "-", "--output", "json", stdin=json.dumps(manifest))
    body: Manifest = json.loads(answer)
    return body


def test_objects_are_in_progress_from_their_creation_until_they_are_done(tenant: Tenant) -> None:
    preview = create_and_read(tenant.preview_manifest("judged"))
    started = create_and_read(tenant.import_manifest("judged", "small", "judged"))
    for body in (preview, started):
        assert body["status"] == {"observedGeneration": -1}
        verdict = judge_one(body)
        assert (verdict.kstatus, verdict.flux, verdict.argo_cd) == ("InProgress", "InProgress", "Progressing")
    kubectl.run("wait", IMPORTS, "judged", "--namespace", tenant.name, "--for=condition=Finished", "--timeout=9m")
    for kind, name, namespace in (
        (IMPORTS, "judged", tenant.name),
        (PREVIEWS, "judged", tenant.name),
        (PROJECTS, tenant.name, None),
    ):
        verdict = judge_one(kubectl.get(kind, name, namespace))
        assert (verdict.kstatus, verdict.flux, verdict.argo_cd) == ("Current", "Current", "Healthy"), kind


def test_kubectl_wait_ends_without_success_too(tenant: Tenant) -> None:
    """Before the condition Finished, a wait for Ready lasted until its timeout."""
    tenant.start("given-up", "small", None, dryRun=True, suspend=True, cancel=True)
    kubectl.run("wait", IMPORTS, "given-up", "--namespace", tenant.name, "--for=condition=Finished", "--timeout=240s")
    body = kubectl.get(IMPORTS, "given-up", tenant.name)
    assert state_of(body) == "cancelled"
    verdict = judge_one(body)
    assert (verdict.kstatus, verdict.flux, verdict.argo_cd) == ("Failed", "Failed", "Degraded")


def test_a_project_has_events(tenant: Tenant) -> None:
    """The API server refused them in the operator's namespace."""
    uid = tenant.uid
    selector = f"involvedObject.kind=Project,involvedObject.name={tenant.name}"
    listed = json.loads(
        kubectl.run("get", "events", "--namespace", "default", "--field-selector", selector, "--output", "json")
    )
    assert [event["reason"] for event in listed["items"] if event["involvedObject"]["uid"] == uid]


# --- Helm 4 ------------------------------------------------------------------------------------------------------


def helm(*arguments: str, namespace: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["helm", "--namespace", namespace, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
        env=kubectl.environment(),
    )


@pytest.fixture
def chart(tmp_path: Path, tenant: Tenant, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A chart with a preview and an import; its Secret is the value `secret`, and all names are the test's."""
    name = re.sub("[^a-z]+", "-", request.node.name)[-40:].strip("-")
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text(CHART, encoding="utf-8")
    manifests = (tenant.preview_manifest(name), tenant.import_manifest(name, "{{ .Values.secret }}", name))
    text = "\n---\n".join(map(json.dumps, manifests))
    (tmp_path / "templates/preview.yaml").write_text(text, encoding="utf-8")
    yield tmp_path
    helm("uninstall", name, "--ignore-not-found", namespace=tenant.name)


def install(chart: Path, tenant: Tenant, secret: str, *options: str) -> tuple[str, subprocess.CompletedProcess[str]]:
    """Installs the chart. Returns the name of release, preview and import, and what Helm printed."""
    first, _, _ = (chart / "templates/preview.yaml").read_text(encoding="utf-8").partition("\n")
    name: str = json.loads(first)["metadata"]["name"]
    return name, helm("install", name, str(chart), "--set", f"secret={secret}", *options, namespace=tenant.name)


def test_helm_waits_until_the_import_has_completed(chart: Path, tenant: Tenant) -> None:
    name, done = install(chart, tenant, "small", "--wait", "--timeout", LONG_WAIT)
    assert done.returncode == 0, done.stderr
    assert state_of(kubectl.get(IMPORTS, name, tenant.name)) == "completed"


def test_helm_fails_a_release_whose_import_needs_longer(chart: Path, tenant: Tenant) -> None:
    name, done = install(chart, tenant, "no-such-secret", "--wait", "--timeout", SHORT_WAIT)
    assert done.returncode != 0
    assert "InProgress" in done.stderr
    # Helm may give up before a busy operator has read the import.
    body = tenant.wait(IMPORTS, [name], is_pending, "is pending", 60)[name]
    assert condition_of(body)["reason"] == "SourceSecretMissing"


def test_helm_deletes_the_preview_of_a_release_that_is_rolled_back(chart: Path, tenant: Tenant) -> None:
    name, done = install(chart, tenant, "no-such-secret", "--rollback-on-failure", "--timeout", SHORT_WAIT)
    assert done.returncode != 0
    kubectl.wait_until(lambda: kubectl.find(PREVIEWS, name, tenant.name) is None, "the preview is deleted", 60)


@pytest.mark.parametrize("options", [(), ("--wait=legacy",)], ids=["no wait", "legacy"])
def test_helm_does_not_wait_unless_it_is_told_to(chart: Path, tenant: Tenant, options: tuple[str, ...]) -> None:
    name, done = install(chart, tenant, "no-such-secret", *options, "--timeout", LONG_WAIT)
    assert done.returncode == 0, done.stderr
    assert state_of(kubectl.get(IMPORTS, name, tenant.name)) != "completed"
