"""A Project and a source of its own for one measure, gone afterwards."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.e2e.postgres_pods import start_source
from tests.e2e.tenant import Tenant, make_tenant, remove_tenant
from tests.support import kubectl


@contextmanager
def surroundings(project: str, database: str, **spec: Any) -> Iterator[Tenant]:
    """With a Secret of the database's name; `spec` is the Project's. What an earlier run left is removed first."""
    namespace = f"{project}-source"

    def clear() -> None:
        remove_tenant(project)
        kubectl.delete("namespace", project, namespace)

    clear()
    try:
        source = start_source(namespace, secrets.token_urlsafe(24), databases=(database,))
        tenant = make_tenant(project, source, **spec)
        tenant.make_secrets({database: source.url(database)})
        yield tenant
    finally:
        clear()
