"""Observations of running imports and the decisions about them, for the tests of imports."""

from datetime import UTC, datetime, timedelta

from tests.support.samples import (
    BORN,
    NOW,
    a_policy,
    a_running_status,
    a_server,
    a_shadow,
    observed_running_import,
)

from pgimport.decide.conditions import ready_reason
from pgimport.decide.decision import (
    Decision,
)
from pgimport.decide.imports import decide_import
from pgimport.decide.observed_objects import ObservedImport
from pgimport.model.observations import Unreachable
from pgimport.model.reasons import Failure, Reason
from pgimport.model.status import ImportPhase, ImportStatus, Progress

POLICY = a_policy()
UNREACHABLE = Unreachable(failure=Failure(Reason.SERVER_UNREACHABLE, "the target server cannot be reached"))
RECENT = NOW - timedelta(seconds=30)
LOGGED_AT = datetime(2026, 1, 1, 3, 0, tzinfo=UTC)  # by a node whose clock is nine hours late
COPYING = a_running_status(
    shadow=a_shadow(), progress=Progress(phase=ImportPhase.DATA, percent=5, at=BORN, said_at=LOGGED_AT)
)
NEW_PROGRESS = Progress(phase=ImportPhase.DATA, percent=6, at=LOGGED_AT + timedelta(seconds=2))


def decide(observed: ObservedImport, now: datetime = NOW) -> Decision[ImportStatus]:
    return decide_import(observed, now, POLICY)


def reason(decision: Decision[ImportStatus]) -> str | None:
    return ready_reason(decision.status.conditions)


def starting(**changes: object) -> ObservedImport:
    """Builds a running import whose Job is not created yet."""
    spec = changes.pop("spec", None)
    given = {"job": None, "pods": (), "server": a_server(), "target_objects": ()}
    status = a_running_status(job=None, progress=None)
    return observed_running_import(spec, status, **(given | changes))  # type: ignore[arg-type]
