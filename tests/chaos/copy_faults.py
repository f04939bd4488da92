"""Faults of copies: the operator is killed at every write of a copy, or the golden preview changes meanwhile.

A copy ends as an undisturbed one: it has the content of the golden preview, and nothing is left after its deletion.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.chaos.cell_result import CellResult
from tests.chaos.chaos_environment import DATABASE, END_SECONDS, MAX_PROBLEM_LENGTH, ChaosEnvironment
from tests.chaos.write_counter import Side, WritePoint
from tests.e2e.tenant import PREVIEWS, READY_SECONDS, reason_of, state_of
from tests.support import kubectl

GOLDEN = "golden"
KILLED = "operator killed at a write of a copy"
SIDE_BY_SIDE = 3
_TEMPORARY_ROLES = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'pgimport_temporary%'"


def list_points(writes: Sequence[str]) -> list[WritePoint]:
    return [WritePoint(number, side) for number in range(1, len(writes) + 1) for side in Side]


def record_writes(environment: ChaosEnvironment) -> list[str]:
    """Returns the names of the writes of an undisturbed copy."""
    _ensure_golden(environment)
    environment.write_counter.begin()
    problem = _make_copies(environment, "recorded-copy")
    writes = environment.write_counter.end()
    problem = problem or _delete_copies(environment, "recorded-copy")
    assert not problem, problem
    return writes


def play_kill(environment: ChaosEnvironment, name: str, point: WritePoint) -> CellResult:
    """Kills the operator before or after one write of a copy."""
    _ensure_golden(environment)

    def restart_operator() -> None:
        environment.operator.kill()
        # This runs in a thread, because the connection of the write waits for this function.
        threading.Thread(target=environment.operator.ensure, daemon=True).start()

    copy, started_at = f"{name}-copy", time.monotonic()
    environment.write_counter.begin(point, restart_operator, cuts=True)
    problem = _make_copies(environment, copy)
    struck_write = environment.write_counter.struck_write
    environment.write_counter.end()
    seconds = time.monotonic() - started_at
    problem = problem or _delete_copies(environment, copy)
    problem = problem or ("" if struck_write else "the copy made fewer writes than the recorded one: no fault came")
    where = f"{point.side} {point.number:02} {struck_write or '-'}"
    return CellResult(KILLED, where, not problem, seconds, "ready", "new", problem)


@dataclass(frozen=True)
class GoldenChange:
    """What happens to the golden preview while copies of it are made."""

    name: str
    begin: Callable[[ChaosEnvironment, str], Sequence[str]]  # returns the names of the imports that it starts


def _refresh(environment: ChaosEnvironment, name: str) -> Sequence[str]:
    environment.tenant.start(f"{name}-refresh", DATABASE, GOLDEN, recreate=True)
    return [f"{name}-refresh"]


def _delete_and_fill_again(environment: ChaosEnvironment, _: str) -> Sequence[str]:
    kubectl.delete(PREVIEWS, GOLDEN, namespace=environment.tenant.name)
    _ensure_golden(environment)
    return []


def _reset_and_fill_again(environment: ChaosEnvironment, name: str) -> Sequence[str]:
    reset_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    environment.tenant.change_preview(GOLDEN, resetAt=reset_at)
    return _refresh(environment, name)


CHANGES = (
    GoldenChange("golden preview refreshed while it is copied", _refresh),
    GoldenChange("golden preview deleted while it is copied", _delete_and_fill_again),
    GoldenChange("golden preview emptied while it is copied", _reset_and_fill_again),
)


def play_change(environment: ChaosEnvironment, name: str, change: GoldenChange) -> CellResult:
    """Makes copies side by side, and changes the golden preview. Each copy has the old or the new content, not less."""
    _ensure_golden(environment)
    copies, started_at = [f"{name}-copy-{number}" for number in range(SIDE_BY_SIDE)], time.monotonic()
    _create(environment, *copies)
    imports = change.begin(environment, name)
    problem = _await_copies(environment, *copies)
    ended = environment.tenant.wait_until_over(*imports, seconds=END_SECONDS)
    problem = problem or ", ".join(
        f"{key} {state_of(body)}" for key, body in ended.items() if state_of(body) != "completed"
    )
    seconds = time.monotonic() - started_at
    problem = problem or _delete_copies(environment, *copies)
    return CellResult(change.name, "all copies", not problem, seconds, "ready", "new", problem)


def _ensure_golden(environment: ChaosEnvironment) -> None:
    """Fills the golden preview, unless an earlier cell did."""
    tenant = environment.tenant
    if kubectl.find(PREVIEWS, GOLDEN, tenant.name) is None:
        kubectl.create(tenant.preview_manifest(GOLDEN, golden=True))
        fill = f"{GOLDEN}-{int(time.monotonic())}"
        tenant.start(fill, DATABASE, GOLDEN, recreate=True)
        tenant.wait_for_end(fill, "completed")
    tenant.wait(PREVIEWS, (GOLDEN,), lambda body: state_of(body) == "ready", "is ready", READY_SECONDS)


def _make_copies(environment: ChaosEnvironment, *names: str) -> str:
    _create(environment, *names)
    return _await_copies(environment, *names)


def _create(environment: ChaosEnvironment, *names: str) -> None:
    spec = {"mode": "clone", "ttl": "1h", "from": {"previewDatabase": GOLDEN}}
    kubectl.create(*(environment.tenant.preview_manifest(name, **spec) for name in names))


def _await_copies(environment: ChaosEnvironment, *names: str) -> str:
    """Waits until the copies are ready. Returns a problem if one is not, or has other content than its source."""
    deadline = time.monotonic() + END_SECONDS
    for name in names:
        while state_of(body := environment.tenant.preview(name)) != "ready":
            if time.monotonic() > deadline:
                return f"{name} is not ready after {END_SECONDS} s: {reason_of(body)}"
            time.sleep(0.2)
        if environment.login(name).read_content() != environment.source.read_content():
            return f"{name} has not the content of the golden preview"
    return ""


def _delete_copies(environment: ChaosEnvironment, *names: str) -> str:
    """Deletes the copies. Returns a problem if a database or a role is left on the server."""
    tenant = environment.tenant
    databases = [tenant.database(name) for name in names]
    roles = [tenant.connection(name)["user"] for name in names]
    kubectl.delete(PREVIEWS, *names, namespace=tenant.name)
    left = [name for name in databases if tenant.server.has_database(name)]
    left += [name for name in roles if tenant.server.has_role(name)]
    if (count := tenant.server.value(_TEMPORARY_ROLES)) != "0":
        left.append(f"{count} temporary roles")
    return f"left behind: {', '.join(left)}"[:MAX_PROBLEM_LENGTH] if left else ""
