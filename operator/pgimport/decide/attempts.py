"""Derives attempts from pods: which pods count, how each ended, and what the last one means for the import."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pgimport.model.observations import ObservedContainer, ObservedJob, ObservedPod
from pgimport.model.reasons import EXIT_OK, EXIT_TERMINATED, Failure, Reason, find_reason_by_exit_code
from pgimport.model.result import WorkerResult
from pgimport.model.status import Attempt

HISTORY_LIMIT = 20  # at most 10 attempts and 10 disruptions
PREEMPTED_LIMIT = 5  # further ones; a queue may preempt an import any number of times
# Characters of an error and of an output in attemptHistory. The status has the last attempt's full texts.
ERROR_LIMIT, TAIL_LIMIT = 500, 400


@dataclass(frozen=True, slots=True, kw_only=True)
class PodOutcome:
    """How a pod ended. If there is no failure, the pod did all its work, and `result` is its report."""

    exit_code: int | None = None
    failure: Failure | None = None
    result: WorkerResult | None = None


def current_pod(pods: Sequence[ObservedPod]) -> ObservedPod | None:
    """Returns the newest pod that neither has ended nor is being deleted."""
    return next((pod for pod in reversed(pods) if not pod.has_ended and not pod.deleting), None)


def pod_at_work(pods: Sequence[ObservedPod]) -> ObservedPod | None:
    """Returns the current pod, or else a pod that is being deleted. On a dead node, deletion never ends by itself."""
    return current_pod(pods) or next((pod for pod in reversed(pods) if not pod.has_ended), None)


def last_ended_pod(pods: Sequence[ObservedPod]) -> ObservedPod | None:
    """Returns the newest pod that has ended."""
    return next((pod for pod in reversed(pods) if pod.has_ended), None)


def pod_outcome(pod: ObservedPod) -> PodOutcome:
    """Returns the outcome of a pod that has ended.

    The container's own result counts first, then a disruption, then the exit code, then the pod's status.
    """
    container = _last_container(pod)
    if container is not None and container.exit_code == EXIT_OK and container.result is not None:
        # If the pod was disrupted, it had already done its work. Kubernetes counts it as succeeded, too.
        return PodOutcome(exit_code=EXIT_OK, result=container.result)
    if pod.disrupted:
        message = f"pod {pod.name} was disrupted: {pod.message or pod.reason or 'evicted'}"
        exit_code = container.exit_code if container else None
        return PodOutcome(exit_code=exit_code, failure=Failure(Reason.DISRUPTED, message))
    if container is None or container.exit_code is None:
        return PodOutcome(failure=_pod_failure(pod))
    if container.exit_code == EXIT_OK:
        failure = Failure(Reason.RESULT_LOST, f"pod {pod.name} ended without leaving a result")
        return PodOutcome(exit_code=EXIT_OK, failure=failure)
    failure = _container_failure(pod, container, container.exit_code)
    return PodOutcome(exit_code=container.exit_code, failure=failure, result=container.result)


def _last_container(pod: ObservedPod) -> ObservedContainer | None:
    """Returns the container whose end is the end of the pod. A dry run has no import container."""
    preflight = pod.preflight
    if preflight is not None and preflight.ended and (preflight.exit_code != EXIT_OK or pod.import_ is None):
        return preflight
    return pod.import_ if pod.import_ is not None and pod.import_.ended else None


def _container_failure(pod: ObservedPod, container: ObservedContainer, exit_code: int) -> Failure:
    if container.result is not None and container.result.failure is not None:
        return container.result.failure.to_failure()
    if pod.reason == "Evicted":
        return _pod_failure(pod)
    if container.ended_reason == "OOMKilled":
        message = f"container {container.name} of pod {pod.name} ran out of memory"
        return Failure(Reason.WORKER_OUT_OF_MEMORY, message)
    if exit_code == EXIT_TERMINATED or pod.deleting:
        return Failure(Reason.POD_GONE, f"pod {pod.name} was terminated before its work was done")
    words = _describe_end(container)
    if container.ended_reason == "ContainerStatusUnknown":  # its node was restarted; the exit code 137 is made up
        return Failure(Reason.POD_GONE, f"pod {pod.name} ended before its work was done{words}")
    message = f"container {container.name} of pod {pod.name} ended with exit code {exit_code} and no result{words}"
    # A memory limit may be too low even for the start of a container. Only the message of the runtime says so.
    no_memory = container.ended_message is not None and "OOM-killed" in container.ended_message
    return Failure(Reason.WORKER_OUT_OF_MEMORY if no_memory else find_reason_by_exit_code(exit_code), message)


def _describe_end(container: ObservedContainer) -> str:
    """Returns what Kubernetes says about the end of a container, to follow our own words."""
    reason = container.ended_reason if container.ended_reason not in ("Completed", "Error") else None
    words = ": ".join(part for part in (reason, container.ended_message) if part)
    return f": {words}" if words else ""


def _pod_failure(pod: ObservedPod) -> Failure:
    """Returns the failure of a pod whose containers have no exit code."""
    message = pod.message or pod.reason or pod.broken_by or "it has no container status"
    lowered = message.lower()
    if "emptydir" in lowered or "ephemeral" in lowered:
        return Failure(Reason.SCRATCH_FULL, f"pod {pod.name} was evicted: {message}")
    return Failure(Reason.POD_GONE, f"pod {pod.name} ended before its work was done: {message}")


def merge_attempts(
    history: Sequence[Attempt], pods: Sequence[ObservedPod], now: datetime, job: ObservedJob | None
) -> list[Attempt]:
    """Returns the history, updated from the pods of the Job. An attempt whose pod vanished gets the reason PodGone.

    Numbers the attempts anew. An attempt that a disruption or a queue ended has the number 0 and does not count.
    """
    by_uid = {pod.uid: pod for pod in pods}
    recorded = {attempt.pod_uid for attempt in history}
    attempts = [_update(attempt, by_uid.get(attempt.pod_uid), now, job) for attempt in history]
    new = [pod for pod in pods if pod.uid not in recorded and not _is_preempted(pod, pod.created_at, job)]
    attempts += [_update(_new_attempt(pod), pod, now, job) for pod in new]
    numbered, number = [], 0
    for attempt in attempts:
        counts = attempt.reason not in (Reason.DISRUPTED, Reason.PREEMPTED)
        number += counts
        numbered.append(attempt.model_copy(update={"number": number if counts else 0}))
    return _limit(numbered)


def _limit(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Drops the oldest attempts."""
    preempted = [attempt for attempt in attempts if attempt.reason == Reason.PREEMPTED][-PREEMPTED_LIMIT:]
    others = [attempt for attempt in attempts if attempt.reason != Reason.PREEMPTED][-HISTORY_LIMIT:]
    kept = {attempt.pod_uid for attempt in (*preempted, *others)}
    return [attempt for attempt in attempts if attempt.pod_uid in kept]


def preempted_pods(attempts: Sequence[Attempt]) -> set[str]:
    """Returns the uids of the pods that a queue ended."""
    return {attempt.pod_uid for attempt in attempts if attempt.reason == Reason.PREEMPTED}


def without_preempted(
    pods: Sequence[ObservedPod], history: Sequence[Attempt], job: ObservedJob | None
) -> tuple[ObservedPod, ...]:
    """Returns the pods without those that a queue preempted. Their shadows are gone, so their ends mean nothing."""
    ended = preempted_pods(history)
    return tuple(pod for pod in pods if pod.uid not in ended and not _is_preempted(pod, pod.created_at, job))


def _is_preempted(pod: ObservedPod | None, started_at: datetime | None, job: ObservedJob | None) -> bool:
    """Tells whether a pod ends, or is gone, because its Job was suspended.

    Kubernetes then deletes the pods that have not ended. The Job may run again already: then it started after the pod.
    Both times are Kubernetes' own. A pod that ended by itself just before has a result, which counts.
    """
    if job is None or (pod is not None and pod.has_ended and not _was_stopped(pod)):
        return False
    if job.suspended:
        return True
    gone = pod is None or pod.deleting
    return gone and started_at is not None and job.started_at is not None and started_at < job.started_at


def _was_stopped(pod: ObservedPod) -> bool:
    failure = pod_outcome(pod).failure
    return pod.deleting and failure is not None and failure.reason is Reason.POD_GONE


def _new_attempt(pod: ObservedPod) -> Attempt:
    return Attempt(number=0, pod=pod.name, pod_uid=pod.uid, started_at=pod.started_at or pod.created_at)


def _update(attempt: Attempt, pod: ObservedPod | None, now: datetime, job: ObservedJob | None) -> Attempt:
    if attempt.ended_at is not None or attempt.reason is not None:
        return attempt
    if _is_preempted(pod, pod.created_at if pod is not None else attempt.started_at, job):
        failure = Failure(Reason.PREEMPTED, f"a queue suspended the import's Job, which ended pod {attempt.pod}")
        return _end(attempt, PodOutcome(failure=failure), now)
    if pod is None:
        failure = Failure(Reason.POD_GONE, f"pod {attempt.pod} was deleted before it ended")
        return _end(attempt, PodOutcome(failure=failure), now)
    if not pod.has_ended:
        return attempt
    container = _last_container(pod)
    # If no container status has an end time, startTimeout of the next pod counts from now.
    return _end(attempt, pod_outcome(pod), container.ended_at if container and container.ended_at else now)


def _end(attempt: Attempt, outcome: PodOutcome, ended_at: datetime) -> Attempt:
    failure = outcome.failure
    return attempt.model_copy(
        update={
            "ended_at": ended_at,
            "exit_code": outcome.exit_code,
            "reason": (failure.reason if failure else Reason.COMPLETED).value,
            "error": failure.message[:ERROR_LIMIT] if failure else None,
            "hint": failure.hint or None if failure else None,
            "last_stdout": _tail(outcome.result.stdout_tail if outcome.result else None),
            "last_stderr": _tail(outcome.result.stderr_tail if outcome.result else None),
            "retry_classification": failure.classification if failure else None,
        }
    )


def end_open_attempts(attempts: Sequence[Attempt], failure: Failure, ended_at: datetime) -> list[Attempt]:
    """Returns the history with no open attempt: one that has not ended when its import ends never shows its own end."""
    return [
        _end(attempt, PodOutcome(failure=failure), ended_at)
        if attempt.ended_at is None and attempt.reason is None
        else attempt
        for attempt in attempts
    ]


def _tail(text: str | None) -> str | None:
    return text[-TAIL_LIMIT:] if text else None


def count_attempts(attempts: Sequence[Attempt]) -> int:
    """Counts the attempts that were begun, without those that a disruption or a queue ended."""
    return max((attempt.number for attempt in attempts), default=0)


def count_disruptions(attempts: Sequence[Attempt]) -> int:
    """Counts the attempts that a disruption ended."""
    return sum(attempt.reason == Reason.DISRUPTED for attempt in attempts)
