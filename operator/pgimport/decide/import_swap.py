"""The last step of an import: a verified shadow takes the target's place, whatever the clock says."""

from datetime import datetime

from pgimport.decide.decision import IMMEDIATELY, Decision, OpenTarget, Swap
from pgimport.decide.import_transitions import cancelled, completed, failed, running
from pgimport.decide.observed import ObservedImport
from pgimport.model.observations import Unreachable
from pgimport.model.policy import Policy
from pgimport.model.reasons import Failure, Reason
from pgimport.model.spec import ImportSpec
from pgimport.model.status import ImportPhase, ImportStatus, Progress


def decide_swap(
    observed: ObservedImport, status: ImportStatus, spec: ImportSpec, now: datetime, policy: Policy
) -> Decision[ImportStatus]:
    """`pg_database` says where a swap stopped: the target's name with the shadow's OID means done.

    A cancel is obeyed until the OID is written, which is when the swap begins.
    """
    shadow, facts = status.shadow, observed.swap
    assert shadow is not None  # noqa: S101 (the caller's condition)
    if isinstance(facts, Unreachable):
        return running(observed, status, facts.failure.reason, facts.failure.message, now, policy.retry_interval)
    if facts is None:  # nobody knows the server
        message = f"the copy is verified: its swap waits for Project {spec.project}"
        return running(observed, status, Reason.PROJECT_NOT_READY, message, now, policy.retry_interval)
    if shadow.oid is not None and facts.target_oid == shadow.oid:
        moved = status.model_copy(update={"progress": _finished(status, now)})
        return completed(observed, moved, "imported, verified and put in place", now)
    if not facts.target_open:
        # Shut, nobody can look into it, its owner cannot work, and whatever ends this import now would leave it so.
        message = "a swap was interrupted: the target is opened, and looked at again"
        return running(observed, status, Reason.RUNNING, message, now, IMMEDIATELY, (OpenTarget(),))
    if facts.shadow_oid is None:
        gone = Failure(Reason.RESULT_LOST, f"the verified shadow database {shadow.database} is gone from the server")
        return failed(observed, status, gone, now)
    if shadow.oid is None and spec.cancel:
        return cancelled(observed, status, now)
    preview = observed.preview
    if preview is None or preview.meta.deleting or preview.status.database is None:
        gone = Failure(Reason.TARGET_GONE, "the target PreviewDatabase was deleted before the swap")
        return failed(observed, status, gone, now)
    if isinstance(observed.target_objects, Unreachable):
        found = observed.target_objects.failure
        return running(observed, status, found.reason, found.message, now, policy.retry_interval)
    if observed.target_objects:
        listed = ", ".join(observed.target_objects)
        late = Failure(
            Reason.TARGET_NOT_EMPTY,
            f"PreviewDatabase {preview.meta.name} got {listed} while the import ran; recreate is false, so it stays",
        )
        return failed(observed, status, late, now)
    if shadow.oid != facts.shadow_oid:
        marked = status.model_copy(update={"shadow": shadow.model_copy(update={"oid": facts.shadow_oid})})
        return running(observed, marked, Reason.RUNNING, "the copy is verified: the swap begins", now, IMMEDIATELY)
    message = "the copy is verified: the swap begins"
    return running(observed, status, Reason.RUNNING, message, now, IMMEDIATELY, (Swap(shadow.pod_uid),))


def _finished(status: ImportStatus, now: datetime) -> Progress:
    shown = status.progress or Progress(phase=ImportPhase.SWAP)
    return shown.model_copy(update={"phase": ImportPhase.SWAP, "percent": 100, "at": now, "eta_seconds": None})
