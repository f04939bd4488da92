"""Tests an import into a target of a newer major version, by the worker's image of that version."""

import secrets
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.cluster.instance import this_instance
from tests.cluster.project_images import server_image
from tests.cluster.provider_choice import choose_provider
from tests.e2e import comparison
from tests.e2e.fixtures import name_for_worker
from tests.e2e.postgres_pods import SYSTEM_NAMESPACE, Postgres, Source, quoted, secret_manifest, start_server
from tests.e2e.tenant import IMPORTS, Tenant, make_tenant, remove_tenant
from tests.support import kubectl

pytestmark = pytest.mark.cluster

NAME, ADMIN = name_for_worker("e2e-18"), "target_admin"


@pytest.fixture(scope="module")
def newer(source: Source) -> Iterator[Tenant]:
    """A Project whose target is a PostgreSQL 18."""
    remove_tenant(NAME)
    kubectl.delete("secret", NAME, namespace=SYSTEM_NAMESPACE)
    namespace, password = source.server.namespace, secrets.token_urlsafe(24)
    start_server(namespace, NAME, server_image(choose_provider(this_instance()), "18"))
    server = Postgres(namespace, NAME)
    server.execute(f"CREATE ROLE {ADMIN} LOGIN CREATEDB CREATEROLE PASSWORD {quoted(password)}")
    kubectl.create(secret_manifest(SYSTEM_NAMESPACE, NAME, {"user": ADMIN, "password": password}))
    target = {
        "clusterID": "newer",
        "host": f"{NAME}.{namespace}.svc",
        "adminSecretRef": {"name": NAME},
        "sslmode": "disable",
    }
    tenant = replace(make_tenant(NAME, source, server=target), server=server)
    tenant.make_secrets({"shop": source.url("shop")})
    yield tenant
    remove_tenant(NAME)
    kubectl.delete("secret", NAME, namespace=SYSTEM_NAMESPACE)


def test_17_comes_into_18(newer: Tenant, source: Source) -> None:
    newer.make_previews("shop")
    newer.start("shop", "shop", "shop")
    body = newer.wait_for_end("shop", "completed")
    status = body["status"]
    assert status["verification"]["verified"] is True, newer.describe(IMPORTS, "shop")
    assert "worker-18" in newer.pods(body["metadata"]["uid"])[0]["spec"]["containers"][0]["image"]
    copied = comparison.read_content(newer.server, newer.database("shop"))
    expected = comparison.read_content(source.server, "shop")
    assert (copied.rows, copied.sequences, copied.large_objects) == (
        expected.rows,
        expected.sequences,
        expected.large_objects,
    )
