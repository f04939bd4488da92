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
from pgimport.decide.import_cleanup import decide_cleanup
from pgimport.decide.import_transitions import begin, cancelled, failed, pending, running
from pgimport.decide.observed import ObservedImport
from pgimport.decide.pending_imports import decide_waiting
from pgimport.decide.running_imports import decide_running
from pgimport.decide.unsupported_fields import find_unsupported_import
from pgimport.model.policy import Policy
from pgimport.model.reasons import Failure, Reason
from pgimport.model.status import ImportState, ImportStatus

__all__ = ["decide_away", "decide_failure", "decide_import"]


def decide_import(observed: ObservedImport, now: datetime, policy: Policy) -> Decision[ImportStatus]:
    """Never raises; the whole wanted status of the import, and what is to be done."""
    found, spec = observed.object, observed.object.spec
    status = begin(found, observed.project)
    if found.meta.deleting:
        return Decision(status=found.status, message="the import is being deleted; its project sweeps after it")
    if found.status.terminal:
        return decide_cleanup(observed, status, now, policy)
    if spec is None:
        return failed(observed, status, Failure(Reason.INVALID_SPEC, found.spec_error or "spec: cannot be read"), now)
    if (unsupported := find_unsupported_import(spec, policy.uploads)) is not None:
        return failed(observed, status, unsupported, now)
    if found.status.state is ImportState.RUNNING:
        return decide_running(observed, status, spec, now, policy)
    if spec.cancel:
        return cancelled(observed, status, now)
    return decide_waiting(observed, status, spec, now, policy)


def decide_away(observed: ObservedImport, failure: Failure, now: datetime, policy: Policy) -> Decision[ImportStatus]:
    """A server could not be asked while acting: said in the conditions, and tried again."""
    status = begin(observed.object, observed.project)
    if observed.object.status.terminal:
        return Decision(status=observed.object.status, requeue_after=policy.retry_interval, message=failure.message)
    move = running if status.state is ImportState.RUNNING else pending
    return move(observed, status, failure.reason, failure.message, now, policy.retry_interval)


def decide_failure(observed: ObservedImport, failure: Failure, now: datetime) -> Decision[ImportStatus]:
    """An action came back with a final failure: the import ends with it."""
    return failed(observed, begin(observed.object, observed.project), failure, now)
