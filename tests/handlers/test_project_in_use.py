"""The address of a Project's server is locked before the first database exists, until nothing is left."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from tests.handlers.emulated_tenant import NAMESPACE, Tenant
from tests.handlers.stepwise_operator import POLICY, PROJECT, EmptyLists, Operator, create_ready_preview, key
from tests.support.kubernetes import Json, a_body
from tests.support.samples import NOW

from pgimport.decide.projects import decide_project
from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.custom_resources import write_status
from pgimport.model.errors import Conflict, KubernetesUnavailable
from pgimport.model.names import FINALIZER_PROJECT, PREVIEWS, PROJECTS
from pgimport.model.owner_comment import OwnerComment, format_owner_comment
from pgimport.reconcile.observe_previews import observe_preview
from pgimport.reconcile.observe_projects import observe_project
from pgimport.reconcile.reconcile_loop import reconcile

PROJECT_PATH = api_paths.resource(PROJECTS, name="shop")


@pytest.fixture
def operator(tenant: Tenant) -> Iterator[Operator]:
    """Yields an operator. The Project is not in use before and after the test."""
    operator = Operator(tenant.kubernetes)
    yield operator
    for preview in tenant.cluster.get(api_paths.resource(PREVIEWS, NAMESPACE))["items"]:
        delete_preview(tenant, operator, preview["metadata"]["name"])
    operator.reconcile(PROJECT)
    assert read_status(tenant)["inUse"] is False


def read_status(tenant: Tenant) -> Json:
    return dict(tenant.cluster.get(PROJECT_PATH)["status"])


def create_preview(tenant: Tenant, name: str) -> None:
    tenant.create(api_paths.resource(PREVIEWS, NAMESPACE), a_body(PREVIEWS, name, spec={"project": "shop"}))


def begin_preview(operator: Operator, name: str) -> None:
    """Writes the finalizer, which the next reconcile needs before it creates the database."""
    with suppress(Conflict):
        reconcile(operator.context, key(PREVIEWS, name))


def delete_preview(tenant: Tenant, operator: Operator, name: str) -> None:
    tenant.cluster.delete(api_paths.resource(PREVIEWS, NAMESPACE, name))
    operator.reconcile(key(PREVIEWS, name))


@contextmanager
def another_port(tenant: Tenant) -> Iterator[None]:
    """Lets the Project name a port at which no server listens; the emulated API server has no rules."""
    port = tenant.cluster.get(PROJECT_PATH)["spec"]["server"]["port"]
    tenant.cluster.patch(PROJECT_PATH, {"spec": {"server": {"port": 1}}})
    try:
        yield
    finally:
        tenant.cluster.patch(PROJECT_PATH, {"spec": {"server": {"port": port}}})


def list_databases(tenant: Tenant) -> list[str]:
    """Lists the databases of the Project; the server also has those of other tests."""
    uid = tenant.cluster.get(PROJECT_PATH)["metadata"]["uid"]
    rows = tenant.server.query("SELECT datname, shobj_description(datdba, 'pg_authid') FROM pg_database")
    return [name for name, comment in rows if uid in (comment or "")]


def test_the_project_is_in_use_before_its_first_database_exists(tenant: Tenant, operator: Operator, name: str) -> None:
    create_preview(tenant, name)
    operator.reconcile(PROJECT)
    assert read_status(tenant)["inUse"] is False, "a preview that waits for a wrong address must not lock it"
    begin_preview(operator, name)
    tenant.kubernetes.refuse("PATCH", "/projects/shop/status", 503)
    with pytest.raises(KubernetesUnavailable):
        reconcile(operator.context, key(PREVIEWS, name))
    assert list_databases(tenant) == []
    operator.reconcile(key(PREVIEWS, name))
    assert read_status(tenant)["inUse"] is True
    assert len(list_databases(tenant)) == 1


def test_a_preview_that_the_cache_lacks_locks_the_project(tenant: Tenant, operator: Operator, name: str) -> None:
    """Another operator is about to create its database, so the server has none yet."""
    create_preview(tenant, name)
    begin_preview(operator, name)
    Operator(tenant.kubernetes, EmptyLists()).reconcile(PROJECT)
    assert read_status(tenant)["inUse"] is True
    tenant.cluster.patch(PROJECT_PATH, {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
    try:
        Operator(tenant.kubernetes, EmptyLists()).reconcile(PROJECT)
        assert FINALIZER_PROJECT in tenant.cluster.get(PROJECT_PATH)["metadata"]["finalizers"]
    finally:
        tenant.cluster.patch(PROJECT_PATH, {"metadata": {"deletionTimestamp": None}})


def test_a_preview_that_may_have_a_database_keeps_the_project_in_use(
    tenant: Tenant, operator: Operator, name: str
) -> None:
    create_preview(tenant, name)
    begin_preview(operator, name)
    operator.reconcile(PROJECT)
    assert read_status(tenant)["inUse"] is True
    assert list_databases(tenant) == []


def test_the_project_is_in_use_until_its_last_preview_is_gone(tenant: Tenant, operator: Operator, name: str) -> None:
    for preview in (name, f"{name}-b"):
        create_ready_preview(tenant, preview)
    for preview, expected in ((name, True), (f"{name}-b", False)):
        delete_preview(tenant, operator, preview)
        operator.reconcile(PROJECT)
        assert read_status(tenant)["inUse"] is expected


def test_a_role_that_cannot_be_dropped_yet_keeps_the_project_in_use(tenant: Tenant, operator: Operator) -> None:
    uid = tenant.cluster.get(PROJECT_PATH)["metadata"]["uid"]
    mark = OwnerComment(project_uid=uid, preview_uid="gone", owner_name="gone", dropped=True)
    tenant.server.execute("CREATE ROLE held", user="admin")
    tenant.server.execute(f"COMMENT ON ROLE held IS '{format_owner_comment(mark)}'", user="admin")
    tenant.server.execute("CREATE DATABASE held_objects OWNER held")
    operator.reconcile(PROJECT)
    assert read_status(tenant)["inUse"] is True
    tenant.server.execute("DROP DATABASE held_objects")
    operator.reconcile(PROJECT)  # drops the role


def test_a_server_that_does_not_answer_keeps_the_project_in_use(tenant: Tenant, operator: Operator) -> None:
    tenant.cluster.patch(f"{PROJECT_PATH}/status", {"status": {"inUse": True}})
    with another_port(tenant):
        for _ in range(3):
            operator.reconcile(PROJECT)
        assert read_status(tenant)["inUse"] is True


def test_a_late_second_look_does_not_free_the_address_of_a_new_database(
    tenant: Tenant, operator: Operator, name: str
) -> None:
    """An operator decides that the Project is unused, and pauses before it writes. Another one creates a database."""
    tenant.cluster.patch(f"{PROJECT_PATH}/status", {"status": {"inUse": True}})
    reconcile(operator.context, PROJECT)
    assert read_status(tenant)["inUse"], "one look is not enough"
    observed = observe_project(operator.context, PROJECT, NOW)
    assert observed is not None
    late = decide_project(observed, NOW, POLICY).status
    assert late.in_use is False
    create_ready_preview(tenant, name)
    with pytest.raises(Conflict):
        write_status(tenant.cluster, PROJECT, observed.object.meta, late)
    assert read_status(tenant)["inUse"] is True
    assert "unusedSince" not in read_status(tenant)


def test_no_database_is_created_on_a_server_that_the_project_has_left(
    tenant: Tenant, operator: Operator, name: str
) -> None:
    """An operator observes a preview and its Project, and pauses. Meanwhile the Project gets another address."""
    tenant.cluster.patch(f"{PROJECT_PATH}/status", {"status": {"inUse": True}})
    create_preview(tenant, name)
    begin_preview(operator, name)
    late = Operator(tenant.kubernetes)
    observe_preview(late.context, key(PREVIEWS, name), NOW)
    late.view.is_frozen = True
    with another_port(tenant), pytest.raises(Conflict):
        late.reconcile(key(PREVIEWS, name))
    assert list_databases(tenant) == []
