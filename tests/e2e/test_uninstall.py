"""Uninstalls the chart during an import and installs it again: nothing hangs, is lost, or runs twice.

The Project has a target server outside of the chart, because the chart's own server is uninstalled with its data.
"""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from tests.e2e.chart import CHART, RELEASE, helm, install
from tests.e2e.fixtures import KEPT_PROJECT
from tests.e2e.postgres_pods import SYSTEM_NAMESPACE, Source, quoted, secret_manifest
from tests.e2e.tenant import (
    IMPORTS,
    KEPT,
    KEPT_ROWS,
    PREVIEWS,
    PROJECTS,
    READY_SECONDS,
    Tenant,
    make_tenant,
    operator_pods,
    state_of,
)
from tests.support import kubectl
from tests.support.kubectl import Manifest

pytestmark = [pytest.mark.cluster, pytest.mark.exclusive]

NAME, ADMIN = KEPT_PROJECT, "platform_admin"


@pytest.fixture(scope="module")
def kept(source: Source) -> Iterator[Tenant]:
    """A Project whose target is the source server, where it has an admin of its own."""
    password = secrets.token_urlsafe(24)
    source.server.execute(f"CREATE ROLE {ADMIN} LOGIN CREATEDB CREATEROLE PASSWORD {quoted(password)}")
    kubectl.delete("secret", NAME, namespace=SYSTEM_NAMESPACE)
    kubectl.create(secret_manifest(SYSTEM_NAMESPACE, NAME, {"user": ADMIN, "password": password}))
    server = {
        "clusterID": "kept",
        "host": source.host,
        "adminSecretRef": {"name": NAME},
        "sslmode": "disable",
    }
    tenant = make_tenant(NAME, source, server=server)
    tenant.make_secrets({name: source.url(name) for name in ("small", "slow")})
    yield tenant
    for kind in (IMPORTS, PREVIEWS):
        kubectl.run("delete", kind, "--all", "--namespace", NAME, "--timeout=320s")
    kubectl.delete(PROJECTS, NAME)
    kubectl.delete("secret", NAME, namespace=SYSTEM_NAMESPACE)


def render_release_job(folder: Path) -> Manifest:
    """Renders the Job of the uninstall hook as `helm template` does, with the values of the running release."""
    values = folder / "values.yaml"
    values.write_text(helm("get", "values", RELEASE, "--output", "yaml"), encoding="utf-8")
    rendered = helm("template", RELEASE, CHART, "--values", str(values), "--show-only", "templates/release.yaml")
    (job,) = (body for body in yaml.safe_load_all(rendered) if body and body["kind"] == "Job")
    return dict(job)


def test_a_hook_that_kubectl_creates_changes_nothing(cluster: None, tmp_path: Path) -> None:
    """`helm template | kubectl apply` creates the Job of the hook, which stopped the operator."""
    job = render_release_job(tmp_path)
    name = job["metadata"]["name"]
    before = [pod["metadata"]["uid"] for pod in operator_pods()]
    kubectl.run("create", "--filename", "-", stdin=json.dumps(job))
    try:
        kubectl.run(
            "wait", f"job/{name}", "--namespace", SYSTEM_NAMESPACE, "--for=condition=Complete", "--timeout=480s"
        )
        assert "no uninstall" in kubectl.run("logs", f"job/{name}", "--namespace", SYSTEM_NAMESPACE)
    finally:
        kubectl.delete("job", name, namespace=SYSTEM_NAMESPACE)
    assert [pod["metadata"]["uid"] for pod in operator_pods()] == before


@dataclass(frozen=True)
class Observations:
    """The cluster before the chart was uninstalled, and while it was."""

    done: Manifest  # the completed import, before
    orphan_database: str
    finalizers_without_chart: list[str]
    objects_without_chart: set[str]
    pods_of_done: list[str]


@pytest.fixture(scope="module")
def observations(kept: Tenant) -> Observations:
    """Uninstalls the chart after one import and during another, deletes a preview, and installs the chart again."""
    kept.make_previews("done", "during", "orphan")
    kept.start("done", "small", "done")
    done = kept.wait_for_end("done", "completed")
    kept.log_in("done", KEPT)
    orphan = kept.database("orphan")
    kept.start("during", "slow", "during")
    kept.wait_until_copying("during")
    helm("uninstall", RELEASE, "--wait")
    try:
        assert operator_pods() == []
        assert kubectl.find("rolebinding", "pgimport-operator", kept.name) is None
        bodies = [body for kind in (PROJECTS, PREVIEWS, IMPORTS) for body in kubectl.list_objects(kind)]
        finalizers = [name for body in bodies for name in body["metadata"].get("finalizers", ())]
        names = {f"{body['kind']}/{body['metadata']['name']}" for body in bodies}
        kubectl.delete(PREVIEWS, "orphan", namespace=NAME)
    finally:
        install()
    return Observations(
        done, orphan, finalizers, names, [pod["metadata"]["uid"] for pod in kept.pods(done["metadata"]["uid"])]
    )


def test_uninstalled_nothing_of_ours_holds_an_object(observations: Observations) -> None:
    assert observations.finalizers_without_chart == []


def test_uninstalled_the_objects_stay(observations: Observations) -> None:
    """The CRDs and their objects are kept."""
    assert {
        f"Project/{NAME}",
        "Project/demo",
        "PreviewDatabase/done",
        "PostgresImport/done",
        "PostgresImport/during",
    } <= observations.objects_without_chart


def test_installed_again_the_import_ends_well(kept: Tenant, observations: Observations) -> None:
    body = kept.wait_for_end("during", "completed")
    assert body["status"]["attempts"] == 1
    assert kept.tables("during") == ["slow_rows"]
    kept.assert_nothing_left(body)


def test_installed_again_what_had_ended_is_left_alone(kept: Tenant, observations: Observations) -> None:
    body = kept.get("done")
    assert body["status"] == observations.done["status"]
    assert [pod["metadata"]["uid"] for pod in kept.pods(body["metadata"]["uid"])] == observations.pods_of_done
    assert kept.tables("done") == ["kept", "things"]
    assert kept.kept_rows("done") == KEPT_ROWS


def test_installed_again_the_finalizers_are_back(kept: Tenant, observations: Observations) -> None:
    kept.wait(PREVIEWS, ("done",), lambda body: bool(body["metadata"].get("finalizers")), "is held", READY_SECONDS)


def test_installed_again_the_orphans_database_goes(kept: Tenant, observations: Observations) -> None:
    """The preview was deleted while no operator ran; the sweep finds the database by its mark."""
    kubectl.wait_until(
        lambda: not kept.server.has_database(observations.orphan_database), "the orphan's database is gone", 90
    )
    assert not kept.server.has_role(f"{observations.orphan_database}_owner")


def test_installed_again_all_goes_on(kept: Tenant, observations: Observations) -> None:
    kept.start("again", "small", "done", recreate=True)
    kept.wait_for_end("again", "completed")
    assert kept.tables("done") == ["things"]
    database = kept.database("done")
    kubectl.delete(PREVIEWS, "done", namespace=NAME)
    assert not kept.server.has_database(database)


def test_installed_again_the_charts_own_project_is_ready(observations: Observations) -> None:
    """The server is empty, because the trial data was uninstalled with the chart."""
    kubectl.wait_until(
        lambda: bool(kubectl.get(PROJECTS, "demo")["status"].get("ready")), "Project demo is ready", READY_SECONDS
    )
    assert state_of(kubectl.get(PROJECTS, "demo")) is None
