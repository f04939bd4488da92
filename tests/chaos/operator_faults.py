"""Faults of the operator itself: a stale view of the cluster, lost events, and two operators at once."""

import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from tests.chaos.cell_result import CellResult
from tests.chaos.chaos_environment import DATABASE, END_SECONDS, MAX_PROBLEM_LENGTH, ChaosEnvironment
from tests.chaos.import_phases import Phase
from tests.chaos.watch_faults import WatchFault
from tests.chaos.write_counter import Side, WritePoint
from tests.e2e.tenant import Tenant, state_of
from tests.support import kubectl

STALE_SECONDS = 10
SWEEP_SECONDS = 3  # the operator under test sweeps every two seconds
RESET_SECONDS = 60
NO_STALE_READ = "the operator read nothing while its view was stale"


# --- Stale views --------------------------------------------------------------------------------------------------


def find_api_writes(writes: Sequence[str]) -> list[int]:
    """Return the numbers, from 1, of the writes that changed an object of Kubernetes."""
    methods = ("POST", "PUT", "PATCH", "DELETE")
    return [number for number, name in enumerate(writes, 1) if name.split()[0] in methods]


def play_stale_view(environment: ChaosEnvironment, name: str, number: int) -> CellResult:
    """Kill the operator after a write; its successor sees the cluster as it was before that write."""
    history = environment.api.answer_history
    history.begin()

    def restart_with_stale_view() -> None:
        history.go_back(number)
        environment.operator.kill()
        # This runs in a thread, because the connection of the write waits for this function.
        threading.Timer(0, environment.operator.ensure).start()
        threading.Timer(STALE_SECONDS, history.return_to_present).start()

    environment.write_counter.begin(WritePoint(number, Side.AFTER), restart_with_stale_view)
    cell = environment.run_import(name, "restarted with a stale view", "")
    while history.is_stale:  # an import that was nearly done ends before the successor reads anything
        time.sleep(0.1)
    struck_write = environment.write_counter.struck_write
    environment.write_counter.end()
    problem = cell.problem or ("" if struck_write and history.stale_reads else NO_STALE_READ)
    where = f"before {number:02} {struck_write or '-'}"
    return CellResult(cell.fault, where, not problem, cell.seconds, cell.state, cell.target, problem)


def play_stale_view_at_the_end(environment: ChaosEnvironment, name: str, index: int) -> CellResult:
    """Complete a reset and an import, then start an operator that sees the cluster as before one of their writes."""
    history = environment.api.answer_history
    history.begin()
    environment.write_counter.begin()
    fault = "restarted, all done, with a stale view"
    _reset_preview(environment.tenant, name)
    cell = environment.run_import(name, fault, "")
    writes = environment.write_counter.end()
    numbers = find_api_writes(writes)
    number = numbers[min(index, len(numbers) - 1)]
    before = _read_outcome(environment, name)
    history.go_back(number)
    environment.operator.kill()
    environment.operator.ensure()
    time.sleep(STALE_SECONDS)
    history.return_to_present()
    time.sleep(SWEEP_SECONDS)
    after = _read_outcome(environment, name)
    problem = cell.problem or ("" if after == before else f"changed from {before} to {after}"[:MAX_PROBLEM_LENGTH])
    problem = problem or ("" if history.stale_reads else NO_STALE_READ)
    where = f"before {number:02} {writes[number - 1]}"
    return CellResult(fault, where, not problem, cell.seconds, cell.state, cell.target, problem)


def _reset_preview(tenant: Tenant, name: str) -> None:
    """Reset the preview and wait until it is empty."""
    reset_at = datetime.now(UTC).replace(microsecond=0)
    tenant.change_preview(name, resetAt=reset_at.isoformat().replace("+00:00", "Z"))

    def is_done() -> bool:
        status_reset_at = tenant.preview(name)["status"].get("resetAt")
        return status_reset_at is not None and datetime.fromisoformat(status_reset_at) == reset_at

    kubectl.wait_until(is_done, f"preview {name} is empty after its reset", RESET_SECONDS)


def _read_outcome(environment: ChaosEnvironment, name: str) -> tuple[object, ...]:
    """Read everything that would change if the operator did something twice."""
    body = environment.tenant.get(name)
    uid = body["metadata"]["uid"]
    oid = environment.tenant.server.value(
        "SELECT oid FROM pg_database WHERE datname = :'name'", name=environment.tenant.database(name)
    )
    return (
        body["status"]["state"],
        body["status"]["completedAt"],
        oid,
        environment.login(name).read_content(),
        [job["metadata"]["uid"] for job in environment.tenant.jobs(uid)],
        sorted(pod["metadata"]["uid"] for pod in environment.tenant.pods(uid)),
        environment.tenant.leftovers(body),
    )


# --- Lost, doubled and merged events --------------------------------------------------------------------------------


def play_watch_fault(environment: ChaosEnvironment, name: str, watch_fault: WatchFault) -> CellResult:
    """Run an import with an operator whose watches are disturbed from its start."""
    environment.api.watch_fault = watch_fault
    try:
        with environment.operator.restarted():
            cell = environment.run_import(name, watch_fault.value, "all phases")
            environment.api.watch_fault = WatchFault.NONE
            return cell
    finally:
        environment.api.watch_fault = WatchFault.NONE


# --- Two operators --------------------------------------------------------------------------------------------------


def play_two_operators(environment: ChaosEnvironment, name: str, kills: bool) -> CellResult:
    """Run three imports of one preview with two operators. `kills`: one is killed while the first import copies."""
    fault = "two operators at once" + (", one killed" if kills else "")
    started_at = time.monotonic()
    second_operator = environment.operator.start_twin()
    names = [f"{name}-{number}" for number in range(3)]
    try:
        if kills:
            environment.phase_trigger.arm(Phase.DATA, environment.operator.kill)
        for import_name in names:
            environment.tenant.start(import_name, DATABASE, name, recreate=True)
        bodies = environment.tenant.wait_until_over(*names, seconds=END_SECONDS)
    finally:
        environment.phase_trigger.disarm()
        second_operator.kill()
        environment.operator.ensure()
    seconds = time.monotonic() - started_at
    states = sorted({str(state_of(body)) for body in bodies.values()})
    problem = _check_concurrent_imports(environment, name, list(bodies.values()))
    is_new = environment.login(name).read_content() == environment.source.read_content()
    return CellResult(fault, "all phases", not problem, seconds, ", ".join(states), "new" if is_new else "?", problem)


def _check_concurrent_imports(environment: ChaosEnvironment, preview: str, bodies: list[dict[str, Any]]) -> str:
    """Return a problem unless each import ran once, one after the other, and left nothing."""
    statuses = [body["status"] for body in bodies]
    if {status["state"] for status in statuses} != {"completed"}:
        return f"ended as {[(status['state'], status.get('error')) for status in statuses]}"[:MAX_PROBLEM_LENGTH]
    if [status["attempts"] for status in statuses] != [1, 1, 1]:
        return f"attempts: {[status['attempts'] for status in statuses]}"
    times = sorted((status["startedAt"], status["completedAt"]) for status in statuses)
    if any(later[0] < earlier[1] for earlier, later in pairwise(times)):
        return f"two imports ran at once: {times}"
    for body in bodies:
        jobs = environment.tenant.jobs(body["metadata"]["uid"])
        if len(jobs) != 1:
            return f"{len(jobs)} Jobs of {body['metadata']['name']}"
        # A pod's phase is still Running for a moment after its container has ended.
        if problem := environment.await_cleanup(body["metadata"]["name"], preview):
            return problem
    if environment.login(preview).read_content() != environment.source.read_content():
        return "the target does not hold what the source does"
    return ""
