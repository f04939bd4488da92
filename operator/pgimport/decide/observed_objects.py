"""Holds what one reconcile observed, as plain values.

None means "not read" or "does not exist". The comment at each field says which.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pgimport.model.observations import (
    ApiServerEndpoint,
    MeasuredCopy,
    ObservedContent,
    ObservedCopy,
    ObservedJob,
    ObservedPod,
    ObservedReport,
    ObservedServer,
    ObservedSwap,
    ObservedWorkload,
    OrphanedJob,
    Unreachable,
)
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import ImportObject, ImportOwner, PreviewObject, ProjectObject, ScheduleObject
from pgimport.model.status import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedImport:
    """One PostgresImport and everything that a decision about it needs."""

    object: ImportObject
    observed_since: datetime  # by our clock: reconciled without a long pause since then
    waiting_since: datetime | None = None  # by our clock: when the wait for the same container began
    project: ProjectObject | None = None  # None: does not exist
    preview: PreviewObject | None = None  # None: does not exist, or the import has no target
    other_imports: tuple[ImportObject, ...] = ()  # pending and running imports of the namespace, without this one
    missing_mount: tuple[Reason, str] | None = (
        None  # what the pod cannot mount, such as `Secret shop-source with the key url`
    )
    job: ObservedJob | None = None  # None: does not exist
    workload: ObservedWorkload | None = None  # read only while the Job is suspended; None: Kueue has none
    pods: tuple[ObservedPod, ...] = ()  # of this Job, oldest first, including remembered pods that are gone
    progress: Progress | None = None  # None: no progress was logged, or nothing runs
    report: ObservedReport | None = None  # read once for each pod that has ended; None: read already, or nothing ended
    start_warning: str | None = None  # read only if nothing has started for a while
    server: ObservedServer | Unreachable | None = None  # read only before the Job is created
    swap_refusal: Failure | None = None  # why the server would refuse the swap; read only before the Job is created
    target_objects: tuple[str, ...] | Unreachable | None = None  # read at start and swap; empty with spec.recreate
    swap: ObservedSwap | Unreachable | None = None  # read only if a shadow is verified
    copies: tuple[str, ...] = ()  # previews into which the target is being copied; read only if a shadow is verified
    shadow_bytes: int | None = None  # read while rows are copied and the Project has a limit


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedPreview:
    """One PreviewDatabase and everything that a decision about it needs."""

    object: PreviewObject
    project: ProjectObject | None = None  # None: does not exist
    position: int = 0  # from 1, among the previews that count towards limits.maxPreviews; 0: no limit, or ready
    secret_exists: bool = True  # the connection Secret
    active_import_exists: bool = False  # the import in status.activeImport exists and is not cleaned up
    # Read if a reset or an expiry is due, or if a check of the Project has missed the database. 0: it does not exist.
    database_oid: int | None = None
    clone: ImportObject | None = None  # None: status.cloneImport names no import, or it does not exist
    # Read for a golden preview that was created, and for a copy that is not complete; None: not read.
    content: ObservedContent | None = None
    source: PreviewObject | None = None  # the preview to copy; None: does not exist, or nothing is to be copied
    source_is_swapped: bool = False  # an import has a verified shadow and is about to replace the source
    copying: ObservedCopy | None = None  # None: this operator does not work on a copy


@dataclass(frozen=True, slots=True)
class HeldRole:
    """A disabled role of the Project that the operator could not drop yet."""

    name: str
    holders: tuple[str, ...]  # where something depends on it, such as `database shop`


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedProject:
    """One Project and everything that a decision about it needs."""

    object: ProjectObject
    server: ObservedServer | Unreachable | None = None  # None: not read, because the spec is invalid
    namespace_exists: bool = False
    namespace_owner: str | None = None  # name of an older Project with the same namespace
    # Read only if the installation has NetworkPolicies. None: the operator may not read it.
    api_server: tuple[ApiServerEndpoint, ...] | None = ()
    previews: int = 0
    imports: int = 0
    import_owners: tuple[ImportOwner, ...] = ()  # the imports of this Project, including those that ended
    last_copy: MeasuredCopy | None = None  # the last copy of a preview that this operator process made
    clone_imports: frozenset[str] = frozenset()  # names in status.cloneImport of the namespace's previews
    previews_without_database: tuple[str, ...] = ()  # ready ones, whose database the list of marks lacks
    previews_without_secret: tuple[str, ...] = ()  # ready ones; a check reads only some connection Secrets
    created_previews: int = 0  # with the operator's finalizer, so that each may have a database on the server
    server_objects: int | None = None  # databases and roles with the Project's mark; None: not read
    orphaned_jobs: tuple[OrphanedJob, ...] = ()
    orphaned_objects: tuple[str, ...] = ()  # databases and roles with our mark whose owner is gone
    held_roles: tuple[HeldRole, ...] = ()
    # Owner roles of previews whose CONNECTION LIMIT is not that of the spec.
    roles_with_another_limit: tuple[str, ...] = ()
    # The error of the last request to each webhook since the operator started; None: the receiver accepted the event.
    webhook_results: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedSchedule:
    """One PostgresImportSchedule and everything that a decision about it needs."""

    object: ScheduleObject
    project: ProjectObject | None = None  # None: does not exist
    imports: tuple[ImportObject, ...] = ()  # that belong to the schedule
    target: PreviewObject | None = None  # None: does not exist, or the imports have no target
