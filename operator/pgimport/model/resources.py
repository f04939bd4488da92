"""Defines our custom resources as plain values, as they were read from Kubernetes."""

from dataclasses import dataclass, field
from datetime import datetime

from pgimport.model.import_spec import ImportSpec
from pgimport.model.names import connection_secret_name, owner_role_name, preview_database_name
from pgimport.model.preview_spec import PreviewSpec
from pgimport.model.project_spec import ProjectSpec
from pgimport.model.project_status import ProjectStatus
from pgimport.model.schedule_spec import ScheduleSpec
from pgimport.model.schedule_status import ScheduleStatus
from pgimport.model.status import ImportState, ImportStatus, PreviewState, PreviewStatus


@dataclass(frozen=True, slots=True)
class ResourceKey:
    """Identifies a resource to reconcile. The namespace of a Project is empty."""

    kind: str  # plural name of the resource: names.PROJECTS, PREVIEWS, IMPORTS or SCHEDULES
    namespace: str
    name: str

    def __str__(self) -> str:
        return "/".join(part for part in (self.kind, self.namespace, self.name) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectMeta:
    """Metadata of an object that decisions need."""

    name: str
    namespace: str
    uid: str
    resource_version: str
    generation: int
    created_at: datetime
    deleting: bool = False
    deletion_requested_at: datetime | None = None
    finalizers: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    owner_uids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportObject:
    """PostgresImport. If the spec is invalid, `spec` is None and `spec_error` names the field and value."""

    meta: ObjectMeta
    spec: ImportSpec | None
    spec_error: str | None = None
    status: ImportStatus = field(default_factory=ImportStatus)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOwner:
    """A PostgresImport as the owner of databases, roles and a Job. It may have ended long ago."""

    name: str
    uid: str
    project: str  # empty: the spec names none
    cleaned_up: bool  # then it owns nothing any more
    ended_at: datetime | None = None
    removable: bool = False  # it has ended, is cleaned up and not being deleted, and its uploaded file is gone
    state: ImportState | None = None
    dry_run: bool = False
    undelivered: bool = False  # it has a pending delivery to a webhook


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewObject:
    """PreviewDatabase. See ImportObject for `spec_error`.

    The names are computed. Those in the status only show them: whoever may write a status could put other names there.
    """

    meta: ObjectMeta
    spec: PreviewSpec | None
    spec_error: str | None = None
    status: PreviewStatus = field(default_factory=PreviewStatus)

    @property
    def golden(self) -> bool:
        """Whether the preview only holds data to copy from, and nobody may log in."""
        return self.spec is not None and self.spec.golden

    @property
    def state(self) -> PreviewState:
        """The state that users see, also of an object that the operator has not seen yet or that is being deleted."""
        return PreviewState.DELETING if self.meta.deleting else self.status.state or PreviewState.PENDING

    @property
    def database(self) -> str:
        """Name of the preview's database, whether it exists or not. It never changes."""
        return preview_database_name(self.spec.project if self.spec else "", self.meta.name, self.meta.uid)

    @property
    def role(self) -> str:
        """Name of the role that owns the database."""
        return owner_role_name(self.database)

    @property
    def connection_secret(self) -> str:
        """Name of the Secret from which users read how to connect."""
        return connection_secret_name(self.meta.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectObject:
    """Project. See ImportObject for `spec_error`."""

    meta: ObjectMeta
    spec: ProjectSpec | None
    spec_error: str | None = None
    status: ProjectStatus = field(default_factory=ProjectStatus)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleObject:
    """PostgresImportSchedule. See ImportObject for `spec_error`."""

    meta: ObjectMeta
    spec: ScheduleSpec | None
    spec_error: str | None = None
    status: ScheduleStatus = field(default_factory=ScheduleStatus)
