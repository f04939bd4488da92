"""The state machine of a PostgresImport.

    (none) ──► pending ──► running ──► completed
                  ▲           │  ├───► failed
                  └─ suspend ─┘  └───► cancelled          pending ──► failed, cancelled as well

Terminal states are absorbing: all that still happens is the clean-up. A running import goes through these steps,
each of them one look: its Job is made (`status.job`); a pod's preflight passes and its shadow is prepared
(`status.shadow`); the pod ends well (`shadow.verified`); the shadow's OID is written down (`shadow.oid`); the swap.
"""

from datetime import datetime

from pgimport.decide.decision import Decision
from pgimport.decide.ending import decide_cleanup
from pgimport.decide.running import decide_running
from pgimport.decide.seen import SeenImport
from pgimport.decide.states import begin, cancelled, failed, pending, running
from pgimport.decide.unsupported import find_unsupported_import
from pgimport.decide.waiting import decide_waiting
from pgimport.model.policy import Policy
from pgimport.model.reasons import Failure, Reason
from pgimport.model.status import ImportState, ImportStatus

__all__ = ["decide_away", "decide_failure", "decide_import"]


def decide_import(seen: SeenImport, now: datetime, policy: Policy) -> Decision[ImportStatus]:
    """Never raises; the whole wanted status of the import, and what is to be done."""
    found, spec = seen.object, seen.object.spec
    status = begin(found, seen.project)
    if found.meta.deleting:
        return Decision(status=found.status, because="the import is being deleted; its project sweeps after it")
    if found.status.terminal:
        return decide_cleanup(seen, status, now, policy)
    if spec is None:
        return failed(seen, status, Failure(Reason.INVALID_SPEC, found.spec_error or "spec: cannot be read"), now)
    if (unsupported := find_unsupported_import(spec, policy.uploads)) is not None:
        return failed(seen, status, unsupported, now)
    if found.status.state is ImportState.RUNNING:
        return decide_running(seen, status, spec, now, policy)
    if spec.cancel:
        return cancelled(seen, status, now)
    return decide_waiting(seen, status, spec, now, policy)


def decide_away(seen: SeenImport, failure: Failure, now: datetime, policy: Policy) -> Decision[ImportStatus]:
    """A server could not be asked while acting: said in the conditions, and tried again."""
    status = begin(seen.object, seen.project)
    if seen.object.status.terminal:
        return Decision(status=seen.object.status, look_again_after=policy.retry_interval, because=failure.message)
    move = running if status.state is ImportState.RUNNING else pending
    return move(seen, status, failure.reason, failure.message, now, policy.retry_interval)


def decide_failure(seen: SeenImport, failure: Failure, now: datetime) -> Decision[ImportStatus]:
    """An action came back with a final failure: the import ends with it."""
    return failed(seen, begin(seen.object, seen.project), failure, now)
