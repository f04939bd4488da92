"""Creates a Project and a source server for one measure and removes them afterwards."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.e2e.postgres_pods import start_source
from tests.e2e.tenant import Tenant, make_tenant, remove_tenant
from tests.support import kubectl


@contextmanager
def bench_tenant(project: str, database: str, **spec: Any) -> Iterator[Tenant]:
    """Yield a tenant with a Secret named like the database that holds the source's URL.

    `spec` is that of the Project. What an earlier run has left is removed first.
    """
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
