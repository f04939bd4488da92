"""Runs an import into a target server whose disk, a small tmpfs, is full before all rows are copied."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tests.chaos.cell_result import CellResult
from tests.chaos.chaos_environment import ChaosEnvironment, read_cluster_ip
from tests.chaos.content_watch import DatabaseLogin
from tests.e2e.postgres_pods import (
    EXPORTER,
    SYSTEM_NAMESPACE,
    Postgres,
    postgres_image,
    quoted,
    secret_manifest,
    start_server,
)
from tests.e2e.tenant import make_tenant, remove_tenant
from tests.support import kubectl

NAME, ADMIN = "chaos-full", "target_admin"
DATABASE = "large"
DISK = "144Mi"  # an empty server of 17 takes 55 MiB, and its write-ahead log 16 to 32 MiB more


@contextmanager
def _run_small_server(environment: ChaosEnvironment) -> Iterator[ChaosEnvironment]:
    """Yield an environment with the same operator and a Project on the small server, without proxies."""
    source, password = environment.tenant.source, secrets.token_urlsafe(24)
    namespace = source.server.namespace

    def clear() -> None:
        remove_tenant(NAME)
        kubectl.delete("namespace", NAME)
        kubectl.delete("secret", NAME, namespace=SYSTEM_NAMESPACE)

    clear()
    start_server(namespace, NAME, postgres_image(), DISK)
    server = Postgres(namespace, NAME)
    server.execute(f"CREATE ROLE {ADMIN} LOGIN CREATEDB CREATEROLE PASSWORD {quoted(password)}")
    kubectl.create(secret_manifest(SYSTEM_NAMESPACE, NAME, {"user": ADMIN, "password": password}))
    server_address, source_address = read_cluster_ip(NAME, namespace), read_cluster_ip("source", namespace)
    server_spec = {
        "clusterID": "full",
        "host": server_address,
        "adminSecretRef": {"name": NAME},
        "sslmode": "disable",
    }
    allowed_sources = {"allowedCIDRs": [f"{source_address}/32"]}
    tenant = replace(make_tenant(NAME, source, server=server_spec, sources=allowed_sources), server=server)
    tenant.make_secrets({DATABASE: source.url(DATABASE, host=source_address)})
    login = DatabaseLogin(source_address, 5432, DATABASE, EXPORTER, source.password)
    try:
        yield replace(environment, tenant=tenant, server=server_address, source=login)
    finally:
        clear()
        kubectl.delete("pod", NAME, namespace=namespace)


def play(environment: ChaosEnvironment, _: str) -> CellResult:
    """Run the import. The plan's preview is not used, because this cell has a Project of its own."""
    with _run_small_server(environment) as small:
        small.tenant.make_kept_previews("full")
        return small.run_import("full", "target's disk full", "data", ("TargetFull",), maxAttempts=1)
