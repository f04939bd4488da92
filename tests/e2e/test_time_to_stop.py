"""From the wish to stop to nothing at work: no pod, no session, no shadow, within ten seconds."""

import time
from collections.abc import Callable

import pytest
from tests.e2e.tenant import Tenant
from tests.support import kubectl
from tests.support.kubectl import Manifest

pytestmark = [pytest.mark.cluster, pytest.mark.exclusive]
STOP_SECONDS = 10.0

WISHES: dict[str, Callable[[Tenant, str], None]] = {
    "stopped-by-cancel": lambda tenant, name: tenant.change(name, cancel=True),
    "stopped-by-suspend": lambda tenant, name: tenant.change(name, suspend=True),
    "stopped-by-delete": lambda tenant, name: tenant.delete(name, wait=False),
}


def stop(tenant: Tenant, body: Manifest) -> float:
    """Seconds from the wish until nothing of the import is at work; a question takes a part of a second itself."""
    name, began = body["metadata"]["name"], time.monotonic()
    WISHES[name](tenant, name)
    while left := tenant.leftovers(body):
        assert time.monotonic() - began < 3 * STOP_SECONDS, left
        time.sleep(kubectl.POLL_SECONDS)
    return time.monotonic() - began


def test_whatever_asks_it_to_stop_it_stops_within_ten_seconds(tenant: Tenant) -> None:
    tenant.make_previews(*WISHES)
    kubectl.create(*(tenant.import_manifest(name, "slow", name) for name in WISHES))
    taken: dict[str, float] = {}
    tenant.disturb({name: lambda body: taken.update({body["metadata"]["name"]: stop(tenant, body)}) for name in WISHES})
    assert {name: seconds for name, seconds in taken.items() if seconds > STOP_SECONDS} == {}
