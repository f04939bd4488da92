"""Finds imports that are too late by our own clock.

Kubernetes does not notice a container that never starts, a process that hangs, or a dead node. Times from nodes and
from the API server are never compared with ours: their clocks may be an hour off.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pgimport.decide.attempts import pod_at_work
from pgimport.decide.observed_objects import ObservedImport
from pgimport.model.import_spec import ImportSpec
from pgimport.model.observations import EVENT_NO_PULL_KEY, ObservedJob, ObservedPod
from pgimport.model.policy import Policy
from pgimport.model.reasons import Failure, Reason
from pgimport.model.scalar_types import format_duration
from pgimport.model.status import ImportStatus, Progress, Shadow

# The Job controller waits up to six minutes before it replaces a failed pod.
BACKOFF_ALLOWANCE = timedelta(minutes=7)
# A limit is exceeded only after it. A look this much later finds it.
BEYOND_LIMIT = timedelta(seconds=1)
# Waiting reasons of a container that starts normally.
STARTING = (None, "PodInitializing", "ContainerCreating")


def find_waiting_interval(shortest: timedelta, waited: timedelta, policy: Policy) -> timedelta:
    """Returns after which time to look again at an import that has waited for `waited`.

    Events show most of what it waits for. Looks find the rest, such as a Secret or an event that was lost, after a
    tenth of the time that the import has waited anyway. So imports that wait for hours cost little.
    """
    return min(max(shortest, waited / 10), policy.longest_waiting_interval)


def find_next_look(
    observed: ObservedImport, status: ImportStatus, spec: ImportSpec, now: datetime, policy: Policy
) -> timedelta:
    """Returns after which time to look again at a running import: often while it may report progress.

    While it waits for a container, its limits are found on time. After a start of the operator, the time of the last
    change tells how long it has waited.
    """
    since = observed.waiting_since
    if since is None:
        return policy.progress_interval
    limits = [since + _find_waiting_limit(status, spec, pod_at_work(observed.pods))]
    limits += [status.started_at + spec.timeout] if status.started_at is not None else []
    remaining = [limit + BEYOND_LIMIT - now for limit in limits]
    changed_at = min(since, status.updated_at or since)
    interval = find_waiting_interval(policy.progress_interval, now - changed_at, policy)
    return min([interval, *(time for time in remaining if time > timedelta(0))])


def _find_waiting_limit(status: ImportStatus, spec: ImportSpec, pod: ObservedPod | None) -> timedelta:
    """Returns how long a running import may wait for a container to start, or for the preflight to end."""
    if _runs_preflight(pod):
        return spec.stall_timeout
    return spec.start_timeout + (BACKOFF_ALLOWANCE if pod is None and status.attempt_history else timedelta(0))


def find_pending_overdue(status: ImportStatus, spec: ImportSpec, now: datetime, obstacle: str) -> Failure | None:
    """Compares the time since pendingSince with spec.pendingTimeout. `obstacle` says what the import waits for."""
    remaining = remaining_wait(status, spec, now)
    if spec.pending_timeout is None or remaining is None or remaining > timedelta(0):
        return None
    limit = format_duration(spec.pending_timeout)
    return Failure(Reason.PENDING_TIMEOUT, f"the import did not start within spec.pendingTimeout ({limit}): {obstacle}")


def remaining_wait(status: ImportStatus, spec: ImportSpec, now: datetime) -> timedelta | None:
    """Returns how long the import may still wait, or None if it may wait without a limit."""
    if spec.pending_timeout is None or status.pending_since is None:
        return None
    return status.pending_since + spec.pending_timeout - now


def find_deadline(status: ImportStatus, spec: ImportSpec, now: datetime) -> Failure | None:
    """Compares the time since startedAt, over all attempts, with spec.timeout."""
    if status.started_at is None or now - status.started_at <= spec.timeout:
        return None
    limit = format_duration(spec.timeout)
    return Failure(Reason.DEADLINE_EXCEEDED, f"the import did not end within spec.timeout ({limit})")


def find_swap_overdue(shadow: Shadow, now: datetime, policy: Policy, obstacle: str) -> Failure | None:
    """Compares the time since the copy was verified with the swap's own limit."""
    if shadow.verified_at is None or now - shadow.verified_at <= policy.swap_limit:
        return None
    limit = format_duration(policy.swap_limit)
    return Failure(Reason.TARGET_BUSY, f"the verified copy was not swapped in within {limit}: {obstacle}")


def awaited_stage(job: ObservedJob | None, pods: Sequence[ObservedPod]) -> str | None:
    """Names what the import waits for without any progress: a container's start, or the end of the preflight.

    Returns None if there is no Job, a queue holds the Job, or the import container runs.
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
    observed: ObservedImport, status: ImportStatus, spec: ImportSpec, pod: ObservedPod | None, now: datetime
) -> Failure | None:
    """Compares the duration of a preflight with spec.stallTimeout.

    The preflight's queries have timeouts of their own, so only a hanging node or process exceeds this limit.
    """
    since = observed.waiting_since
    if not _runs_preflight(pod) or since is None or now - since <= _find_waiting_limit(status, spec, pod):
        return None
    limit = format_duration(spec.stall_timeout)
    return Failure(
        Reason.STALLED, f"no progress in phase preflight within spec.stallTimeout ({limit}){_name_lost(pod)}"
    )


def find_no_start(
    observed: ObservedImport, status: ImportStatus, spec: ImportSpec, pod: ObservedPod | None, now: datetime
) -> Failure | None:
    """Compares the time for which no container has started with spec.startTimeout."""
    if observed.waiting_since is None or _runs_preflight(pod):
        return None
    if now - observed.waiting_since <= _find_waiting_limit(status, spec, pod):
        return None
    cause = describe_lost_pod(pod) or describe_obstacle(observed, pod) or "Kubernetes gives no reason"
    limit = format_duration(spec.start_timeout)
    return Failure(Reason.START_TIMEOUT, f"no container was running within spec.startTimeout ({limit}): {cause}")


def describe_lost_pod(pod: ObservedPod | None) -> str | None:
    """Describes a pod whose deletion has not ended it, or returns None. It takes seconds, unless its node is lost."""
    if pod is None or not pod.deleting:
        return None
    return f"pod {pod.name} is being deleted, and its node has not confirmed the end of the pod"


def _name_lost(pod: ObservedPod | None) -> str:
    lost = describe_lost_pod(pod)
    return f": {lost}" if lost is not None else ""


def describe_obstacle(observed: ObservedImport, pod: ObservedPod | None) -> str | None:
    """Returns in the words of Kubernetes why no container starts, or None if it gives no reason or one has started."""
    if observed.waiting_since is None or _runs_preflight(pod):
        return None
    waiting, warning = _describe_waiting_container(pod), observed.start_warning
    if waiting is not None and warning is not None and warning.startswith(EVENT_NO_PULL_KEY):
        waiting = f"{waiting}. {warning}"  # the container only says that the registry refused the image
    return _describe_kept_pod(observed.pods) or waiting or warning


def _describe_kept_pod(pods: Sequence[ObservedPod]) -> str | None:
    """Describes a pod that has done its work but does not end. Kubernetes starts no other one before."""
    last = pods[-1] if pods else None
    if last is None or not last.has_ended or not last.kept_by:
        return None
    return f"pod {last.name} does not end, because container {last.kept_by[0]}, which others have added, still runs"


def _describe_waiting_container(pod: ObservedPod | None) -> str | None:
    for container in (pod.preflight, pod.import_) if pod else ():
        if container is not None and container.waiting_reason not in STARTING:
            return f"{container.waiting_reason}: {container.waiting_message or ''}".rstrip(": ")
    return None


def has_progressed(shown: Progress | None, logged: Progress | None) -> bool:
    """Tells whether the worker has logged a line that the status does not show yet.

    The worker's timestamp only tells two lines apart. It is never compared with our clock.
    """
    if logged is None:
        return False
    return shown is None or logged.model_copy(update={"at": shown.at, "said_at": logged.at}) != shown


def show_progress(logged: Progress, now: datetime) -> Progress:
    """Converts a logged line to the status: `at` becomes our time, `said_at` the worker's."""
    return logged.model_copy(update={"at": now, "said_at": logged.at})


def find_stall(observed: ObservedImport, status: ImportStatus, spec: ImportSpec, now: datetime) -> Failure | None:
    """Compares the time without progress with spec.stallTimeout. Time in which the operator was down does not count."""
    shown = status.progress
    if shown is None or shown.at is None or has_progressed(shown, observed.progress):
        return None
    # A time in the future was written by an operator whose clock was ahead of ours.
    since = observed.observed_since if shown.at > now else max(shown.at, observed.observed_since)
    if now - since <= spec.stall_timeout:
        return None
    limit = format_duration(spec.stall_timeout)
    lost = _name_lost(pod_at_work(observed.pods))
    return Failure(Reason.STALLED, f"no progress in phase {shown.phase.value} within spec.stallTimeout ({limit}){lost}")
