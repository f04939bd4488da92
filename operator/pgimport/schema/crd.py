"""Builds the CustomResourceDefinitions of the four kinds from their models."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from pgimport.model import names
from pgimport.model.cel_rules import (
    IMPORT_SOURCE_RULES,
    IMPORT_SPEC_RULES,
    IMPORT_TARGET_RULES,
    IMPORT_TEMPLATE_RULES,
    PREVIEW_SPEC_RULES,
    PROJECT_PRIMARY_RULES,
    PROJECT_RULES,
    PROJECT_SPEC_RULES,
    SCHEDULE_RULES,
    SCHEDULE_SPEC_RULES,
    TERMINAL_STATUS_RULE,
)
from pgimport.model.import_spec import ImportSpec
from pgimport.model.preview_spec import PreviewSpec
from pgimport.model.project_spec import ProjectSpec
from pgimport.model.project_status import ProjectStatus
from pgimport.model.schedule_spec import ScheduleSpec
from pgimport.model.schedule_status import ScheduleStatus
from pgimport.model.status import FULLY_IMPORTED, ImportStatus, PreviewStatus
from pgimport.schema.structural_schema import Schema, build_schema

Rules = list[dict[str, str]]

# kstatus takes an object without conditions for a finished one. This status, which the API server sets when the object
# is created, tells it that the operator has not observed the object yet.
UNOBSERVED_STATUS = {"observedGeneration": -1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """Defines one column of `kubectl get`. Type and description are those of the field, unless they are given here."""

    name: str
    path: str
    type: str | None = None
    description: str | None = None

    def to_json(self, root: Schema) -> dict[str, str]:
        """Returns the printer column of a CRD with this root schema. Raises KeyError for a field that does not exist.

        A time is shown as a string: a column of type date shows only times in the past.
        """
        field = {} if self.type and self.description else find_field(root, self.path)
        return {
            "name": self.name,
            "type": self.type or str(field["type"]),
            "jsonPath": self.path,
            "description": self.description or str(field["description"]),
        }


def find_field(root: Schema, path: str) -> Schema:
    """Returns the schema of a field, for a path such as `.status.progress.percent`."""
    schema = root
    for name in path.removeprefix(".").split("."):
        schema = schema["properties"][name]
    return schema


_AGE = Column(
    name="Age",
    path=".metadata.creationTimestamp",
    type="date",
    description="The time since the object was created.",
)
_REASON = Column(
    name="Reason",
    path='.status.conditions[?(@.type=="Ready")].reason',
    type="string",
    description="The reason of the condition Ready.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Defines one custom resource: its names, models, columns and rules."""

    kind: str
    plural: str
    singular: str
    scope: str
    description: str
    spec: type[BaseModel]
    status: type[BaseModel]
    columns: tuple[Column, ...]
    short_names: tuple[str, ...]
    selectable: tuple[str, ...] = ()
    root_rules: tuple[dict[str, str], ...] = ()
    spec_rules: tuple[dict[str, str], ...] = ()
    status_rules: tuple[dict[str, str], ...] = ()
    # rules of a field of the spec, by its path
    field_rules: tuple[tuple[str, tuple[dict[str, str], ...]], ...] = ()

    @property
    def name(self) -> str:
        return f"{self.plural}.{names.GROUP}"


PROJECT = Kind(
    kind="Project",
    plural=names.PROJECTS,
    singular="project",
    scope="Cluster",
    description="Configures a tenant: the server of its databases, its namespace and its limits. The platform's admin"
    " creates it.",
    spec=ProjectSpec,
    status=ProjectStatus,
    columns=(
        Column(name="Ready", path=".status.ready"),
        Column(name="Version", path=".status.targetVersion"),
        Column(name="Namespace", path=".spec.namespace"),
        _REASON,
        _AGE,
    ),
    short_names=("pgproj",),
    root_rules=tuple(PROJECT_RULES),
    spec_rules=tuple(PROJECT_SPEC_RULES),
    field_rules=(("primary", tuple(PROJECT_PRIMARY_RULES)),),
)
PREVIEW = Kind(
    kind="PreviewDatabase",
    plural=names.PREVIEWS,
    singular="previewdatabase",
    scope="Namespaced",
    description="Provides a temporary database with its own owner role.",
    spec=PreviewSpec,
    status=PreviewStatus,
    columns=(
        Column(name="State", path=".status.state"),
        Column(name="Database", path=".status.database"),
        Column(name="DataAsOf", path=".status.dataAsOf"),
        Column(name="Expires", path=".status.expiresAt"),
        _REASON,
        _AGE,
    ),
    short_names=("pgpreview",),
    spec_rules=tuple(PREVIEW_SPEC_RULES),
)
IMPORT = Kind(
    kind="PostgresImport",
    plural=names.IMPORTS,
    singular="postgresimport",
    scope="Namespaced",
    description="Imports a PostgreSQL database into a preview database. It runs once: create a new object to import"
    " again.",
    spec=ImportSpec,
    status=ImportStatus,
    columns=(
        Column(name="State", path=".status.state"),
        Column(name="Target", path=".spec.target.previewDatabase"),
        Column(name="Attempts", path=".status.attempts"),
        Column(name="Progress", path=".status.progress.percent"),
        Column(name="DataAsOf", path=".status.dataAsOf"),
        Column(name="Skipped", path=".status.skipped"),
        Column(
            name="Full",
            path=f'.status.conditions[?(@.type=="{FULLY_IMPORTED}")].status',
            type="string",
            description="True if the target refused no object of the import.",
        ),
        _REASON,
        _AGE,
    ),
    short_names=("pgi",),
    selectable=(".status.state", ".spec.target.previewDatabase", ".spec.source.uploadKey"),
    spec_rules=tuple(IMPORT_SPEC_RULES),
    status_rules=(TERMINAL_STATUS_RULE,),
    field_rules=(("source", tuple(IMPORT_SOURCE_RULES)), ("target", tuple(IMPORT_TARGET_RULES))),
)
SCHEDULE = Kind(
    kind="PostgresImportSchedule",
    plural=names.SCHEDULES,
    singular="postgresimportschedule",
    scope="Namespaced",
    description="Creates a PostgresImport at each time of a schedule, like a CronJob creates Jobs.",
    spec=ScheduleSpec,
    status=ScheduleStatus,
    columns=(
        Column(name="Schedule", path=".spec.schedule"),
        Column(name="TimeZone", path=".spec.timeZone"),
        Column(name="Suspend", path=".spec.suspend"),
        Column(
            name="Active",
            path=".status.active[0]",
            type="string",
            description="The oldest import of this schedule that has not ended.",
        ),
        Column(name="LastSchedule", path=".status.lastScheduleTime"),
        Column(name="NextSchedule", path=".status.nextScheduleTime"),
        Column(name="DataAsOf", path=".status.dataAsOf"),
        _REASON,
        _AGE,
    ),
    short_names=("pgis",),
    root_rules=tuple(SCHEDULE_RULES),
    spec_rules=tuple(SCHEDULE_SPEC_RULES),
    field_rules=(
        ("importTemplate", tuple(IMPORT_TEMPLATE_RULES)),
        ("importTemplate.source", tuple(IMPORT_SOURCE_RULES)),
        ("importTemplate.target", tuple(IMPORT_TARGET_RULES)),
    ),
)
KINDS = (PROJECT, PREVIEW, IMPORT, SCHEDULE)


def build_crd(kind: Kind) -> dict[str, Any]:
    """Builds the CustomResourceDefinition of one kind."""
    root = build_root(kind)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.name},
        "spec": {
            "group": names.GROUP,
            "scope": kind.scope,
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.singular,
                "shortNames": list(kind.short_names),
                "categories": [names.CATEGORY],
            },
            "versions": [
                {
                    "name": names.VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [column.to_json(root) for column in kind.columns],
                    **(
                        {"selectableFields": [{"jsonPath": path} for path in kind.selectable]}
                        if kind.selectable
                        else {}
                    ),
                    "schema": {"openAPIV3Schema": root},
                }
            ],
        },
    }


def build_root(kind: Kind) -> Schema:
    """Builds the schema of the whole object. The author of an object need not write a `status`."""
    spec = build_schema(kind.spec)
    for path, rules in kind.field_rules:
        _add_rules(find_field(spec, path), rules)
    _add_rules(spec, kind.spec_rules)
    status = build_schema(kind.status)
    conditions = status["properties"]["conditions"]
    conditions["x-kubernetes-list-type"] = "map"
    conditions["x-kubernetes-list-map-keys"] = ["type"]
    _add_rules(status, kind.status_rules)
    status["default"] = UNOBSERVED_STATUS
    root: Schema = {
        "type": "object",
        "description": kind.description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
    }
    _add_rules(root, kind.root_rules)
    return root


def _add_rules(schema: Schema, rules: tuple[dict[str, str], ...]) -> None:
    if rules:
        schema["x-kubernetes-validations"] = [dict(rule) for rule in rules]
