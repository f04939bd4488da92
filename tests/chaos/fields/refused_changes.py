"""Changes that must be refused go in: of new objects, of living ones, of what never changes, and what breaks a rule."""

from collections.abc import Iterator
from functools import partial

from tests.chaos.fields.accepted_changes import ALIVE, Trial, tell
from tests.chaos.fields.api_client import Answer
from tests.chaos.fields.crd_schema import KINDS, Json, is_immutable, rule_messages
from tests.chaos.fields.field_changes import Change, all_changes, build_whole, put_fields
from tests.chaos.fields.field_environment import Stage, import_spec, manifest, project_manifest, project_spec
from tests.chaos.fields.sample_values import BROKEN, PROJECT
from tests.chaos.fields.verdicts import Verdict, judge_refusal

WHOLE = "whole"  # an import with all its fields, suspended


def make_whole(stage: Stage) -> None:
    """So that every field can be changed and taken away."""
    spec = {**build_whole("PostgresImport"), "project": PROJECT, "suspend": True}
    answer = stage.api.create(manifest("PostgresImport", WHOLE, spec))
    assert answer.accepted, answer.message
    _, said = stage.settle("PostgresImport", WHOLE, ("Suspended",))
    assert not said, said


def refusal_trials(stage: Stage, project: str) -> list[Trial]:
    """`project`: the name of a Project that lives."""
    alive = {"Project": (project,), "PreviewDatabase": (f"{ALIVE}-0",), "PostgresImport": (WHOLE, "completed")}
    return [
        trial
        for kind in KINDS
        for trial in (*_new(stage, kind), *_living(stage, kind, alive[kind]), *_rules(stage, kind))
    ]


def _manifest(kind: str, spec: Json) -> Json:
    return project_manifest("refused", spec) if kind == "Project" else manifest(kind, "refused", spec)


def _base(kind: str) -> Json:
    specs = {"Project": project_spec(PROJECT), "PreviewDatabase": {"project": PROJECT}}
    return specs.get(kind) or import_spec("held")


def _new(stage: Stage, kind: str) -> Iterator[Trial]:
    for change in all_changes(kind):
        if not change.valid:
            answer = stage.api.create(_manifest(kind, change.carry_out(_base(kind))), dry=True)
            yield _judged(change, answer, "new")


def _judged(change: Change, answer: Answer, where: str) -> Trial:
    return tell(f"{change.place} ({where})", where, lambda: judge_refusal(answer, change), change.of)


def _living(stage: Stage, kind: str, names: tuple[str, ...]) -> Iterator[Trial]:
    """What is invalid, and what would be valid in another object."""
    namespace = "" if kind == "Project" else PROJECT
    for name in names:
        body = stage.api.get(kind, namespace, name)
        assert body is not None, f"{kind} {name} is gone"
        for change in all_changes(kind):
            spec = change.carry_out(body["spec"])
            if spec == body["spec"] or (change.valid and not is_immutable(change.of)):
                continue
            answer = stage.api.change(kind, namespace, name, spec)
            yield _judged(change, answer, name)
            if answer.accepted:
                stage.api.change(kind, namespace, name, body["spec"])


def _rules(stage: Stage, kind: str) -> Iterator[Trial]:
    """Of a new object, else of one that has ended by its user's wish."""
    for message in rule_messages(kind):
        answer = stage.api.create(_manifest(kind, put_fields(kind, _base(kind), BROKEN[message])), dry=True)
        if answer.accepted:
            body = stage.api.get(kind, PROJECT, "cancelled")
            assert body is not None
            answer = stage.api.change(kind, PROJECT, "cancelled", put_fields(kind, body["spec"], BROKEN[message]))
        said = "" if message in answer.message else f"{answer.status}: {answer.message}"
        yield tell(f"{kind} spec: a broken rule: {message}", "refused", partial(Verdict, "refused", said))
