"""Observed state of pods, Jobs and target servers, as plain values.

`cluster/` and `server/` measure them, `decide/` reads them.
"""

from dataclasses import dataclass
from datetime import datetime

from pgimport.model.reasons import Failure
from pgimport.model.result import WorkerResult


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedContainer:
    """One container of a pod."""

    name: str
    running_since: datetime | None = None
    waiting_reason: str | None = None
    waiting_message: str | None = None
    ended_at: datetime | None = None
    exit_code: int | None = None
    ended_reason: str | None = None  # Completed, Error, OOMKilled, …
    result: WorkerResult | None = None

    @property
    def ended(self) -> bool:
        return self.exit_code is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedPod:
    """One pod of an import's Job."""

    name: str
    uid: str
    job_uid: str
    created_at: datetime
    phase: str  # Pending, Running, Succeeded, Failed, Unknown
    started_at: datetime | None = None
    deleting: bool = False
    disrupted: bool = False  # condition DisruptionTarget: does not count as an attempt
    reason: str | None = None  # Evicted, …
    message: str | None = None
    preflight: ObservedContainer | None = None
    import_: ObservedContainer | None = None

    @property
    def over(self) -> bool:
        """Nothing of it runs any more, whatever its phase says yet. A dry run has no container but its preflight."""
        if self.phase in ("Succeeded", "Failed"):
            return True
        first = self.preflight
        if first is not None and first.ended and (first.exit_code != 0 or self.import_ is None):
            return True
        return self.import_ is not None and self.import_.ended


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedJob:
    """An import's Job."""

    name: str
    uid: str
    ours: bool  # its ownerReference is this very import
    created_at: datetime
    suspended: bool = False
    complete: bool = False
    failed_reason: str | None = None  # of the condition FailureTarget, else Failed
    failed_message: str | None = None
    failed_count: int = 0
    ttl_set: bool = False
    deleting: bool = False


@dataclass(frozen=True, slots=True)
class OrphanedJob:
    """A Job that we made and that nobody needs any more; its Secret has the same name."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedServer:
    """A target server, as its admin sees it."""

    version: str  # as the server prints it: 17.12
    version_num: int
    creatable_extensions: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedSwap:
    """What `pg_database` says of a swap that may have begun."""

    target_oid: int | None = None
    shadow_oid: int | None = None
    target_open: bool = True  # it lets sessions in; one that is not there keeps nobody out
    replaced_exists: bool = False  # the old database or the old role is still there


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreachable:
    """A server that could not be asked, and why."""

    failure: Failure
