"""What a reconcile works with: the cluster, the policy, what was remembered, and the locks."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pgimport.cluster.rest import Cluster
from pgimport.model.facts import PodFacts
from pgimport.model.policy import Policy
from pgimport.store.uploads import UploadStore

REMEMBERED_PODS = 2000  # a few hundred bytes each; a pod is of interest for minutes after its end


class Evidence:
    """The last container statuses by pod uid: pods and their messages are gone at once when a pod is deleted."""

    def __init__(self) -> None:
        self._pods: OrderedDict[str, PodFacts] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, pod: PodFacts) -> None:
        with self._lock:
            self._pods[pod.uid] = pod
            self._pods.move_to_end(pod.uid)
            while len(self._pods) > REMEMBERED_PODS:
                self._pods.popitem(last=False)

    def complete(self, job_uid: str, listed: Sequence[PodFacts]) -> list[PodFacts]:
        """The listed pods of this Job, and those remembered ones that are gone but were seen to end; oldest first."""
        there = [pod for pod in listed if pod.job_uid == job_uid]
        uids = {pod.uid for pod in there}
        with self._lock:
            gone = [pod for pod in self._pods.values() if pod.job_uid == job_uid and pod.uid not in uids and pod.over]
        return sorted([*there, *gone], key=lambda pod: (pod.created_at, pod.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """Who the operator is, for the RoleBindings that it makes for itself; None of both outside a cluster."""

    service_account: str | None = None
    tenant_cluster_role: str | None = None
    api_service_account: str | None = None
    api_cluster_role: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Made once by a door."""

    cluster: Cluster
    policy: Policy
    started_at: datetime
    rights: Rights = field(default_factory=Rights)
    store: UploadStore | None = None
    evidence: Evidence = field(default_factory=Evidence)
    # One import of a namespace starts at a time: two that see one free slot would both take it.
    _starts: dict[str, threading.Lock] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def start_lock(self, namespace: str) -> threading.Lock:
        with self._guard:
            return self._starts.setdefault(namespace, threading.Lock())
