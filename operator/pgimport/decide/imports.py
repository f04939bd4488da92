"""Decides what happens to a PostgresImport: its state machine.

    (none) ──► pending ──► running ──► completed
                  ▲           │  ├───► failed
                  └─ suspend ─┘  └───► cancelled          pending ──► failed or cancelled, too
                    or queue

A terminal state never changes; only the clean-up follows. A running import takes one step in each reconcile:

1. The operator creates the Job (`status.job`).
2. A pod's preflight passes, and the operator prepares its shadow (`status.shadow`).
3. The pod completes (`shadow.verified`).
4. The operator records the shadow's OID (`shadow.oid`).
5. The operator swaps the shadow with the target.
"""

from dataclasses import replace
from datetime import datetime

from pgimport.decide.decision import Decision
from pgimport.decide.import_cleanup import decide_cleanup
from pgimport.decide.import_transitions import cancelled, failed, refresh_status
from pgimport.decide.observed_objects import ObservedImport
from pgimport.decide.pending_imports import decide_pending
from pgimport.decide.queued_imports import decide_queued, has_queued_job
from pgimport.decide.running_imports import decide_running
from pgimport.decide.unsupported_fields import find_unsupported_field
from pgimport.decide.wake_targets import wake_after_import, wake_after_removal
from pgimport.model.names import IMPORTS
from pgimport.model.policy import Policy
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import ResourceKey
from pgimport.model.status import ImportState, ImportStatus


def decide_import(observed: ObservedImport, now: datetime, policy: Policy) -> Decision[ImportStatus]:
    """Decides the whole next status of the import and what to do. Never raises for a valid observation."""
    item = observed.object
    if item.meta.deleting:
        key = ResourceKey(IMPORTS, item.meta.namespace, item.meta.name)
        message = "The import is being deleted. The reconcile of its Project drops its databases and roles."
        return Decision(status=item.status, message=message, wake=wake_after_removal(key))
    return _wake_others(observed, _decide_state(observed, now, policy))


def _decide_state(observed: ObservedImport, now: datetime, policy: Policy) -> Decision[ImportStatus]:
    item, spec = observed.object, observed.object.spec
    status = refresh_status(item, observed.project, now)
    if item.status.terminal:
        return decide_cleanup(observed, status, now, policy)
    if spec is None:
        return failed(status, Failure(Reason.INVALID_SPEC, item.spec_error or "spec: cannot be read"), now)
    unsupported = find_unsupported_field(spec, policy.uploads)
    has_job = item.status.state is ImportState.RUNNING and item.status.job is not None
    if has_job or (item.status.state is ImportState.RUNNING and unsupported is None):
        return decide_running(observed, status, spec, now, policy)
    if spec.cancel:
        return cancelled(status, now)
    if has_queued_job(item.status, observed.job) and not spec.suspend:
        return decide_queued(observed, status, spec, now, policy)
    if unsupported is not None:
        return failed(status, unsupported, now)
    return decide_pending(observed, status, spec, now, policy)


def _wake_others(observed: ObservedImport, decision: Decision[ImportStatus]) -> Decision[ImportStatus]:
    return replace(decision, wake=wake_after_import(observed.object, decision.status))
