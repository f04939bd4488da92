"""What a reconcile works with: the cluster, the policy, what was remembered, and the locks."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pgimport.kubernetes_client.api_client import KubernetesClient
from pgimport.model.observations import ObservedPod
from pgimport.model.policy import Policy
from pgimport.server.circuit_breaker import CircuitBreaker
from pgimport.store.upload_store import UploadStore

# A running import is looked at every few seconds; nobody has looked where a minute has passed.
LONGEST_PAUSE = timedelta(seconds=60)
WATCHED_IMPORTS = 10_000
REMEMBERED_PODS = 2000  # a few hundred bytes each; a pod is of interest for minutes after its end


class PodHistory:
    """The last container statuses by pod uid: pods and their messages are gone at once when a pod is deleted."""

    def __init__(self) -> None:
        self._pods: OrderedDict[str, ObservedPod] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, pod: ObservedPod) -> None:
        with self._lock:
            self._pods[pod.uid] = pod
            self._pods.move_to_end(pod.uid)
            while len(self._pods) > REMEMBERED_PODS:
                self._pods.popitem(last=False)

    def complete(self, job_uid: str, listed: Sequence[ObservedPod]) -> list[ObservedPod]:
        """The listed pods of this Job, and those remembered ones that are gone but were seen to end; oldest first."""
        there = [pod for pod in listed if pod.job_uid == job_uid]
        uids = {pod.uid for pod in there}
        with self._lock:
            gone = [pod for pod in self._pods.values() if pod.job_uid == job_uid and pod.uid not in uids and pod.over]
        return sorted([*there, *gone], key=lambda pod: (pod.created_at, pod.name))


@dataclass(frozen=True, slots=True)
class ImportTimes:
    """Of one import, by our own clock."""

    since: datetime  # looked at again and again since then
    last: datetime
    stage: str | None = None  # what it waits for
    waiting_since: datetime | None = None


class ReconcileTimes:
    """When this process looked at what: time in which nobody looked counts neither as a hang nor as a late start."""

    def __init__(self) -> None:
        self._watches: dict[str, ImportTimes] = {}

    def look(self, uid: str, now: datetime, stage: str | None) -> ImportTimes:
        """A look at this import; `stage` is what it waits for."""
        before = self._watches.get(uid)
        if before is None or not timedelta(0) <= now - before.last <= LONGEST_PAUSE:
            before = ImportTimes(now, now)
        waits = before.waiting_since if stage is not None and stage == before.stage else now
        watch = ImportTimes(before.since, now, stage, waits if stage is not None else None)
        if len(self._watches) >= WATCHED_IMPORTS:  # those that were deleted are among them
            self._watches = {one: held for one, held in self._watches.items() if now - held.last <= LONGEST_PAUSE}
        self._watches[uid] = watch
        return watch

    def forget(self, uid: str) -> None:
        self._watches.pop(uid, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorIdentity:
    """Who the operator is, for the RoleBindings that it makes for itself; None of both outside a cluster."""

    service_account: str | None = None
    tenant_cluster_role: str | None = None
    api_service_account: str | None = None
    api_cluster_role: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileContext:
    """Made once by a door."""

    cluster: KubernetesClient
    policy: Policy
    identity: OperatorIdentity = field(default_factory=OperatorIdentity)
    store: UploadStore | None = None
    pod_history: PodHistory = field(default_factory=PodHistory)
    reconcile_times: ReconcileTimes = field(default_factory=ReconcileTimes)
    circuit_breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    # One import of a namespace starts at a time: two that see one free slot would both take it.
    _starts: dict[str, threading.Lock] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def start_lock(self, namespace: str) -> threading.Lock:
        with self._guard:
            return self._starts.setdefault(namespace, threading.Lock())
