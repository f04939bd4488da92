"""Simulates Kubernetes and a target server, as far as the decisions about one import can tell.

`reconcile` observes, decides and acts as the operator does. The other methods are events that the operator observes.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from tests.support.samples import (
    BORN,
    IMPORT_UID,
    a_container,
    a_copying_pod,
    a_failed_pod,
    a_failed_result,
    a_finished_pod,
    a_job,
    a_meta,
    a_pod,
    a_policy,
    a_preview,
    a_project,
    a_project_spec,
    a_ready_status,
    a_result,
    a_server,
    an_import_spec,
)

from pgimport.decide.decision import (
    Action,
    ClaimTarget,
    CreateJob,
    Decision,
    DeleteJob,
    DeleteJobSecret,
    DeleteScratchClaims,
    DropAttempt,
    DropReplaced,
    PrepareShadow,
    ReleaseTarget,
    SetJobTTL,
    StopJob,
    Swap,
)
from pgimport.decide.imports import decide_import
from pgimport.decide.observed_objects import ObservedImport
from pgimport.decide.timeouts import awaited_stage
from pgimport.model.names import attempt_names
from pgimport.model.observations import ObservedJob, ObservedPod, ObservedSwap
from pgimport.model.reasons import Failure, Reason, RetryClassification
from pgimport.model.resources import ImportObject, PreviewObject
from pgimport.model.status import ImportState, ImportStatus
from pgimport.reconcile.reconcile_times import ReconcileTimes

POLICY = a_policy()
OLD_TARGET = 100
MISSING_SOURCE = (Reason.SOURCE_SECRET_MISSING, "Secret source with the key url")


@dataclass
class Simulation:
    """Holds one import and everything that its decisions can observe or change."""

    spec: dict[str, object]
    queue: str | None = None  # of the Project
    now: datetime = BORN
    status: ImportStatus = field(default_factory=ImportStatus)
    claimant: str | None = None
    preview_is_deleting: bool = False
    source_exists: bool = True  # the Secret with the source's URL
    job: ObservedJob | None = None
    retries_left: int = 0
    secret_exists: bool = False
    pods: list[ObservedPod] = field(default_factory=list)
    shadows: dict[str, int] = field(default_factory=dict)  # database → OID
    target: int = OLD_TARGET
    replaced: bool = False
    shadow_count: int = 0
    last_decision: Decision[ImportStatus] | None = None
    reconcile_times: ReconcileTimes = field(default_factory=ReconcileTimes)

    # --- the operator ---

    def observe(self) -> ObservedImport:
        status, spec = self.status, an_import_spec(**self.spec)
        running = status.state is ImportState.RUNNING
        starting = running and status.job is None
        has_job = status.started_at is not None or status.job is not None
        verified = status.shadow is not None and status.shadow.verified
        stage = awaited_stage(self.job, self.pods) if running else None
        times = self.reconcile_times.record(IMPORT_UID, self.now, stage)
        swap = None
        if running and status.shadow is not None and status.shadow.verified:
            swap = ObservedSwap(
                target_oid=self.target,
                shadow_oid=self.shadows.get(status.shadow.database),
            )
        return ObservedImport(
            object=ImportObject(meta=a_meta(), spec=spec, status=status),
            observed_since=times.observed_since,
            waiting_since=times.waiting_since,
            project=a_project(a_project_spec(queueName=self.queue)),
            preview=None if spec.dry_run else self._preview(),
            missing_mount=None if running or self.source_exists else MISSING_SOURCE,
            job=self.job if has_job else None,
            pods=tuple(self.pods) if self.job is not None and has_job else (),
            server=a_server() if starting else None,
            target_objects=() if running and not spec.recreate and (starting or verified) else None,
            swap=swap,
        )

    def _preview(self) -> PreviewObject:
        return a_preview(status=a_ready_status(active_import=self.claimant), deleting=self.preview_is_deleting)

    def reconcile(self) -> Decision[ImportStatus]:
        decision = decide_import(self.observe(), self.now, POLICY)
        for action in decision.actions:
            self.act(action)
        self.status = decision.status
        self.last_decision = decision
        return decision

    def crash_in_reconcile(self, number: int) -> None:
        """Carries out the first actions of a decision, as an operator that is killed before it writes the status."""
        for action in decide_import(self.observe(), self.now, POLICY).actions[:number]:
            self.act(action)

    def repeat_actions(self) -> None:
        """Repeats the last actions, as an operator with an outdated view. Its status is refused as a conflict."""
        for action in self.last_decision.actions if self.last_decision is not None else ():
            self.act(action)

    def act(self, action: Action) -> None:
        match action:
            case ClaimTarget():
                assert self.claimant in (None, IMPORT_UID)
                self.claimant = IMPORT_UID
            case ReleaseTarget():
                self.claimant = None
            case CreateJob(remaining_attempts):
                self.secret_exists = not self.spec.get("dryRun", False)
                if self.job is None:
                    self.job, self.pods = a_job(created_at=self.now, queue=self.queue), []
                    self.job = replace(
                        self.job, suspended=self.queue is not None, started_at=None if self.queue else self.now
                    )
                    self.retries_left = remaining_attempts - 1
            case PrepareShadow(pod_uid):
                self.shadow_count += 1
                self.shadows.setdefault(attempt_names(pod_uid).database, OLD_TARGET + self.shadow_count)
            case DropAttempt(pod_uid):
                self.shadows.pop(attempt_names(pod_uid).database, None)
            case Swap(pod_uid):
                self.target = self.shadows.pop(attempt_names(pod_uid).database)
                self.replaced = True
            case DropReplaced():
                self.replaced = False
            case StopJob():
                assert self.job is not None
                self.job = replace(self.job, failed_reason="DeadlineExceeded")
                self.pods = [pod for pod in self.pods if pod.has_ended]
            case DeleteJob():
                self.job, self.pods = None, []
            case SetJobTTL():
                assert self.job is not None
                self.job = replace(self.job, ttl_set=True)
            case DeleteScratchClaims():
                pass
            case DeleteJobSecret():
                self.secret_exists = False
            case _:
                raise AssertionError(f"not an action on this import: {action}")

    def settle(self) -> list[Decision[ImportStatus]]:
        """Reconciles until there are no actions and the status stays the same. Returns all decisions."""
        decisions: list[Decision[ImportStatus]] = []
        for _ in range(12):
            before = self.status
            decisions.append(self.reconcile())
            if not decisions[-1].actions and self.status == before:
                return decisions
        raise AssertionError(f"not settled after 12 reconciles; the last actions are {decisions[-1].actions}")

    # --- events ---

    @property
    def at_work(self) -> ObservedPod | None:
        return next((pod for pod in self.pods if not pod.has_ended and not pod.deleting), None)

    def _put(self, pod: ObservedPod) -> None:
        self.pods = [pod if item.uid == pod.uid else item for item in self.pods]

    def pod_appears(self) -> None:
        job = self.job
        if job is None or job.complete or job.failed_reason or job.suspended:
            return
        if any(not pod.has_ended for pod in self.pods):  # podReplacementPolicy: Failed
            return
        uid = f"pod-{self.shadow_count}-{len(self.pods)}-{self.now.timestamp():.0f}"
        pod = a_pod(uid, created_at=self.now, preflight=a_container("preflight", running_since=self.now))
        self.pods.append(replace(pod, import_=None) if self.spec.get("dryRun") else pod)

    def preflight_passes(self) -> None:
        pod = self.at_work
        if pod is None or pod.preflight is None or pod.preflight.ended:
            return
        passed = a_container("preflight", exit_code=0, ended_at=self.now, result=a_result("preflight"))
        if self.spec.get("dryRun"):
            self._put(replace(pod, preflight=passed, phase="Succeeded"))
            self._complete()
        else:
            running = a_container("import", running_since=self.now)
            self._put(replace(a_copying_pod(pod.uid, preflight=passed, import_=running), created_at=pod.created_at))

    def pod_completes(self) -> None:
        pod = self.at_work
        # Without its shadow, the worker still waits at the gate.
        if pod is None or attempt_names(pod.uid).database not in self.shadows:
            return
        self._put(a_finished_pod(pod.uid, self.now, created_at=pod.created_at))
        self._complete()

    def _complete(self) -> None:
        assert self.job is not None
        self.job = replace(self.job, complete=True)

    def attempt_fails(self, reason: Reason) -> None:
        pod = self.at_work
        if pod is None:
            return
        failure = Failure(reason, "the attempt failed")
        if pod.preflight is not None and pod.preflight.ended:
            over = a_failed_pod(pod.uid, reason, created_at=pod.created_at)
        else:
            ended = a_container(
                "preflight",
                exit_code=failure.exit_code,
                ended_at=self.now,
                result=a_failed_result(reason, step="preflight"),
            )
            over = replace(pod, phase="Failed", preflight=ended)
        self._put(over)
        self._count_failure(failure.classification is RetryClassification.PERMANENT)

    def _count_failure(self, final: bool = False) -> None:
        assert self.job is not None
        if final:
            self.job = replace(self.job, failed_reason="PodFailurePolicy")
        elif self.retries_left == 0:
            self.job = replace(self.job, failed_reason="BackoffLimitExceeded")
        else:
            self.retries_left -= 1

    def pod_is_disrupted(self) -> None:
        if (pod := self.at_work) is not None:
            self._put(replace(pod, phase="Failed", disrupted=True, reason="Evicted"))

    def pod_vanishes(self) -> None:
        if (pod := self.at_work) is not None:
            self.pods.remove(pod)
            self._count_failure()

    def queue_admits(self) -> None:
        if self.job is not None and self.job.suspended:
            self.job = replace(self.job, suspended=False, started_at=self.now)

    def queue_preempts(self) -> None:
        """Suspends the Job. Kubernetes deletes its pods, which are in their grace period then."""
        if self.job is None or self.job.complete or self.job.failed_reason is not None:
            return
        self.job = replace(self.job, suspended=True, started_at=None)
        self.pods = [pod if pod.has_ended else replace(pod, deleting=True) for pod in self.pods]

    def preempted_pods_end(self, remembered: bool) -> None:
        """Ends the deleted pods. The operator remembers their ends if it has seen the events."""
        ended = a_container("import", exit_code=143, ended_at=self.now)
        stopped = [replace(pod, import_=ended) for pod in self.pods if pod.deleting and not pod.has_ended]
        self.pods = [pod for pod in self.pods if not pod.deleting] + (stopped if remembered else [])

    def job_vanishes(self) -> None:
        self.job, self.pods = None, []

    def set_option(self, name: str, value: bool) -> None:
        if name == "suspend" or value:  # the API server rejects cancel: false after true
            self.spec[name] = value

    def preview_is_deleted(self) -> None:
        self.preview_is_deleting = True

    def source_changes(self, exists: bool) -> None:
        self.source_exists = exists

    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
