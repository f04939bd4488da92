"""Tests that a stopped import has no pod, session or shadow after ten seconds."""

import time
from collections.abc import Callable

import pytest
from tests.e2e.tenant import Tenant
from tests.support import kubectl
from tests.support.kubectl import Manifest

pytestmark = [pytest.mark.cluster, pytest.mark.exclusive]
STOP_SECONDS = 10.0

STOPS: dict[str, Callable[[Tenant, str], None]] = {
    "stopped-by-cancel": lambda tenant, name: tenant.change(name, cancel=True),
    "stopped-by-suspend": lambda tenant, name: tenant.change(name, suspend=True),
    "stopped-by-delete": lambda tenant, name: tenant.delete(name, wait=False),
}


def measure_stop(tenant: Tenant, body: Manifest) -> float:
    """Stops an import, and returns the seconds until nothing of it is left."""
    name, start = body["metadata"]["name"], time.monotonic()
    STOPS[name](tenant, name)
    while leftovers := tenant.leftovers(body):
        assert time.monotonic() - start < 3 * STOP_SECONDS, leftovers
        time.sleep(kubectl.POLL_SECONDS)
    return time.monotonic() - start


def test_whatever_asks_it_to_stop_it_stops_within_ten_seconds(tenant: Tenant) -> None:
    tenant.make_previews(*STOPS)
    kubectl.create(*(tenant.import_manifest(name, "slow", name) for name in STOPS))
    durations: dict[str, float] = {}
    tenant.disturb(
        {name: lambda body: durations.update({body["metadata"]["name"]: measure_stop(tenant, body)}) for name in STOPS}
    )
    assert {name: seconds for name, seconds in durations.items() if seconds > STOP_SECONDS} == {}
