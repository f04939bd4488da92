"""Defines our custom resources as plain values: what was read of a Project, PreviewDatabase or PostgresImport."""

from dataclasses import dataclass, field
from datetime import datetime

from pgimport.model.spec import ImportSpec, PreviewSpec, ProjectSpec
from pgimport.model.status import ImportStatus, PreviewStatus, ProjectStatus


@dataclass(frozen=True, slots=True)
class ResourceKey:
    """What a work item is: which object to look at. `namespace` is empty for a Project."""

    kind: str  # the plural: names.PROJECTS, PREVIEWS, IMPORTS
    namespace: str
    name: str

    def __str__(self) -> str:
        return "/".join(part for part in (self.kind, self.namespace, self.name) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectMeta:
    """Of an object's metadata, what a decision reads."""

    name: str
    namespace: str
    uid: str
    resource_version: str
    generation: int
    created_at: datetime
    deleting: bool = False
    finalizers: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportObject:
    """One PostgresImport. `spec` is None where it cannot be read; `spec_error` names field and value."""

    meta: ObjectMeta
    spec: ImportSpec | None
    spec_error: str | None = None
    status: ImportStatus = field(default_factory=ImportStatus)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewObject:
    """One PreviewDatabase."""

    meta: ObjectMeta
    spec: PreviewSpec | None
    spec_error: str | None = None
    status: PreviewStatus = field(default_factory=PreviewStatus)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectObject:
    """One Project."""

    meta: ObjectMeta
    spec: ProjectSpec | None
    spec_error: str | None = None
    status: ProjectStatus = field(default_factory=ProjectStatus)
