"""Decides the last step of an import: the verified shadow replaces the target."""

from datetime import datetime

from pgimport.decide.conditions import READY, in_progress
from pgimport.decide.decision import IMMEDIATELY, Decision, OpenTarget, Swap
from pgimport.decide.import_transitions import cancelled, completed, failed, running
from pgimport.decide.observed_objects import ObservedImport
from pgimport.decide.timeouts import find_swap_overdue
from pgimport.model.import_choices import Verify
from pgimport.model.import_spec import ImportSpec
from pgimport.model.observations import ObservedSwap, Unreachable
from pgimport.model.policy import Policy
from pgimport.model.reasons import Failure, Reason
from pgimport.model.status import ImportPhase, ImportStatus, Progress, Shadow, find_condition

VERIFIED = "The database is imported, verified and swapped in."
UNVERIFIED = "The database is imported and swapped in. It was not verified: spec.verify is none."
SWAP_BEGINS = in_progress(Reason.RUNNING, "The copy is complete. The swap begins.")


def decide_swap(
    observed: ObservedImport, status: ImportStatus, spec: ImportSpec, now: datetime, policy: Policy
) -> Decision[ImportStatus]:
    """Decides the next step of the swap. Timeouts do not apply any more.

    `pg_database` shows how far an earlier swap came: if the target has the shadow's OID, the swap is done.
    A cancel is obeyed until `shadow.oid` is written, because the swap begins then. The swap has its own limit. This
    limit does not end an import while the server is unreachable after the swap has begun, because the swap may have
    succeeded.
    """
    shadow, facts = status.shadow, observed.swap
    assert shadow is not None  # noqa: S101 (the caller has checked it)
    if shadow.oid is None and spec.cancel:
        return cancelled(status, now)
    if isinstance(facts, Unreachable):
        return _wait(status, facts.failure.reason, facts.failure.message, now, policy)
    if facts is None:
        message = f"The copy is complete. The swap waits for Project {spec.project}, which cannot be read."
        return _wait(status, Reason.PROJECT_NOT_READY, message, now, policy)
    if shadow.oid is not None and facts.target_oid == shadow.oid:
        swapped = status.model_copy(update={"progress": _finish_progress(status, now)})
        return completed(swapped, UNVERIFIED if spec.verify is Verify.NONE else VERIFIED, now)
    if not facts.target_open:
        # Open the target before any failure is returned: a failed import would never open it again.
        message = "A swap was interrupted. The operator opens the target and checks it again."
        return running(status, in_progress(Reason.RUNNING, message), now, IMMEDIATELY, (OpenTarget(),))
    if facts.shadow_oid is None:
        message = f"the verified shadow database {shadow.database} is gone from the server"
        return failed(status, Failure(Reason.RESULT_LOST, message), now)
    if (failure := _find_lost_target(observed)) is not None:
        return failed(status, failure, now)
    if observed.copies:
        return _wait_for_copies(observed, status, shadow, now, policy)
    if (late := find_swap_overdue(shadow, now, policy, _last_obstacle(status))) is not None:
        return failed(status, late, now)
    if isinstance(observed.target_objects, Unreachable):
        unreachable = observed.target_objects.failure
        return _wait(status, unreachable.reason, unreachable.message, now, policy)
    if (failure := _find_new_objects(observed)) is not None:
        return failed(status, failure, now)
    return _begin_swap(status, shadow, facts, now)


def _wait_for_copies(
    observed: ObservedImport, status: ImportStatus, shadow: Shadow, now: datetime, policy: Policy
) -> Decision[ImportStatus]:
    """Waits for copies of the target that have begun. No other one begins, and the swap's limit counts afterwards."""
    count, limit = len(observed.copies), policy.swap_limit
    if shadow.verified_at is None or now - shadow.verified_at > limit / 2:  # not each time: each write is an event
        status = status.model_copy(update={"shadow": shadow.model_copy(update={"verified_at": now})})
    copies = f"{count} copies" if count > 1 else f"the copy {observed.copies[0]}"
    message = f"The copy is complete. The swap waits for {copies} of the target to end."
    return running(status, in_progress(Reason.RUNNING, message), now, policy.retry_interval)


def _begin_swap(status: ImportStatus, shadow: Shadow, facts: ObservedSwap, now: datetime) -> Decision[ImportStatus]:
    """Records the shadow's OID. The next reconcile swaps."""
    if shadow.oid != facts.shadow_oid:
        marked = status.model_copy(update={"shadow": shadow.model_copy(update={"oid": facts.shadow_oid})})
        return running(marked, SWAP_BEGINS, now, IMMEDIATELY)
    return running(status, SWAP_BEGINS, now, IMMEDIATELY, (Swap(shadow.pod_uid),))


def _wait(status: ImportStatus, reason: Reason, message: str, now: datetime, policy: Policy) -> Decision[ImportStatus]:
    shadow = status.shadow
    late = find_swap_overdue(shadow, now, policy, message) if shadow is not None and shadow.oid is None else None
    if late is not None:
        return failed(status, late, now)
    return running(status, in_progress(reason, message), now, policy.retry_interval)


def _last_obstacle(status: ImportStatus) -> str:
    condition = find_condition(status.conditions, READY)
    return condition.message if condition is not None else "nothing is known"


def _find_lost_target(observed: ObservedImport) -> Failure | None:
    preview = observed.preview
    if preview is None or preview.meta.deleting or preview.status.database is None:
        return Failure(Reason.TARGET_GONE, "the target PreviewDatabase was deleted before the swap")
    return None


def _find_new_objects(observed: ObservedImport) -> Failure | None:
    """Returns a failure if someone created objects in the target during the import. The swap would drop them."""
    if isinstance(observed.target_objects, Unreachable) or not observed.target_objects:
        return None
    name = observed.preview.meta.name if observed.preview else ""
    return Failure(
        Reason.TARGET_NOT_EMPTY,
        f"{', '.join(observed.target_objects)} appeared in PreviewDatabase {name} during the import;"
        " recreate is false, so the database is kept",
    )


def _finish_progress(status: ImportStatus, now: datetime) -> Progress:
    progress = status.progress or Progress(phase=ImportPhase.SWAP)
    return progress.model_copy(update={"phase": ImportPhase.SWAP, "percent": 100, "at": now, "eta_seconds": None})
