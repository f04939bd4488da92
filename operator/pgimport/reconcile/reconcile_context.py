"""Values that every reconcile of this process shares: clients, policy, history and locks."""

import threading
from dataclasses import dataclass, field

from pgimport.kubernetes_client.api_client import KubernetesClient
from pgimport.kubernetes_client.resource_lists import DirectLists, ResourceLists
from pgimport.metrics.operator_metrics import OperatorMetrics
from pgimport.model.policy import Policy
from pgimport.reconcile.background_copies import BackgroundCopies
from pgimport.reconcile.background_drops import BackgroundDrops
from pgimport.reconcile.delivery_queue import DeliveryQueue
from pgimport.reconcile.pod_history import PodHistory
from pgimport.reconcile.preview_checks import PreviewChecks
from pgimport.reconcile.reconcile_times import ReconcileTimes
from pgimport.server.circuit_breaker import CircuitBreaker
from pgimport.store.upload_store import UploadStore


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorIdentity:
    """Service accounts and ClusterRoles for the RoleBindings that the operator creates.

    If a ClusterRole is None, the operator does not create its RoleBinding.
    """

    service_account: str | None = None
    tenant_cluster_role: str | None = None
    api_service_account: str | None = None
    api_cluster_role: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileContext:
    """Everything a reconcile needs besides its key. One exists per process."""

    cluster: KubernetesClient
    lists: ResourceLists  # may lack what others wrote a moment ago; see `direct_lists`
    policy: Policy
    identity: OperatorIdentity = field(default_factory=OperatorIdentity)
    store: UploadStore | None = None
    pod_history: PodHistory = field(default_factory=PodHistory)
    reconcile_times: ReconcileTimes = field(default_factory=ReconcileTimes)
    preview_checks: PreviewChecks = field(default_factory=PreviewChecks)
    circuit_breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    drops: BackgroundDrops = field(default_factory=BackgroundDrops)
    copies: BackgroundCopies = field(default_factory=BackgroundCopies)
    deliveries: DeliveryQueue = field(default_factory=DeliveryQueue)
    metrics: OperatorMetrics = field(default_factory=OperatorMetrics)
    _start_locks: dict[str, threading.Lock] = field(default_factory=dict)
    _start_locks_lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def direct_lists(self) -> DirectLists:
        """Lists to confirm that an object is really absent from `lists`, before that has consequences."""
        return DirectLists(self.cluster)

    def start_lock(self, namespace: str) -> threading.Lock:
        """Returns the lock under which imports of a namespace start one after another."""
        with self._start_locks_lock:
            return self._start_locks.setdefault(namespace, threading.Lock())
