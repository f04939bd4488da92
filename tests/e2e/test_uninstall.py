"""The chart is uninstalled in mid-import and installed again: nothing is stuck, nothing is lost, nothing runs twice.

The Project here has a target server that is not the chart's own: that one goes with the chart, and its data with it.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.e2e.chart import RELEASE, helm, install
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
    """A Project whose target is the server that the sources are on, with an admin of its own there."""
    password = secrets.token_urlsafe(24)
    source.server.execute(f"CREATE ROLE {ADMIN} LOGIN CREATEDB CREATEROLE PASSWORD {quoted(password)}")
    kubectl.delete("secret", NAME, namespace=SYSTEM_NAMESPACE)
    kubectl.create(secret_manifest(SYSTEM_NAMESPACE, NAME, {"user": ADMIN, "password": password}))
    server = {
        "clusterID": "kept", "host": source.host, "adminSecretRef": {"name": NAME}, "sslmode": "disable",
    }  # fmt: skip
    tenant = make_tenant(NAME, source, server=server)
    tenant.make_secrets({name: source.url(name) for name in ("small", "slow")})
    yield tenant
    for kind in (IMPORTS, PREVIEWS):
        kubectl.run("delete", kind, "--all", "--namespace", NAME, "--timeout=80s")
    kubectl.delete(PROJECTS, NAME)
    kubectl.delete("secret", NAME, namespace=SYSTEM_NAMESPACE)


@dataclass(frozen=True)
class Story:
    """What was seen before, without and with the chart again."""

    done: Manifest  # the completed import, before
    orphan_database: str
    finalizers_without_chart: list[str]
    objects_without_chart: set[str]
    pods_of_done: list[str]


@pytest.fixture(scope="module")
def story(kept: Tenant) -> Story:
    """An import has ended, one copies its rows; a preview is deleted while nobody is there to look after it."""
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
        objects = [one for kind in (PROJECTS, PREVIEWS, IMPORTS) for one in kubectl.list_objects(kind)]
        finalizers = [f for one in objects for f in one["metadata"].get("finalizers", ())]
        names = {f"{one['kind']}/{one['metadata']['name']}" for one in objects}
        kubectl.delete(PREVIEWS, "orphan", namespace=NAME)
    finally:
        install()
    return Story(
        done, orphan, finalizers, names, [one["metadata"]["uid"] for one in kept.pods(done["metadata"]["uid"])]
    )


def test_uninstalled_nothing_of_ours_holds_an_object(story: Story) -> None:
    assert story.finalizers_without_chart == []


def test_uninstalled_the_objects_stay(story: Story) -> None:
    """The CRDs are kept, and all that was made with them."""
    assert {
        f"Project/{NAME}", "Project/demo", "PreviewDatabase/done", "PostgresImport/done", "PostgresImport/during",
    } <= story.objects_without_chart  # fmt: skip


def test_installed_again_the_import_ends_well(kept: Tenant, story: Story) -> None:
    body = kept.wait_for_end("during", "completed")
    assert body["status"]["attempts"] == 1
    assert kept.tables("during") == ["slow_rows"]
    kept.assert_nothing_left(body)


def test_installed_again_what_had_ended_is_left_alone(kept: Tenant, story: Story) -> None:
    body = kept.get("done")
    assert body["status"] == story.done["status"]
    assert [one["metadata"]["uid"] for one in kept.pods(body["metadata"]["uid"])] == story.pods_of_done
    assert kept.tables("done") == ["kept", "things"]
    assert kept.kept_rows("done") == KEPT_ROWS


def test_installed_again_the_finalizers_are_back(kept: Tenant, story: Story) -> None:
    kept.wait(PREVIEWS, ("done",), lambda body: bool(body["metadata"].get("finalizers")), "is held", READY_SECONDS)


def test_installed_again_the_orphans_database_goes(kept: Tenant, story: Story) -> None:
    """Its preview was deleted while nobody was there: the sweep finds it by its mark."""
    kubectl.wait_until(lambda: not kept.server.has_database(story.orphan_database), "the orphan's database is gone", 90)
    assert not kept.server.has_role(f"{story.orphan_database}_owner")


def test_installed_again_all_goes_on(kept: Tenant, story: Story) -> None:
    kept.start("again", "small", "done", recreate=True)
    kept.wait_for_end("again", "completed")
    assert kept.tables("done") == ["things"]
    database = kept.database("done")
    kubectl.delete(PREVIEWS, "done", namespace=NAME)
    assert not kept.server.has_database(database)


def test_installed_again_the_charts_own_project_is_ready(story: Story) -> None:
    """With an empty server: the trial's data went with the chart."""
    kubectl.wait_until(
        lambda: bool(kubectl.get(PROJECTS, "demo")["status"].get("ready")), "Project demo is ready", READY_SECONDS
    )
    assert state_of(kubectl.get(PROJECTS, "demo")) is None
