"""Measures what one tenant's attacks cost another tenant, on the cluster of `make up`.

First the second tenant creates 20 previews and imports alone, then beside the attacks. Exits with 1 if its previews or
imports take more than twice their time, or the operator's memory grows by more than 20 MiB.
"""

import argparse
import re
import secrets
import sys
import time

from tests.attacks.attack_report import FILE, Outcome, Timings
from tests.attacks.attacker import Attacker
from tests.e2e.machine import describe_machine
from tests.e2e.postgres_pods import SYSTEM_NAMESPACE, start_source
from tests.e2e.tenant import END_SECONDS, IMPORTS, PREVIEWS, Tenant, make_tenant, operator_pods, remove_tenant, state_of
from tests.support import kubectl

COUNT = 20
SOURCE, VICTIM, ATTACKER = "attack-source", "attack-victim", "attack-attacker"
DATABASES = ("small", "slow")
LIMITS = {"maxConcurrentImports": 50, "maxPreviews": 200}
SETTLE_SECONDS = 30  # after the attacks, before the operator's memory is read


def clear() -> None:
    """Removes both tenants and the source, also those of an earlier run."""
    for name in (VICTIM, ATTACKER):
        remove_tenant(name)
    kubectl.delete("namespace", SOURCE, VICTIM, ATTACKER)


def work(tenant: Tenant, prefix: str, minutes: float = 0) -> Timings:
    """Creates previews and imports into them, one after another, spread over the given time."""
    previews: list[float] = []
    imports: list[float] = []
    failures: list[str] = []
    began = time.monotonic()
    for number in range(COUNT):
        time.sleep(max(0.0, began + number * minutes * 60 / COUNT - time.monotonic()))
        name = f"{prefix}-{number}"
        try:
            previews.append(_measure(tenant, PREVIEWS, name, "ready", tenant.preview_manifest(name)))
            imports.append(_measure(tenant, IMPORTS, name, "completed", tenant.import_manifest(name, "small", name)))
        except AssertionError as error:
            failures.append(str(error)[:600])
        print(f"{name}: {[round(times[-1], 2) for times in (previews, imports) if times]}", flush=True)
    time.sleep(max(0.0, began + minutes * 60 - time.monotonic()))
    return Timings(previews=previews, imports=imports, failures=failures)


def _measure(tenant: Tenant, kind: str, name: str, state: str, manifest: kubectl.Manifest) -> float:
    """Returns the seconds from the creation of an object to its state."""
    began = time.monotonic()
    kubectl.create(manifest)

    def is_reached() -> bool:
        reached = state_of(kubectl.get(kind, name, tenant.name))
        assert reached != "failed", tenant.describe(kind, name)
        return reached == state

    kubectl.wait_until(is_reached, f"{kind} {name} is {state}", END_SECONDS)
    return time.monotonic() - began


def read_memory() -> float:
    """Returns the operator's resident memory in MiB."""
    (pod,) = operator_pods()
    # The operator is the largest process of its pod.
    command = "cat /proc/[0-9]*/status 2> /dev/null || true"
    status = kubectl.execute(SYSTEM_NAMESPACE, pod["metadata"]["name"], "sh", "-c", command)
    return max(int(size) for size in re.findall(r"VmRSS:\s+(\d+) kB", status)) / 1024


def measure(minutes: float) -> Outcome:
    """Runs both parts and removes what they created."""
    clear()
    source = start_source(SOURCE, secrets.token_urlsafe(24), databases=DATABASES)
    victim, hostile = (make_tenant(name, source, limits=LIMITS) for name in (VICTIM, ATTACKER))
    for tenant in (victim, hostile):
        tenant.make_secrets({name: source.url(name) for name in DATABASES})
    alone = work(victim, "alone")
    role = victim.connection("alone-0")["user"]
    before = read_memory()
    attacker = Attacker(hostile, role, victim.uid)
    with attacker.attacking():
        attacked = work(victim, "beside", minutes)
    time.sleep(SETTLE_SECONDS)
    return Outcome(
        alone=alone,
        attacked=attacked,
        minutes=minutes,
        memory_before=before,
        memory_after=read_memory(),
        played=attacker.played,
        refused=attacker.refused,
        drops=attacker.drops,
        machine=describe_machine(),
    )


def main(minutes: float) -> int:
    try:
        outcome = measure(minutes)
    finally:
        clear()
    FILE.write_text(outcome.format_report())
    for text in outcome.find_broken():
        print(f"BROKEN: {text}")
    print(f"report: tests/attacks/{FILE.name}")
    return 1 if outcome.find_broken() else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.attacks", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long the attacks run (default: 10)")
    sys.exit(main(parser.parse_args().minutes))
