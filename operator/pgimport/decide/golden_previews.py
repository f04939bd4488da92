"""Decides what happens to a golden preview: pending until an import has filled it, then ready. It never expires.

What the database contains is read from the server. An import that was deleted right after its swap has told nobody.
"""

from datetime import datetime

from pgimport.decide.conditions import in_progress, ready
from pgimport.decide.decision import IMMEDIATELY, ClaimServer, Decision, EnsurePreview, build_decision
from pgimport.decide.observed_objects import ObservedPreview
from pgimport.decide.preview_transitions import delay_reset, find_interval, in_state, refuse_future_dates
from pgimport.model.policy import Policy
from pgimport.model.preview_spec import PreviewSpec
from pgimport.model.reasons import Reason
from pgimport.model.status import PreviewState, PreviewStatus

NO_DATA = in_progress(Reason.NO_DATA, "The golden preview has no data yet. Import into it to make it ready.")
HAS_DATA = ready(Reason.READY, "The golden preview has data and can be copied.")


def decide_golden_preview(
    observed: ObservedPreview, spec: PreviewSpec, status: PreviewStatus, now: datetime, policy: Policy
) -> Decision[PreviewStatus]:
    """Decides about a golden preview whose Project is ready: its creation, its reset, or its state."""
    content, claimed = observed.content, status.active_import is not None
    reset_due = spec.reset_due(status.reset_at, now)
    if reset_due and claimed:
        return delay_reset(status, now, policy)
    # An import that was deleted during its swap may have left the database without ALLOW_CONNECTIONS.
    abandoned = observed.object.status.active_import is not None and not claimed
    if reset_due or content is None or not content.exists or abandoned:
        return _ensure(observed, spec, status, now, reset_due=reset_due)
    shown = status.model_copy(update={"data_as_of": content.data_as_of})
    state, conditions = (PreviewState.READY, HAS_DATA) if content.imported else (PreviewState.PENDING, NO_DATA)
    conditions = refuse_future_dates(spec, now) or conditions
    return build_decision(in_state(shown, state), conditions, now, find_interval(spec, now))


def _ensure(
    observed: ObservedPreview, spec: PreviewSpec, status: PreviewStatus, now: datetime, *, reset_due: bool
) -> Decision[PreviewStatus]:
    """Creates the database, empties it, or opens it again. The next reconcile reads what it contains."""
    item = observed.object
    ensure = EnsurePreview(reset_due and status.database is not None, observed.database_oid if reset_due else None)
    created = status.model_copy(
        update={
            "database": item.database,
            "role": item.role,
            "reset_at": spec.reset_at if reset_due else status.reset_at,
            "data_as_of": None if ensure.recreate else status.data_as_of,
        }
    )
    lost = status.state is PreviewState.READY and observed.content is not None and not observed.content.exists
    state = PreviewState.PENDING if ensure.recreate or lost else status.state
    conditions = in_progress(Reason.PENDING, "The operator prepares the database.")
    if lost and not ensure.recreate:
        message = (
            f"Database {item.database} no longer exists on the target server. The operator creates it again, empty."
        )
        conditions = in_progress(Reason.DATABASE_GONE, message)
    return build_decision(in_state(created, state), conditions, now, IMMEDIATELY, (ClaimServer(), ensure))
