"""What one look at the world gave, as plain values. None means: not asked, or not there; each field says which."""

from dataclasses import dataclass
from datetime import datetime

from pgimport.model.observations import ObservedJob, ObservedPod, ObservedServer, ObservedSwap, OrphanedJob, Unreachable
from pgimport.model.reasons import Reason
from pgimport.model.resources import ImportObject, PreviewObject, ProjectObject
from pgimport.model.status import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedImport:
    """One PostgresImport and all that a decision about it needs."""

    object: ImportObject
    watched_since: datetime  # by our own clock: this process has looked at it again and again since then
    waiting_since: datetime | None = None  # by our own clock: since when it waits for the same container to run
    project: ProjectObject | None = None  # not there
    preview: PreviewObject | None = None  # not there, or no target is asked
    others: tuple[ImportObject, ...] = ()  # pending and running ones of the namespace, without this one
    missing: tuple[Reason, str] | None = None  # of what its pod mounts: `Secret shop-source with the key url`
    job: ObservedJob | None = None  # not there
    pods: tuple[ObservedPod, ...] = ()  # of this Job, oldest first, what was remembered of gone ones included
    progress: Progress | None = None  # nothing said yet, or nothing runs
    start_warning: str | None = None  # asked only when nothing has started for too long
    server: ObservedServer | Unreachable | None = None  # asked only before the Job is made
    target_objects: tuple[str, ...] | Unreachable | None = None  # asked where recreate is false, twice
    swap: ObservedSwap | Unreachable | None = None  # asked only when a shadow is verified
    shadow_bytes: int | None = None  # asked while rows arrive


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedPreview:
    """One PreviewDatabase and all that a decision about it needs."""

    object: PreviewObject
    project: ProjectObject | None = None  # not there
    count: int = 0  # previews of the namespace that are not deleted or expired, this one included
    secret: bool = True  # its connection Secret is there
    holder_alive: bool = False  # the import in status.activeImport exists and is not cleaned up yet
    database_oid: int | None = None  # asked where it is about to be dropped; 0: there is none
    clone: ImportObject | None = None  # the import in status.cloneImport is not there, or none is named


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedProject:
    """One Project and all that a decision about it needs."""

    object: ProjectObject
    server: ObservedServer | Unreachable | None = None  # not asked: the spec cannot be served
    namespace_exists: bool = False
    namespace_owner: str | None = None  # an older Project with the same namespace
    previews: int = 0
    imports: int = 0
    orphaned_jobs: tuple[OrphanedJob, ...] = ()
    orphaned_objects: tuple[str, ...] = ()  # names of databases and roles with our mark whose owner is gone
