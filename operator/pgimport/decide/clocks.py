"""Our own clocks: for what Kubernetes never notices (a start that never comes, a hang, a dead node)."""

from datetime import datetime, timedelta

from pgimport.decide.seen import SeenImport
from pgimport.model.base import format_duration
from pgimport.model.facts import PodFacts
from pgimport.model.reasons import Failure, Reason
from pgimport.model.spec import ImportSpec
from pgimport.model.status import ImportStatus

# The Job controller waits up to six minutes before it replaces a failed pod.
BACKOFF_ALLOWANCE = timedelta(minutes=7)


def find_deadline(status: ImportStatus, spec: ImportSpec, now: datetime) -> Failure | None:
    """Over all attempts, from startedAt."""
    if status.started_at is None or now - status.started_at <= spec.timeout:
        return None
    return Failure(
        Reason.DEADLINE_EXCEEDED, f"the import did not end within spec.timeout ({format_duration(spec.timeout)})"
    )


def start_wait(seen: SeenImport, status: ImportStatus, pod: PodFacts | None) -> datetime | None:
    """Since when a container should be running and none is; None while one is, or none is due."""
    if seen.job is None or seen.job.suspended:
        return None
    if pod is None:
        ended = [found.ended_at for found in status.attempt_history if found.ended_at is not None]
        return max(ended) + BACKOFF_ALLOWANCE if ended else max(seen.job.created_at, seen.operator_started_at)
    started = (pod.preflight, pod.import_)
    if any(found is not None and found.running_since is not None for found in started):
        return None
    if pod.preflight is not None and pod.preflight.ended_at is not None:
        return pod.preflight.ended_at
    return pod.created_at


def find_no_start(
    seen: SeenImport, status: ImportStatus, spec: ImportSpec, pod: PodFacts | None, now: datetime
) -> Failure | None:
    since = start_wait(seen, status, pod)
    if since is None or now - since <= spec.start_timeout:
        return None
    waiting = next(
        (
            f"{found.waiting_reason}: {found.waiting_message or ''}".rstrip(": ")
            for found in ((pod.preflight, pod.import_) if pod else ())
            if found is not None and found.waiting_reason not in (None, "PodInitializing", "ContainerCreating")
        ),
        None,
    )
    why = waiting or seen.start_warning or "Kubernetes gives no reason"
    limit = format_duration(spec.start_timeout)
    return Failure(Reason.START_TIMEOUT, f"no container was running within spec.startTimeout ({limit}): {why}")


def find_stall(seen: SeenImport, status: ImportStatus, spec: ImportSpec, now: datetime) -> Failure | None:
    """Nothing moved. An operator that was away gives the worker the whole time again."""
    shown = status.progress
    if shown is None or shown.at is None:
        return None
    if seen.progress is not None and seen.progress != shown:
        return None
    if now - max(shown.at, seen.operator_started_at) <= spec.stall_timeout:
        return None
    limit = format_duration(spec.stall_timeout)
    return Failure(Reason.STALLED, f"no progress in phase {shown.phase.value} within spec.stallTimeout ({limit})")
