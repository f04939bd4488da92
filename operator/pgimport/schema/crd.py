"""The models of the three kinds go in; their CustomResourceDefinitions come out as plain documents."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from pgimport.model import names
from pgimport.model.cel_rules import (
    IMPORT_SOURCE_RULES,
    IMPORT_SPEC_RULES,
    PREVIEW_SPEC_RULES,
    PROJECT_RULES,
    PROJECT_SPEC_RULES,
    TERMINAL_STATUS_RULE,
)
from pgimport.model.spec import ImportSpec, PreviewSpec, ProjectSpec
from pgimport.model.status import ImportStatus, PreviewStatus, ProjectStatus
from pgimport.schema.structural_schema import Schema, build_schema

Rules = list[dict[str, str]]

# Until the operator has looked, kstatus must not take an object without conditions for a finished one.
UNSEEN_STATUS = {"observedGeneration": -1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of `kubectl get`."""

    name: str
    path: str
    type: str = "string"
    description: str = ""

    def to_json(self) -> dict[str, str]:
        text = {"description": self.description} if self.description else {}
        return {"name": self.name, "type": self.type, "jsonPath": self.path, **text}


_AGE = Column(name="Age", path=".metadata.creationTimestamp", type="date")
_REASON = Column(
    name="Reason",
    path='.status.conditions[?(@.type=="Ready")].reason',
    description="Reason of the condition Ready.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """All that makes one CRD."""

    kind: str
    plural: str
    singular: str
    scope: str
    description: str
    spec: type[BaseModel]
    status: type[BaseModel]
    columns: tuple[Column, ...]
    short_names: tuple[str, ...] = ()
    selectable: tuple[str, ...] = ()
    root_rules: tuple[dict[str, str], ...] = ()
    spec_rules: tuple[dict[str, str], ...] = ()
    status_rules: tuple[dict[str, str], ...] = ()
    # Rules of a field of the spec, by its name.
    field_rules: tuple[tuple[str, tuple[dict[str, str], ...]], ...] = ()

    @property
    def name(self) -> str:
        return f"{self.plural}.{names.GROUP}"


PROJECT = Kind(
    kind="Project",
    plural=names.PROJECTS,
    singular="project",
    scope="Cluster",
    description="A tenant: where its databases live and what its plan allows. Written by the platform's admin.",
    spec=ProjectSpec,
    status=ProjectStatus,
    columns=(
        Column(name="Ready", path=".status.ready", type="boolean"),
        Column(name="Version", path=".status.targetVersion", description="Version of the target server."),
        Column(name="Namespace", path=".spec.namespace"),
        _AGE,
    ),
    root_rules=tuple(PROJECT_RULES),
    spec_rules=tuple(PROJECT_SPEC_RULES),
)
PREVIEW = Kind(
    kind="PreviewDatabase",
    plural=names.PREVIEWS,
    singular="previewdatabase",
    scope="Namespaced",
    description="A disposable database with an owner role of its own.",
    spec=PreviewSpec,
    status=PreviewStatus,
    columns=(
        Column(name="State", path=".status.state"),
        Column(name="Database", path=".status.database"),
        # A column of type date counts backwards only, and this time lies ahead.
        Column(name="Expires", path=".status.expiresAt", description="When the database will be dropped."),
        _AGE,
    ),
    spec_rules=tuple(PREVIEW_SPEC_RULES),
)
IMPORT = Kind(
    kind="PostgresImport",
    plural=names.IMPORTS,
    singular="postgresimport",
    scope="Namespaced",
    description="An import of a PostgreSQL database into a preview. It runs once; a new import is a new object.",
    spec=ImportSpec,
    status=ImportStatus,
    columns=(
        Column(name="State", path=".status.state"),
        Column(name="Target", path=".spec.target.previewDatabase"),
        Column(name="Attempts", path=".status.attempts", type="integer"),
        Column(name="Progress", path=".status.progress.percent", type="integer", description="In percent."),
        _REASON,
        _AGE,
    ),
    short_names=("pgi",),
    selectable=(".status.state", ".spec.target.previewDatabase"),
    spec_rules=tuple(IMPORT_SPEC_RULES),
    status_rules=(TERMINAL_STATUS_RULE,),
    field_rules=(("source", tuple(IMPORT_SOURCE_RULES)),),
)
KINDS = (PROJECT, PREVIEW, IMPORT)


def build_crd(kind: Kind) -> dict[str, Any]:
    """The CustomResourceDefinition of one kind."""
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
                **({"shortNames": list(kind.short_names)} if kind.short_names else {}),
                "categories": [names.CATEGORY],
            },
            "versions": [
                {
                    "name": names.VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [column.to_json() for column in kind.columns],
                    **(
                        {"selectableFields": [{"jsonPath": path} for path in kind.selectable]}
                        if kind.selectable
                        else {}
                    ),
                    "schema": {"openAPIV3Schema": build_root(kind)},
                }
            ],
        },
    }


def build_root(kind: Kind) -> Schema:
    """The schema of the whole object; `status` is never required of its author."""
    spec = build_schema(kind.spec)
    for name, rules in kind.field_rules:
        _add_rules(spec["properties"][name], rules)
    _add_rules(spec, kind.spec_rules)
    status = build_schema(kind.status)
    conditions = status["properties"]["conditions"]
    conditions["x-kubernetes-list-type"] = "map"
    conditions["x-kubernetes-list-map-keys"] = ["type"]
    _add_rules(status, kind.status_rules)
    status["default"] = UNSEEN_STATUS
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
