"""Pods in, attempts out: which ones count, how each ended, and what the last one means for the import."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pgimport.model.observations import ObservedContainer, ObservedPod
from pgimport.model.reasons import EXIT_OK, EXIT_TERMINATED, Failure, Reason, find_reason_by_exit_code
from pgimport.model.result import WorkerResult
from pgimport.model.status import Attempt

HISTORY_LIMIT = 20  # 10 attempts at most, and 10 disruptions
# Characters of an attempt's error and of each of its tails; the whole status holds the last attempt's in full.
ERROR_KEPT, TAIL_KEPT = 500, 400


@dataclass(frozen=True, slots=True, kw_only=True)
class PodOutcome:
    """How a pod ended. No failure: it did all it was asked, and `result` says so."""

    exit_code: int | None = None
    failure: Failure | None = None
    result: WorkerResult | None = None


def current_pod(pods: Sequence[ObservedPod]) -> ObservedPod | None:
    """The one that may still do its work."""
    return next((pod for pod in reversed(pods) if not pod.over and not pod.deleting), None)


def pod_at_work(pods: Sequence[ObservedPod]) -> ObservedPod | None:
    """The current one, else one that is being deleted: on a dead node that never ends by itself."""
    return current_pod(pods) or next((pod for pod in reversed(pods) if not pod.over), None)


def judge_pod(pod: ObservedPod) -> PodOutcome:
    """Of a pod that is over. A container's own words speak first, then its exit code, then the pod's fate."""
    ended = _container_that_ended_it(pod)
    if ended is not None and ended.exit_code == EXIT_OK and ended.result is not None:
        # Done before the disruption came: Kubernetes counts such a pod as succeeded, too.
        return PodOutcome(exit_code=EXIT_OK, result=ended.result)
    if pod.disrupted:
        return PodOutcome(
            exit_code=ended.exit_code if ended else None,
            failure=Failure(
                Reason.DISRUPTED, f"pod {pod.name} was disrupted: {pod.message or pod.reason or 'evicted'}"
            ),
        )
    if ended is None or ended.exit_code is None:
        return PodOutcome(failure=_fate(pod))
    if ended.exit_code == EXIT_OK:
        lost = Failure(Reason.RESULT_LOST, f"pod {pod.name} ended without leaving a result")
        return PodOutcome(exit_code=EXIT_OK, failure=lost)
    return PodOutcome(exit_code=ended.exit_code, failure=_failure(pod, ended), result=ended.result)


def _container_that_ended_it(pod: ObservedPod) -> ObservedContainer | None:
    if (
        pod.preflight is not None
        and pod.preflight.ended
        and (pod.preflight.exit_code != EXIT_OK or pod.import_ is None)
    ):
        return pod.preflight
    return pod.import_ if pod.import_ is not None and pod.import_.ended else None


def _failure(pod: ObservedPod, ended: ObservedContainer) -> Failure:
    if ended.result is not None and ended.result.failure is not None:
        return ended.result.failure.to_failure()
    if pod.reason == "Evicted":
        return _fate(pod)
    code = ended.exit_code or 0
    if ended.ended_reason == "OOMKilled":
        return Failure(Reason.WORKER_OUT_OF_MEMORY, f"container {ended.name} of pod {pod.name} ran out of memory")
    if code == EXIT_TERMINATED or pod.deleting:
        return Failure(Reason.POD_GONE, f"pod {pod.name} was told to end before its work was done")
    return Failure(
        find_reason_by_exit_code(code),
        f"container {ended.name} of pod {pod.name} ended with exit code {code} and no result",
    )


def _fate(pod: ObservedPod) -> Failure:
    message = pod.message or pod.reason or "it left no container status"
    lowered = message.lower()
    if "emptydir" in lowered or "ephemeral" in lowered:
        return Failure(Reason.SCRATCH_FULL, f"pod {pod.name} was evicted: {message}")
    return Failure(Reason.POD_GONE, f"pod {pod.name} ended from outside: {message}")


def merge_attempts(history: Sequence[Attempt], pods: Sequence[ObservedPod], now: datetime) -> list[Attempt]:
    """The history with what the pods show now; a pod that vanished unseen reads PodGone. Numbers count anew."""
    shown = {pod.uid: pod for pod in pods}
    known = {attempt.pod_uid for attempt in history}
    merged = [_update(attempt, shown.get(attempt.pod_uid), now) for attempt in history]
    merged += [
        _update(Attempt(number=0, pod=pod.name, pod_uid=pod.uid, started_at=pod.started_at or pod.created_at), pod, now)
        for pod in pods
        if pod.uid not in known
    ]
    numbered, count = [], 0
    for attempt in merged:
        counts = attempt.reason != Reason.DISRUPTED
        count += counts
        numbered.append(attempt.model_copy(update={"number": count if counts else 0}))
    return numbered[-HISTORY_LIMIT:]


def _update(attempt: Attempt, pod: ObservedPod | None, now: datetime) -> Attempt:
    if attempt.ended_at is not None or attempt.reason is not None:
        return attempt
    if pod is None:
        gone = Failure(Reason.POD_GONE, f"pod {attempt.pod} was deleted before it ended")
        return _ended(attempt, PodOutcome(failure=gone), now)
    return _ended(attempt, judge_pod(pod), now, pod) if pod.over else attempt


def _ended(attempt: Attempt, outcome: PodOutcome, now: datetime, pod: ObservedPod | None = None) -> Attempt:
    """Where no container says when it ended, the look does: the next start is counted from it."""
    ended = _container_that_ended_it(pod) if pod is not None else None
    failure = outcome.failure
    return attempt.model_copy(
        update={
            "ended_at": ended.ended_at if ended and ended.ended_at else now,
            "exit_code": outcome.exit_code,
            "reason": (failure.reason if failure else Reason.COMPLETED).value,
            "error": failure.message[:ERROR_KEPT] if failure else None,
            "hint": failure.hint or None if failure else None,
            "last_stdout": _tail(outcome.result.stdout_tail if outcome.result else None),
            "last_stderr": _tail(outcome.result.stderr_tail if outcome.result else None),
            "retry_classification": failure.classification if failure else None,
        }
    )


def _tail(text: str | None) -> str | None:
    return text[-TAIL_KEPT:] if text else None


def counted(attempts: Sequence[Attempt]) -> int:
    """Attempts begun, without those that a disruption ended."""
    return max((attempt.number for attempt in attempts), default=0)


def disruptions(attempts: Sequence[Attempt]) -> int:
    return sum(attempt.reason == Reason.DISRUPTED for attempt in attempts)
