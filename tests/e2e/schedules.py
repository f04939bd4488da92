"""Schedules with a time in each minute: created, changed, awaited and deleted by tests."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.e2e.tenant import IMPORTS, SCHEDULES, Tenant, reason_of
from tests.support import kubectl
from tests.support.kubectl import Manifest

# A minute until the next time, and an import on a busy machine.
RUN_SECONDS = 60 + 180


def list_imports(tenant: Tenant, schedule: str) -> list[Manifest]:
    return kubectl.list_objects(IMPORTS, tenant.name, f"capydb.dev/schedule={schedule}")


def wait_for_schedule(tenant: Tenant, name: str, condition: Callable[[Manifest], bool], what: str) -> Manifest:
    return tenant.wait(SCHEDULES, (name,), condition, what, RUN_SECONDS)[name]


def change(tenant: Tenant, name: str, **spec: Any) -> None:
    kubectl.merge_patch(SCHEDULES, name, tenant.name, {"spec": spec})


def set_secret(tenant: Tenant, name: str, secret: str) -> None:
    change(tenant, name, importTemplate={"source": {"urlSecretRef": {"name": secret, "key": "url"}}})


@contextmanager
def created(tenant: Tenant, manifest: Manifest) -> Iterator[None]:
    """Creates a schedule, and deletes it after the block, so that it starts no more imports."""
    kubectl.create(manifest)
    try:
        yield
    finally:
        kubectl.delete(SCHEDULES, manifest["metadata"]["name"], namespace=tenant.name)


def pause(tenant: Tenant, name: str) -> Manifest:
    """Suspends the schedule and waits for the end of its imports, so that no refresh disturbs a comparison."""
    change(tenant, name, suspend=True)
    return wait_for_schedule(
        tenant,
        name,
        lambda body: reason_of(body) == "Suspended" and not body["status"].get("active"),
        "is suspended and has no active import",
    )
