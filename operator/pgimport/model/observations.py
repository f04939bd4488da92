"""Observed state of pods, Jobs and target servers, as plain values.

The packages `kubernetes_client` and `server` build them; `decide` reads them.
"""

from dataclasses import dataclass, field
from datetime import datetime

from pgimport.model.project_status import CloneMethod
from pgimport.model.reasons import Failure
from pgimport.model.result import WorkerResult

EVENT_NO_PULL_KEY = "FailedToRetrieveImagePullSecret"  # of the kubelet, if one of a pod's imagePullSecrets is missing


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedContainer:
    """Observed state of one container of a pod."""

    name: str
    running_since: datetime | None = None
    waiting_reason: str | None = None
    waiting_message: str | None = None
    ended_at: datetime | None = None
    exit_code: int | None = None
    ended_reason: str | None = None  # Completed, Error, OOMKilled, …
    ended_message: str | None = None  # of Kubernetes, if the worker left no result
    result: WorkerResult | None = None

    @property
    def ended(self) -> bool:
        return self.exit_code is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedPod:
    """Observed state of one pod of an import's Job."""

    name: str
    uid: str
    job_uid: str
    created_at: datetime
    phase: str  # Pending, Running, Succeeded, Failed, Unknown
    started_at: datetime | None = None
    deleting: bool = False
    disrupted: bool = False  # has the condition DisruptionTarget, so it does not count as an attempt
    reason: str | None = None  # Evicted, …
    message: str | None = None
    unscheduled: str | None = None  # why no node has taken it, in the scheduler's words
    preflight: ObservedContainer | None = None
    import_: ObservedContainer | None = None
    broken_by: str | None = None  # how the first container of others failed, such as an injected init container
    kept_by: tuple[str, ...] = ()  # containers of others, such as an injected sidecar, that run until they are stopped

    @property
    def has_ended(self) -> bool:
        """Says whether all containers have ended, although the phase may not show it yet.

        The pod of a dry run has no container besides the preflight.
        """
        if self.phase in ("Succeeded", "Failed"):
            return True
        first = self.preflight
        if first is not None and first.ended and (first.exit_code != 0 or self.import_ is None):
            return True
        return self.import_ is not None and self.import_.ended


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedJob:
    """Observed state of an import's Job."""

    name: str
    uid: str
    ours: bool  # its owner reference names this import, with its uid
    created_at: datetime
    queue: str | None = None  # the Kueue LocalQueue of its label
    suspended: bool = False  # the operator never suspends a Job after its creation, so a queue or a person did
    started_at: datetime | None = None  # when it last started or resumed; None: suspended, or not started yet
    complete: bool = False
    failed_reason: str | None = None  # reason of the condition FailureTarget or Failed
    failed_message: str | None = None
    ttl_set: bool = False
    deleting: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedWorkload:
    """Observed state of Kueue's Workload of a Job."""

    name: str
    message: str | None = None  # why it is not admitted, in Kueue's words; None: Kueue says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedReport:
    """The report that the containers of an ended pod logged."""

    pod_uid: str
    parts: tuple[str, ...] = field(default=(), repr=False)  # texts that each fit into a ConfigMap
    problem: str | None = None  # why the report is missing or not whole
    final: bool = True  # reading the log again would not change the problem


@dataclass(frozen=True, slots=True, order=True)
class ApiServerEndpoint:
    """An address and TCP port at which pods reach the API server: of its Service, or of one of its instances."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class OrphanedJob:
    """Job of ours whose import is gone. Its Secret has the same name."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedServer:
    """Observed state of a target server, as its admin can read it."""

    version: str  # as the server prints it, for example 17.12
    version_num: int
    creatable_extensions: frozenset[str] = frozenset()  # allowed ones that the admin can create, by the catalogs
    available_extensions: frozenset[str] = frozenset()  # all that are installed on the server
    default_locale: str | None = None  # of template0, for messages
    warnings: tuple[str, ...] = ()  # what the admin should change at the server


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedSwap:
    """Observed databases of a swap that may have started, read from `pg_database`."""

    target_oid: int | None = None
    shadow_oid: int | None = None
    target_open: bool = True  # the target accepts connections; true if it does not exist


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedContent:
    """What a preview's database holds, as the server says."""

    exists: bool = True  # whether the database exists
    imported: bool = False  # a completed import has filled it
    data_as_of: datetime | None = None  # the time of the snapshot that was imported, if it is known
    copy_number: int | None = None  # of a database that is a copy: which copy of this preview it is


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedCopy:
    """A copy into a preview's database that this operator process works on."""

    number: int  # counts the copies of the preview
    source: str | None = None  # name of the database that is copied
    started: bool = True  # False: it waits until other copies have ended
    failure: Failure | None = None  # None: it waits or runs. Otherwise it begins again after a pause.
    refused: bool = False  # the failure would be the same in a new attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredCopy:
    """How a server made a copy, and how long its CREATE DATABASE took."""

    method: CloneMethod
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreachable:
    """Server that could not be reached or queried, with the failure."""

    failure: Failure
