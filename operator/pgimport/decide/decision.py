"""Types of a decision: the next status, the actions, when to reconcile again, and which other objects to wake."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from pgimport.decide.conditions import ConditionSet, with_conditions
from pgimport.decide.wake_targets import WakeTarget
from pgimport.model.observations import ApiServerEndpoint, OrphanedJob
from pgimport.model.project_status import ProjectStatus
from pgimport.model.reasons import Reason
from pgimport.model.resources import ImportOwner
from pgimport.model.result import SourceInfo
from pgimport.model.schedule_status import ScheduleStatus
from pgimport.model.status import ImportStatus, PreviewStatus

StatusT = TypeVar("StatusT", ImportStatus, PreviewStatus, ProjectStatus, ScheduleStatus)
IMMEDIATELY = timedelta(0)


@dataclass(frozen=True, slots=True)
class ClaimTarget:
    """Writes this import's uid into its preview's status.activeImport, unless it holds another uid."""


@dataclass(frozen=True, slots=True)
class ReleaseTarget:
    """Removes this import's uid from its preview's status.activeImport."""


@dataclass(frozen=True, slots=True)
class CreateJob:
    """Creates the Secret with the seed, then the Job."""

    remaining_attempts: int


@dataclass(frozen=True, slots=True)
class SignUpload:
    """Replaces the signed URL of the upload in the Job's Secret by a new one."""


@dataclass(frozen=True, slots=True)
class PrepareShadow:
    """Creates the attempt's role and shadow database with the source's properties, and opens the gate."""

    pod_uid: str
    source: SourceInfo


@dataclass(frozen=True, slots=True)
class StoreReport:
    """Writes an attempt's report into ConfigMaps of the import, and deletes the surplus ones of an earlier attempt."""

    parts: tuple[str, ...] = field(repr=False)
    earlier_parts: int = 0


@dataclass(frozen=True, slots=True)
class DropAttempt:
    """Ends the attempt's sessions and drops its database and its role."""

    pod_uid: str


@dataclass(frozen=True, slots=True)
class Swap:
    """Renames the target away and the verified shadow to the target's name."""

    pod_uid: str


@dataclass(frozen=True, slots=True)
class OpenTarget:
    """Allows connections to the target again, which an interrupted swap had disallowed."""


@dataclass(frozen=True, slots=True)
class DropReplaced:
    """Drops the database and the role that the swap replaced."""

    pod_uid: str


@dataclass(frozen=True, slots=True)
class StopJob:
    """Ends the Job's pods. The Job stays, so that its logs can be read."""


@dataclass(frozen=True, slots=True)
class DeleteJob:
    """Deletes the Job with its pods. A new Job may follow."""


@dataclass(frozen=True, slots=True)
class SetJobTTL:
    """Sets the Job's ttlSecondsAfterFinished."""

    seconds: int


@dataclass(frozen=True, slots=True)
class DeleteJobSecret:
    """Deletes the Secret with the seed."""


@dataclass(frozen=True, slots=True)
class DeleteScratchClaims:
    """Deletes the PersistentVolumeClaims of these pods' scratch volumes, which hold the unmasked dump."""

    pods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeleteObject:
    """Deletes the import itself, if it is ephemeral."""


@dataclass(frozen=True, slots=True)
class SetFinalizer:
    """Adds the operator's finalizer or removes it."""

    present: bool


@dataclass(frozen=True, slots=True)
class ClaimServer:
    """Makes sure that the Project's status.inUse is true before a database is created on its server."""


@dataclass(frozen=True, slots=True)
class EnsurePreview:
    """Creates the connection Secret, the role and the database, as far as they are missing.

    With `recreate`, the database with this OID is dropped first. If `oid` is None, any database of the name is dropped.
    """

    recreate: bool = False
    oid: int | None = None


@dataclass(frozen=True, slots=True)
class BeginCopy:
    """Creates the connection Secret, then begins to copy another preview's database in the background."""

    number: int  # counts the copies of the preview
    disconnect: bool = False  # end the sessions in the source


@dataclass(frozen=True, slots=True)
class CreateCloneImport:
    """Creates the import that copies the Project's primary database into a preview."""

    name: str


@dataclass(frozen=True, slots=True)
class DropPreview:
    """Drops the preview's role and the database with this OID, or any database of the name if `oid` is None."""

    oid: int | None = None


@dataclass(frozen=True, slots=True)
class DeleteUpload:
    """Deletes the uploaded file of an import that has ended, unless another import still names it."""

    key: str


@dataclass(frozen=True, slots=True)
class ObserveDatabases:
    """Makes the next reconcile of these previews of the Project read whether their databases exist."""

    previews: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EnsureRoleBindings:
    """Creates the RoleBindings of the operator and of the HTTP API in the Project's namespace."""


@dataclass(frozen=True, slots=True)
class EnsureNetworkPolicy:
    """Creates or updates the NetworkPolicy that keeps import pods away from these endpoints and metadata services."""

    api_server: tuple[ApiServerEndpoint, ...]


@dataclass(frozen=True, slots=True)
class RemoveNetworkPolicy:
    """Deletes the NetworkPolicy of import pods, which an earlier configuration may have created."""


@dataclass(frozen=True, slots=True)
class SetConnectionLimits:
    """Sets the CONNECTION LIMIT of the owner roles of previews."""

    roles: tuple[str, ...]
    limit: int


@dataclass(frozen=True, slots=True)
class DropOrphanedObjects:
    """Drops databases and roles that carry the Project's mark and whose owner is gone."""


@dataclass(frozen=True, slots=True)
class DeleteOrphanedJobs:
    """Deletes Jobs that no import needs any more, with their pods and Secrets."""

    jobs: tuple[OrphanedJob, ...]


@dataclass(frozen=True, slots=True)
class DeleteImports:
    """Deletes imports that have ended, because the Project's spec.history does not keep them."""

    imports: tuple[ImportOwner, ...]


@dataclass(frozen=True, slots=True)
class CreateScheduledImport:
    """Creates an import from the importTemplate of its schedule."""

    name: str


@dataclass(frozen=True, slots=True)
class CancelImport:
    """Sets spec.cancel of an import that its schedule replaces."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class DeleteImport:
    """Deletes an ended import that exceeds a history limit of its schedule. The data in its target stays."""

    name: str
    uid: str


Action = (
    ClaimTarget
    | ReleaseTarget
    | CreateJob
    | SignUpload
    | PrepareShadow
    | StoreReport
    | DropAttempt
    | Swap
    | OpenTarget
    | DropReplaced
    | StopJob
    | DeleteJob
    | SetJobTTL
    | DeleteJobSecret
    | DeleteScratchClaims
    | DeleteObject
    | SetFinalizer
    | ClaimServer
    | EnsurePreview
    | BeginCopy
    | CreateCloneImport
    | DropPreview
    | DeleteUpload
    | ObserveDatabases
    | EnsureRoleBindings
    | EnsureNetworkPolicy
    | RemoveNetworkPolicy
    | SetConnectionLimits
    | DropOrphanedObjects
    | DeleteOrphanedJobs
    | DeleteImports
    | CreateScheduledImport
    | CancelImport
    | DeleteImport
)


@dataclass(frozen=True, slots=True)
class Event:
    """An event about something that the status does not show."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision(Generic[StatusT]):
    """Next status of an object and the actions that lead to it.

    The loop carries out `actions` in order. It posts `event` and writes `status` only if all of them succeed.
    """

    status: StatusT
    message: str  # for the log and the event about a change of the status
    actions: tuple[Action, ...] = ()
    requeue_after: timedelta | None = None  # None: not before the next event
    event: Event | None = None  # besides the one about a change of the status
    wake: tuple[WakeTarget, ...] = ()  # other objects to reconcile once the status is written


def build_decision(
    status: StatusT,
    conditions: ConditionSet,
    now: datetime,
    requeue_after: timedelta | None,
    actions: tuple[Action, ...] = (),
) -> Decision[StatusT]:
    """Builds a decision whose status has these conditions."""
    return Decision(
        status=with_conditions(status, conditions, now),
        message=conditions.message,
        actions=actions,
        requeue_after=requeue_after,
    )
