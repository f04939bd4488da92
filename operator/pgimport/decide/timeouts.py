"""Our own clocks: for what Kubernetes never notices (a start that never comes, a hang, a dead node)."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pgimport.decide.attempts import pod_at_work
from pgimport.decide.observed import ObservedImport
from pgimport.model.observations import ObservedJob, ObservedPod
from pgimport.model.reasons import Failure, Reason
from pgimport.model.scalar_types import format_duration
from pgimport.model.spec import ImportSpec
from pgimport.model.status import ImportStatus, Progress

# The Job controller waits up to six minutes before it replaces a failed pod.
BACKOFF_ALLOWANCE = timedelta(minutes=7)


def find_deadline(status: ImportStatus, spec: ImportSpec, now: datetime) -> Failure | None:
    """Over all attempts, from startedAt."""
    if status.started_at is None or now - status.started_at <= spec.timeout:
        return None
    return Failure(
        Reason.DEADLINE_EXCEEDED, f"the import did not end within spec.timeout ({format_duration(spec.timeout)})"
    )


def awaited_stage(job: ObservedJob | None, pods: Sequence[ObservedPod]) -> str | None:
    """What is waited for that says nothing meanwhile, as a name for this wait: a container that should be running, or
    the end of the preflight, which tells no progress. None where there is no such thing.
    """
    if job is None or job.suspended:
        return None
    pod = pod_at_work(pods)
    if pod is None:
        return f"a pod after {pods[-1].uid}" if pods else "a pod"
    if _runs_preflight(pod):
        return f"end of preflight of {pod.uid}"
    if pod.import_ is not None and pod.import_.running_since is not None:
        return None
    return f"import of {pod.uid}" if pod.preflight is not None and pod.preflight.ended else f"preflight of {pod.uid}"


def _runs_preflight(pod: ObservedPod | None) -> bool:
    return pod is not None and pod.preflight is not None and pod.preflight.running_since is not None


def find_hung_preflight(
    observed: ObservedImport, spec: ImportSpec, pod: ObservedPod | None, now: datetime
) -> Failure | None:
    """Its questions have timeouts of their own; this is for a node or a process that stands still."""
    if not _runs_preflight(pod) or observed.waiting_since is None or now - observed.waiting_since <= spec.stall_timeout:
        return None
    limit = format_duration(spec.stall_timeout)
    return Failure(Reason.STALLED, f"no progress in phase preflight within spec.stallTimeout ({limit})")


def find_no_start(
    observed: ObservedImport, status: ImportStatus, spec: ImportSpec, pod: ObservedPod | None, now: datetime
) -> Failure | None:
    """Counted by ourselves, never from what a node or the API server says: their clocks may be an hour off."""
    if observed.waiting_since is None or _runs_preflight(pod):
        return None
    pause = BACKOFF_ALLOWANCE if pod is None and status.attempt_history else timedelta(0)
    if now - observed.waiting_since <= spec.start_timeout + pause:
        return None
    waiting = next(
        (
            f"{found.waiting_reason}: {found.waiting_message or ''}".rstrip(": ")
            for found in ((pod.preflight, pod.import_) if pod else ())
            if found is not None and found.waiting_reason not in (None, "PodInitializing", "ContainerCreating")
        ),
        None,
    )
    why = waiting or observed.start_warning or "Kubernetes gives no reason"
    limit = format_duration(spec.start_timeout)
    return Failure(Reason.START_TIMEOUT, f"no container was running within spec.startTimeout ({limit}): {why}")


def has_moved(shown: Progress | None, told: Progress | None) -> bool:
    """The worker said something since. Its own time tells one line from the next, and is compared with nothing else."""
    if told is None:
        return False
    return shown is None or told.model_copy(update={"at": shown.at, "said_at": told.at}) != shown


def take_progress(told: Progress, now: datetime) -> Progress:
    """As it is shown: `at` is the moment at which we saw it."""
    return told.model_copy(update={"at": now, "said_at": told.at})


def find_stall(observed: ObservedImport, status: ImportStatus, spec: ImportSpec, now: datetime) -> Failure | None:
    """Nothing moved while we looked. An operator that could not look gives the worker the whole time again."""
    shown = status.progress
    if shown is None or shown.at is None or has_moved(shown, observed.progress):
        return None
    # A time to come was written by an operator whose clock went before ours.
    since = observed.watched_since if shown.at > now else max(shown.at, observed.watched_since)
    if now - since <= spec.stall_timeout:
        return None
    limit = format_duration(spec.stall_timeout)
    return Failure(Reason.STALLED, f"no progress in phase {shown.phase.value} within spec.stallTimeout ({limit})")
