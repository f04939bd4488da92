"""What is to be done: the wanted status, the actions in their order, when to look again, and message."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from pgimport.model.base_models import LenientModel
from pgimport.model.observations import OrphanedJob
from pgimport.model.result import SourceInfo

StatusT = TypeVar("StatusT", bound=LenientModel)
IMMEDIATELY = timedelta(0)


@dataclass(frozen=True, slots=True)
class ClaimTarget:
    """Write this import's uid into its preview's status.activeImport, if nobody else's is there."""


@dataclass(frozen=True, slots=True)
class ReleaseTarget:
    """Take this import's uid out of its preview's status.activeImport."""


@dataclass(frozen=True, slots=True)
class CreateJob:
    """Make the Secret with the random bytes, then the Job."""

    attempts_left: int


@dataclass(frozen=True, slots=True)
class PrepareShadow:
    """Make the attempt's role and database like the source's, and open the gate."""

    pod_uid: str
    source: SourceInfo


@dataclass(frozen=True, slots=True)
class DropAttempt:
    """End the attempt's sessions, drop its database and its role."""

    pod_uid: str


@dataclass(frozen=True, slots=True)
class Swap:
    """Put the verified shadow in the target's place."""

    pod_uid: str


@dataclass(frozen=True, slots=True)
class OpenTarget:
    """Let sessions into the target again: a swap that was interrupted had shut it."""


@dataclass(frozen=True, slots=True)
class DropReplaced:
    """Drop the database and the role that a swap took away."""

    pod_uid: str


@dataclass(frozen=True, slots=True)
class StopJob:
    """End the Job's pods; the Job stays for its logs."""


@dataclass(frozen=True, slots=True)
class DeleteJob:
    """With its pods; a new one may follow."""


@dataclass(frozen=True, slots=True)
class SetJobTTL:
    """From now on the Job may go."""

    seconds: int


@dataclass(frozen=True, slots=True)
class DeleteJobSecret:
    """The random bytes are of no use any more."""


@dataclass(frozen=True, slots=True)
class DeleteObject:
    """The object itself: ephemeral ones only."""


@dataclass(frozen=True, slots=True)
class SetFinalizer:
    """Add or take away ours."""

    present: bool


@dataclass(frozen=True, slots=True)
class EnsurePreview:
    """Connection Secret, role and database; `anew` drops first what was observed there: the database with this OID."""

    anew: bool = False
    oid: int | None = None


@dataclass(frozen=True, slots=True)
class CreateCloneImport:
    """The import that brings a copy of the project's primary database into a preview."""

    name: str


@dataclass(frozen=True, slots=True)
class DropPreview:
    """Role and database: the one with this OID, and no other; None: whichever is there."""

    oid: int | None = None


@dataclass(frozen=True, slots=True)
class DeleteUpload:
    """The uploaded file of an import that has ended, unless another import names it still."""

    key: str


@dataclass(frozen=True, slots=True)
class EnsureRoleBindings:
    """The operator's RoleBinding in the Project's namespace."""


@dataclass(frozen=True, slots=True)
class DropOrphanedObjects:
    """What carries our mark and belongs to nobody any more."""


@dataclass(frozen=True, slots=True)
class DeleteOrphanedJobs:
    """Jobs that nobody needs any more, with their pods and Secrets."""

    jobs: tuple[OrphanedJob, ...]


Action = (
    ClaimTarget
    | ReleaseTarget
    | CreateJob
    | PrepareShadow
    | DropAttempt
    | Swap
    | OpenTarget
    | DropReplaced
    | StopJob
    | DeleteJob
    | SetJobTTL
    | DeleteJobSecret
    | DeleteObject
    | SetFinalizer
    | EnsurePreview
    | CreateCloneImport
    | DropPreview
    | DeleteUpload
    | EnsureRoleBindings
    | DropOrphanedObjects
    | DeleteOrphanedJobs
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision(Generic[StatusT]):
    """`actions` are carried out first, in order; the status is written only if all of them came through."""

    status: StatusT
    actions: tuple[Action, ...] = ()
    requeue_after: timedelta | None = None
    message: str
