"""The runbooks hold: what a restore with new UIDs does, and how previews follow a target server that has moved."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from tests.docs.blocks import ROOT, parse_blocks
from tests.handlers.emulated_tenant import NAMESPACE, Tenant, wait_for
from tests.handlers.running_operator import complete, run_operator, write_kubeconfig
from tests.support.kubernetes import BYSTANDER, Kubernetes, run_kubernetes
from tests.support.postgres import PostgresServer
from tests.support.tcp_proxies import run_slow_proxy

from pgimport.kubernetes_client import api_paths
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS
from pgimport.model.resources import ResourceKey

# Each test starts the operator twice, and completes imports.
pytestmark = pytest.mark.thorough

PAGE = ROOT / "docs/operations/backup.md"


@pytest.fixture
def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubernetes]:
    with run_kubernetes() as kubernetes, pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(write_kubeconfig(kubernetes.url, tmp_path_factory.mktemp("kubeconfig"))))
        yield kubernetes


@pytest.fixture
def tenant(kubernetes: Kubernetes, postgres16: PostgresServer) -> Tenant:
    prepared = Tenant(kubernetes, kubernetes.connect(BYSTANDER), postgres16)
    prepared.prepare()
    return prepared


def list_marked(tenant: Tenant) -> dict[str, str]:
    """Returns database → UID of its Project, with the page's query."""
    (query,) = (block.text for block in parse_blocks(PAGE) if block.language == "sql")
    return {row[1]: row[2] for row in tenant.server.query(query) if row[1] is not None}


def read_rows(tenant: Tenant, preview: str) -> list[tuple[Any, ...]] | None:
    """Returns the rows of the copy, or None while the role has not got the password of the new Secret."""
    try:
        with tenant.as_owner(preview) as connection:
            return connection.execute("SELECT id, name FROM cats").fetchall()
    except psycopg.OperationalError:
        return None


def restore(tenant: Tenant, *keys: ResourceKey) -> None:
    """Creates objects again as a restore does: with new UIDs, without status and finalizers."""
    for key in keys:
        path = api_paths.of_key(key)
        body = tenant.cluster.get(path)
        tenant.cluster.patch(path, {"metadata": {"finalizers": None}})
        tenant.cluster.delete(path)
        metadata = {name: body["metadata"][name] for name in ("name", "namespace") if name in body["metadata"]}
        tenant.create(path.rpartition("/")[0], {**body, "metadata": metadata, "status": {"observedGeneration": -1}})


def test_a_restore_gives_new_databases_and_runs_imports_again(kubernetes: Kubernetes, tenant: Tenant) -> None:
    with run_operator(kubernetes):
        tenant.apply("restored")
        complete(tenant, "restored")
        before = tenant.status("restored", PREVIEWS)["database"]
    old_project = tenant.cluster.get(api_paths.resource(PROJECTS, name="shop"))["metadata"]["uid"]
    restore(
        tenant,
        ResourceKey(IMPORTS, NAMESPACE, "restored"),
        ResourceKey(PREVIEWS, NAMESPACE, "restored"),
        ResourceKey(PROJECTS, "", "shop"),
    )
    with run_operator(kubernetes):
        complete(tenant, "restored")
        after = tenant.status("restored", PREVIEWS)["database"]
    new_project = tenant.cluster.get(api_paths.resource(PROJECTS, name="shop"))["metadata"]["uid"]
    assert before != after
    marked = list_marked(tenant)
    assert (marked[before], marked[after]) == (old_project, new_project)
    assert old_project != new_project


def test_previews_follow_their_server_to_another_address(kubernetes: Kubernetes, tenant: Tenant) -> None:
    with run_operator(kubernetes):
        tenant.apply("moved")
        complete(tenant, "moved")
    secret = tenant.status("moved", PREVIEWS)["connectionSecret"]
    old = tenant.read_secret(secret)
    with run_slow_proxy(tenant.server, 0) as address:
        project = api_paths.resource(PROJECTS, name="shop")
        assert tenant.cluster.get(project)["status"]["inUse"] is True
        tenant.cluster.patch(f"{project}/status", {"status": {"inUse": False}})
        tenant.cluster.patch(project, {"spec": {"server": {"port": address.port}}})
        tenant.cluster.delete(api_paths.core(NAMESPACE, "secrets", secret))
        with run_operator(kubernetes):
            new = wait_for("a new connection Secret", lambda: tenant.read_secret(secret))
            assert old is not None
            assert new["data"]["port"] != old["data"]["port"]
            assert new["data"]["password"] != old["data"]["password"]
            assert wait_for("the new password", lambda: read_rows(tenant, "moved")) == [(1, "Ada")]
            assert tenant.cluster.get(project)["status"]["inUse"] is True
