"""Tries changes that the API server must refuse: of new objects, of existing ones, and of immutable fields.

It also breaks each CEL rule once.
"""

from collections.abc import Iterator
from functools import partial

from tests.chaos.fields.accepted_changes import LIVING, Trial, run_trial
from tests.chaos.fields.api_client import ApiResponse
from tests.chaos.fields.crd_schema import KINDS, Json, is_immutable, rule_messages, schema_nodes
from tests.chaos.fields.field_changes import Change, build_complete_spec, derive_all_changes, set_fields
from tests.chaos.fields.field_environment import (
    FieldEnvironment,
    build_import_spec,
    build_manifest,
    build_project_manifest,
    build_project_spec,
    build_schedule_spec,
)
from tests.chaos.fields.sample_values import PROJECT, RULE_VIOLATIONS, TEMPLATE
from tests.chaos.fields.verdicts import Verdict, judge_refusal

COMPLETE = "whole"  # name of an import that has every field, and is suspended


def create_complete_import(environment: FieldEnvironment) -> None:
    """Create an import with every field, so that each can be changed and removed."""
    spec = {**build_complete_spec("PostgresImport"), "project": PROJECT, "suspend": True}
    response = environment.api.create(build_manifest("PostgresImport", COMPLETE, spec))
    assert response.accepted, response.message
    _, problem = environment.settle("PostgresImport", COMPLETE, ("Suspended",))
    assert not problem, problem


def run_refusal_trials(environment: FieldEnvironment, project: str) -> list[Trial]:
    """Run all trials. `project` is the name of an existing Project."""
    existing = {
        "Project": (project,),
        "PreviewDatabase": (f"{LIVING}-0",),
        "PostgresImport": (COMPLETE, "completed"),
        "PostgresImportSchedule": (f"{LIVING}-0",),
    }
    return [
        trial
        for kind in KINDS
        for trial in (
            *_try_new_objects(environment, kind),
            *_try_existing_objects(environment, kind, existing[kind]),
            *_try_rules(environment, kind),
        )
    ]


def _build_refused_manifest(kind: str, spec: Json) -> Json:
    return build_project_manifest("refused", spec) if kind == "Project" else build_manifest(kind, "refused", spec)


def _build_valid_spec(kind: str) -> Json:
    specs = {
        "Project": build_project_spec(PROJECT),
        "PreviewDatabase": {"project": PROJECT},
        "PostgresImportSchedule": build_schedule_spec(),
    }
    return specs.get(kind) or build_import_spec("held")


def _try_new_objects(environment: FieldEnvironment, kind: str) -> Iterator[Trial]:
    for change in derive_all_changes(kind):
        if not change.valid:
            manifest = _build_refused_manifest(kind, change.apply(_build_valid_spec(kind)))
            response = environment.api.create(manifest, dry_run=True)
            yield _build_trial(change, response, "new")


def _build_trial(change: Change, response: ApiResponse, name: str) -> Trial:
    return run_trial(f"{change.title} ({name})", name, lambda: judge_refusal(response, change), change.node)


def _try_existing_objects(environment: FieldEnvironment, kind: str, names: tuple[str, ...]) -> Iterator[Trial]:
    """Try invalid values, and valid values of immutable fields."""
    namespace = "" if kind == "Project" else PROJECT
    for name in names:
        body = environment.api.get(kind, namespace, name)
        assert body is not None, f"{kind} {name} is gone"
        for change in derive_all_changes(kind):
            spec = change.apply(body["spec"])
            if spec == body["spec"] or (change.valid and not is_immutable(change.node)):
                continue
            response = environment.api.change(kind, namespace, name, spec)
            yield _build_trial(change, response, name)
            if response.accepted:
                environment.api.change(kind, namespace, name, body["spec"])


def _try_rules(environment: FieldEnvironment, kind: str) -> Iterator[Trial]:
    """Break each rule with a new object. A rule about changes is broken with an import that is cancelled already."""
    for message in rule_messages(kind):
        violation = _find_violation(kind, message)
        manifest = _build_refused_manifest(kind, set_fields(kind, _build_valid_spec(kind), violation))
        response = environment.api.create(manifest, dry_run=True)
        if response.accepted:
            body = environment.api.get(kind, PROJECT, "cancelled")
            assert body is not None
            response = environment.api.change(kind, PROJECT, "cancelled", set_fields(kind, body["spec"], violation))
        problem = "" if message in response.message else f"{response.status}: {response.message}"
        title = f"{kind} spec: a broken rule: {message}"
        yield run_trial(title, "refused", partial(Verdict, "refused", problem))


def _find_violation(kind: str, message: str) -> Json:
    """Return the fields that break a rule. A rule of imports also holds in the template of a schedule."""
    fields = {node.field for node in schema_nodes(kind)}
    return {name if name in fields else f"{TEMPLATE}{name}": value for name, value in RULE_VIOLATIONS[message].items()}
