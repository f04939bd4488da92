"""Tests imports into a target of an older major version, by the worker's image of that version."""

import secrets
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.cluster.instance import this_instance
from tests.cluster.project_images import server_image
from tests.cluster.provider_choice import choose_provider
from tests.e2e import comparison
from tests.e2e.fixtures import name_for_worker
from tests.e2e.postgres_pods import (
    SYSTEM_NAMESPACE,
    Postgres,
    Source,
    fill_source,
    quoted,
    secret_manifest,
    start_server,
)
from tests.e2e.tenant import IMPORTS, Tenant, make_tenant, reason_of, remove_tenant
from tests.support import kubectl

pytestmark = pytest.mark.cluster

NAME, ADMIN = name_for_worker("e2e-17"), "target_admin"


@pytest.fixture(scope="module")
def older(source: Source) -> Iterator[Tenant]:
    """A Project on a PostgreSQL 17, which has a source database too."""
    remove_tenant(NAME)
    kubectl.delete("secret", NAME, namespace=SYSTEM_NAMESPACE)
    namespace, password = source.server.namespace, secrets.token_urlsafe(24)
    start_server(namespace, NAME, server_image(choose_provider(this_instance()), "17"))
    server = Postgres(namespace, NAME)
    server.execute(f"CREATE ROLE {ADMIN} LOGIN CREATEDB CREATEROLE PASSWORD {quoted(password)}")
    own = Source(server, source.password)
    fill_source(own, ("shop",))
    kubectl.create(secret_manifest(SYSTEM_NAMESPACE, NAME, {"user": ADMIN, "password": password}))
    target = {
        "clusterID": "older",
        "host": f"{NAME}.{namespace}.svc",
        "adminSecretRef": {"name": NAME},
        "sslmode": "disable",
    }
    tenant = replace(make_tenant(NAME, source, server=target), server=server)
    host = f"{NAME}.{namespace}.svc.cluster.local"
    tenant.make_secrets({"shop": own.url("shop", host=host), "newer": source.url("shop")})
    yield tenant
    remove_tenant(NAME)
    kubectl.delete("secret", NAME, namespace=SYSTEM_NAMESPACE)


def test_17_comes_into_17_and_18_does_not(older: Tenant) -> None:
    older.make_previews("shop", "newer")
    older.start("shop", "shop", "shop")
    older.start("newer", "newer", "newer")
    body = older.wait_for_end("shop", "completed")
    assert body["status"]["verification"]["verified"] is True, older.describe(IMPORTS, "shop")
    assert "worker-17" in older.pods(body["metadata"]["uid"])[0]["spec"]["containers"][0]["image"]
    comparison.assert_same(older.server, "shop", older.server, older.database("shop"))
    failed = older.wait_for_end("newer", "failed")
    assert reason_of(failed) == "SourceNewerThanTarget"
    assert "18" in failed["status"]["error"]
