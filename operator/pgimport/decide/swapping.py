"""The last step of an import: a verified shadow takes the target's place, whatever the clock says."""

from datetime import datetime

from pgimport.decide.decision import AT_ONCE, Decision, OpenTarget, Swap
from pgimport.decide.seen import SeenImport
from pgimport.decide.states import cancelled, completed, failed, running
from pgimport.model.facts import Unreachable
from pgimport.model.policy import Policy
from pgimport.model.reasons import Failure, Reason
from pgimport.model.spec import ImportSpec
from pgimport.model.status import ImportStatus, Phase, Progress


def decide_swap(
    seen: SeenImport, status: ImportStatus, spec: ImportSpec, now: datetime, policy: Policy
) -> Decision[ImportStatus]:
    """`pg_database` says where a swap stopped: the target's name with the shadow's OID means done.

    A cancel is obeyed until the OID is written, which is when the swap begins.
    """
    shadow, facts = status.shadow, seen.swap
    assert shadow is not None  # noqa: S101 (the caller's condition)
    if isinstance(facts, Unreachable):
        return running(seen, status, facts.failure.reason, facts.failure.message, now, policy.retry_interval)
    if facts is None:  # nobody knows the server
        because = f"the copy is verified: its swap waits for Project {spec.project}"
        return running(seen, status, Reason.PROJECT_NOT_READY, because, now, policy.retry_interval)
    if shadow.oid is not None and facts.target_oid == shadow.oid:
        moved = status.model_copy(update={"progress": _finished(status, now)})
        return completed(seen, moved, "imported, verified and put in place", now)
    if not facts.target_open:
        # Shut, nobody can look into it, its owner cannot work, and whatever ends this import now would leave it so.
        because = "a swap was interrupted: the target is opened, and looked at again"
        return running(seen, status, Reason.RUNNING, because, now, AT_ONCE, (OpenTarget(),))
    if facts.shadow_oid is None:
        gone = Failure(Reason.RESULT_LOST, f"the verified shadow database {shadow.database} is gone from the server")
        return failed(seen, status, gone, now)
    if shadow.oid is None and spec.cancel:
        return cancelled(seen, status, now)
    preview = seen.preview
    if preview is None or preview.meta.deleting or preview.status.database is None:
        gone = Failure(Reason.TARGET_GONE, "the target PreviewDatabase was deleted before the swap")
        return failed(seen, status, gone, now)
    if isinstance(seen.target_objects, Unreachable):
        found = seen.target_objects.failure
        return running(seen, status, found.reason, found.message, now, policy.retry_interval)
    if seen.target_objects:
        listed = ", ".join(seen.target_objects)
        late = Failure(
            Reason.TARGET_NOT_EMPTY,
            f"PreviewDatabase {preview.meta.name} got {listed} while the import ran; recreate is false, so it stays",
        )
        return failed(seen, status, late, now)
    if shadow.oid != facts.shadow_oid:
        marked = status.model_copy(update={"shadow": shadow.model_copy(update={"oid": facts.shadow_oid})})
        return running(seen, marked, Reason.RUNNING, "the copy is verified: the swap begins", now, AT_ONCE)
    because = "the copy is verified: the swap begins"
    return running(seen, status, Reason.RUNNING, because, now, AT_ONCE, (Swap(shadow.pod_uid),))


def _finished(status: ImportStatus, now: datetime) -> Progress:
    shown = status.progress or Progress(phase=Phase.SWAP)
    return shown.model_copy(update={"phase": Phase.SWAP, "percent": 100, "at": now, "eta_seconds": None})
