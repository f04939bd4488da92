"""A target server whose disk is a small tmpfs: it is full before the rows are in."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tests.chaos.cell_result import Cell
from tests.chaos.chaos_environment import Stage, address_of
from tests.chaos.content_watch import Login
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
DISK = "144Mi"  # an empty server of 17 takes 55, and 16 to 32 more for its log


@contextmanager
def _surroundings(stage: Stage) -> Iterator[Stage]:
    """The same operator, another Project; nothing is counted or held there."""
    source, password = stage.tenant.source, secrets.token_urlsafe(24)
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
    place = {
        "clusterID": "full",
        "host": address_of(NAME, namespace),
        "adminSecretRef": {"name": NAME},
        "sslmode": "disable",
    }
    here = address_of("source", namespace)
    sources = {"allowedCIDRs": [f"{here}/32"]}
    tenant = replace(make_tenant(NAME, source, server=place, sources=sources), server=server)
    tenant.make_secrets({DATABASE: source.url(DATABASE, host=here)})
    origin = Login(here, 5432, DATABASE, EXPORTER, source.password)
    try:
        yield replace(stage, tenant=tenant, server=address_of(NAME, namespace), source=origin)
    finally:
        clear()
        kubectl.delete("pod", NAME, namespace=namespace)


def play_full_target(stage: Stage, _: str) -> Cell:
    with _surroundings(stage) as other:
        other.tenant.make_kept_previews("full")
        return other.tell("full", "target's disk full", "data", ("TargetFull",), maxAttempts=1)
