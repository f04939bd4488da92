"""What no wire shows: an operator that sees the past, one that hears badly, two at once, and a node that is gone."""

import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from tests.chaos.cell_result import Cell
from tests.chaos.chaos_environment import DATABASE, STORY_SECONDS, Stage
from tests.chaos.import_phases import Phase
from tests.chaos.watch_faults import Hearing
from tests.chaos.write_counter import Point, When
from tests.e2e.tenant import Tenant, state_of
from tests.support import kubectl

STALE_SECONDS = 10
RESET_SECONDS = 60


# --- a view of the past ------------------------------------------------------------------------------------------


def api_writes(writes: Sequence[str]) -> list[int]:
    """Numbers of those that changed what Kubernetes holds, from 1."""
    verbs = ("POST", "PUT", "PATCH", "DELETE")
    return [number for number, name in enumerate(writes, 1) if name.split()[0] in verbs]


def play_stale(stage: Stage, name: str, number: int) -> Cell:
    """The operator dies after its n-th write, and its successor sees the world as it was before that one."""
    stage.api.views.begin()

    def strike() -> None:
        stage.api.views.go_back(number)
        stage.operator.kill()
        # In a thread of its own, for the writer's connection waits for this.
        threading.Timer(0, stage.operator.ensure).start()
        threading.Timer(STALE_SECONDS, stage.api.views.return_to_now).start()

    stage.effects.begin(Point(number, When.AFTER), strike)
    cell = stage.tell(name, "restarted with a stale view", "")
    while stage.api.views.stale:  # an import that was all but done ends before the successor has asked anything
        time.sleep(0.1)
    struck = stage.effects.struck
    stage.effects.end()
    said = cell.said or ("" if struck and stage.api.views.asked else "nothing was asked of the past")
    place = f"before {number:02} {struck or '-'}"
    return Cell(cell.fault, place, not said, cell.seconds, cell.state, cell.target, said)


def play_stale_at_the_end(stage: Stage, name: str, place: int) -> Cell:
    """A reset and an import are done; then an operator starts that sees the world as before one of their writes."""
    stage.api.views.begin()
    stage.effects.begin()
    fault = "restarted, all done, with a stale view"
    _reset(stage.tenant, name)
    cell = stage.tell(name, fault, "")
    writes = stage.effects.end()
    numbers = api_writes(writes)
    number = numbers[min(place, len(numbers) - 1)]
    before = _standing(stage, name)
    stage.api.views.go_back(number)
    stage.operator.kill()
    stage.operator.ensure()
    time.sleep(STALE_SECONDS)
    stage.api.views.return_to_now()
    time.sleep(3)  # a sweep of what is true again
    after = _standing(stage, name)
    said = cell.said or ("" if after == before else f"moved from {before} to {after}"[:600])
    said = said or ("" if stage.api.views.asked else "nothing was asked of the past")
    return Cell(
        fault, f"before {number:02} {writes[number - 1]}", not said, cell.seconds, cell.state, cell.target, said
    )


def _reset(tenant: Tenant, name: str) -> None:
    """And wait until it has happened."""
    asked = datetime.now(UTC).replace(microsecond=0)
    tenant.change_preview(name, resetAt=asked.isoformat().replace("+00:00", "Z"))

    def done() -> bool:
        found = tenant.preview(name)["status"].get("resetAt")
        return found is not None and datetime.fromisoformat(found) == asked

    kubectl.wait_until(done, f"preview {name} is empty anew", RESET_SECONDS)


def _standing(stage: Stage, name: str) -> tuple[object, ...]:
    """All that would move if something were done twice."""
    body = stage.tenant.get(name)
    uid = body["metadata"]["uid"]
    oid = stage.tenant.server.value(
        "SELECT oid FROM pg_database WHERE datname = :'name'", name=stage.tenant.database(name)
    )
    return (
        body["status"]["state"],
        body["status"]["completedAt"],
        oid,
        stage.login(name).read_content(),
        [one["metadata"]["uid"] for one in stage.tenant.jobs(uid)],
        sorted(one["metadata"]["uid"] for one in stage.tenant.pods(uid)),
        stage.tenant.leftovers(body),
    )


# --- events that are lost, doubled, merged -----------------------------------------------------------------------


def play_deaf(stage: Stage, name: str, how: Hearing) -> Cell:
    """An operator that is started anew, and so watches anew."""
    stage.api.hearing = how
    try:
        with stage.operator.restarted():
            cell = stage.tell(name, how.value, "all phases")
            stage.api.hearing = Hearing.WELL
            return cell
    finally:
        stage.api.hearing = Hearing.WELL


# --- two operators at once ---------------------------------------------------------------------------------------


def play_two_operators(stage: Stage, name: str, kills: bool) -> Cell:
    """Three imports of one preview at once, under two operators; or one of them dies while the first import copies."""
    fault = "two operators at once" + (", one killed" if kills else "")
    begun = time.monotonic()
    twin = stage.operator.start_twin()
    names = [f"{name}-{number}" for number in range(3)]
    try:
        if kills:
            stage.moments.await_phase(Phase.DATA, stage.operator.kill)
        for one in names:
            stage.tenant.start(one, DATABASE, name, recreate=True)
        bodies = stage.tenant.wait_until_over(*names, seconds=STORY_SECONDS)
    finally:
        stage.moments.forget()
        twin.kill()
        stage.operator.ensure()
    seconds = time.monotonic() - begun
    states = sorted({str(state_of(body)) for body in bodies.values()})
    said = _judge_together(stage, name, list(bodies.values()))
    target = "new" if stage.login(name).read_content() == stage.source.read_content() else "?"
    return Cell(fault, "all phases", not said, seconds, ", ".join(states), target, said)


def _judge_together(stage: Stage, preview: str, bodies: list[dict[str, Any]]) -> str:
    """Each once, one after the other, nothing left; empty where that is so."""
    statuses = [body["status"] for body in bodies]
    if {status["state"] for status in statuses} != {"completed"}:
        return f"ended as {[(status['state'], status.get('error')) for status in statuses]}"[:600]
    if [status["attempts"] for status in statuses] != [1, 1, 1]:
        return f"attempts: {[status['attempts'] for status in statuses]}"
    times = sorted((status["startedAt"], status["completedAt"]) for status in statuses)
    if any(later[0] < earlier[1] for earlier, later in pairwise(times)):
        return f"two at work at once: {times}"
    for body in bodies:
        jobs = stage.tenant.jobs(body["metadata"]["uid"])
        if len(jobs) != 1:
            return f"{len(jobs)} Jobs of {body['metadata']['name']}"
        if left := stage.tenant.leftovers(body):
            return f"left behind: {', '.join(left)}"
    if stage.login(preview).read_content() != stage.source.read_content():
        return "the target does not hold what the source does"
    return ""
