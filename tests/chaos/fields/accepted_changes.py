"""Tries valid changes: each on a new object, and one after the other on an object that exists already."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from queue import SimpleQueue

from tests.chaos.fields.crd_schema import Json, SchemaNode, is_immutable
from tests.chaos.fields.field_changes import Change, derive_all_changes
from tests.chaos.fields.field_environment import (
    QUEUE,
    FieldEnvironment,
    build_import_spec,
    build_manifest,
    build_project_manifest,
    build_project_spec,
    build_schedule_spec,
)
from tests.chaos.fields.sample_values import ABSENT, HEALTHY, PROJECT
from tests.chaos.fields.verdicts import Verdict, build_refused_verdict, reason_of

LIVING = "alive"  # prefix of previews and schedules that are changed in place


@dataclass(frozen=True)
class Trial:
    """One change of one object, and what became of it."""

    title: str
    name: str  # of the object, as in the operator's log
    started_at: float
    ended_at: float
    verdict: Verdict
    node: SchemaNode | None = None
    effect: str = field(default="", repr=False)  # final reason and Job of an import


Story = Callable[[], list[Trial]]  # trials that run one after the other


def run_trial(title: str, name: str, action: Callable[[], Verdict], node: SchemaNode | None = None) -> Trial:
    """Run one trial and measure its time."""
    started_at = time.time()
    verdict = action()
    return Trial(title, name, started_at, time.time(), verdict, node)


@contextmanager
def _borrow(names: "SimpleQueue[str]") -> Iterator[str]:
    name = names.get()
    try:
        yield name
    finally:
        names.put(name)


def _derive_new_values(kind: str) -> list[Change]:
    """Return the valid changes that set a value. A new object has no field that could be removed."""
    return [change for change in derive_all_changes(kind) if change.valid and change.value is not ABSENT]


# --- New objects ----------------------------------------------------------------------------------------------------


def build_import_stories(environment: FieldEnvironment) -> list[Story]:
    """Build a story for each valid change of a new import, and one for an import without a change."""

    def story(number: int, change: Change | None) -> list[Trial]:
        with _borrow(environment.previews) as preview:
            return [_try_import(environment, f"born-{number}", build_import_spec(preview), change)]

    changes: list[Change | None] = [None, *_derive_new_values("PostgresImport")]
    return [partial(story, number, change) for number, change in enumerate(changes)]


def _try_import(environment: FieldEnvironment, name: str, spec: Json, change: Change | None) -> Trial:
    """Create an import without a pod, wait until it settles, then cancel and delete it."""
    started_at, kind = time.time(), "PostgresImport"
    title = change.title if change else f"{kind} spec: unchanged"
    reasons, node = (change.reasons, change.node) if change else (HEALTHY[kind], None)
    response = environment.api.create(build_manifest(kind, name, change.apply(spec) if change else spec, QUEUE))
    verdict, effect = build_refused_verdict(response), ""
    if response.accepted:
        body, problem = environment.settle(kind, name, reasons, change)
        effect = f"{reason_of(body)} {environment.read_job_spec(body)}"
        verdict = Verdict(reason_of(body), problem or _cancel(environment, body))
        environment.api.delete(kind, PROJECT, name)
    return Trial(f"{title} (new)", name, started_at, time.time(), verdict, node, effect)


def _cancel(environment: FieldEnvironment, body: Json) -> str:
    """Cancel an import that has not ended; return a problem if anything of it is left."""
    if body["status"]["state"] not in ("pending", "running"):
        return ""
    name = body["metadata"]["name"]
    environment.api.change("PostgresImport", PROJECT, name, {**body["spec"], "cancel": True})
    _, problem = environment.settle("PostgresImport", name, ("Cancelled",))
    return f"after its cancellation: {problem}" if problem else ""


def build_preview_stories(environment: FieldEnvironment) -> list[Story]:
    """Build a story for each valid change of a new preview."""
    return _build_new_stories(environment, "PreviewDatabase", {"project": PROJECT})


def build_schedule_stories(environment: FieldEnvironment) -> list[Story]:
    """Build a story for each valid change of a new schedule."""
    return _build_new_stories(environment, "PostgresImportSchedule", build_schedule_spec())


def _build_new_stories(environment: FieldEnvironment, kind: str, spec: Json) -> list[Story]:
    def create(name: str, change: Change) -> Verdict:
        response = environment.api.create(build_manifest(kind, name, change.apply(spec)))
        if not response.accepted:
            return build_refused_verdict(response)
        body, problem = environment.settle(kind, name, change.reasons, change)
        environment.api.delete(kind, PROJECT, name)
        return Verdict(reason_of(body), problem)

    def story(name: str, change: Change) -> list[Trial]:
        return [run_trial(f"{change.title} (new)", name, lambda: create(name, change), change.node)]

    return [partial(story, f"born-{number}", change) for number, change in enumerate(_derive_new_values(kind))]


def run_project_trials(environment: FieldEnvironment) -> list[Trial]:
    """Try each valid change of a new Project as a dry run, because each Project would need its own namespace."""

    def create(change: Change) -> Verdict:
        manifest = build_project_manifest("new", change.apply(build_project_spec(PROJECT)))
        response = environment.api.create(manifest, dry_run=True)
        return Verdict("accepted") if response.accepted else build_refused_verdict(response)

    return [
        run_trial(f"{change.title} (new)", "new", partial(create, change), change.node)
        for change in _derive_new_values("Project")
    ]


# --- Objects that exist already -------------------------------------------------------------------------------------


def _group_mutable_changes(kind: str) -> list[list[Change]]:
    """Return the valid changes of fields that may change, grouped by field."""
    changes = [
        change
        for change in derive_all_changes(kind)
        if change.valid and change.node.path and not is_immutable(change.node)
    ]
    return [list(group) for _, group in groupby(changes, lambda change: change.node)]


def build_living_project_stories(environment: FieldEnvironment) -> list[Story]:
    """Build a story for each field of a Project: every value in turn, then the original one."""

    def story(changes: list[Change]) -> list[Trial]:
        with _borrow(environment.projects) as name:
            return _change_in_turn("Project", environment, name, build_project_spec(name), changes)

    return [partial(story, changes) for changes in _group_mutable_changes("Project")]


def build_living_preview_stories(environment: FieldEnvironment) -> list[Story]:
    """Build a story for each field of a preview: every value in turn, then the original one."""
    kind = "PreviewDatabase"
    return _build_living_stories(environment, kind, {"project": PROJECT}, _group_mutable_changes(kind))


def build_living_schedule_stories(environment: FieldEnvironment) -> list[Story]:
    """Build a story for each field of a schedule outside of its template."""
    kind = "PostgresImportSchedule"
    groups = [group for group in _group_mutable_changes(kind) if group[0].node.path[0] != "importTemplate"]
    return _build_living_stories(environment, kind, build_schedule_spec(), groups)


def _build_living_stories(
    environment: FieldEnvironment, kind: str, spec: Json, groups: Sequence[list[Change]]
) -> list[Story]:
    def story(name: str, changes: list[Change]) -> list[Trial]:
        environment.api.create(build_manifest(kind, name, spec))
        environment.settle(kind, name, HEALTHY[kind])
        return _change_in_turn(kind, environment, name, spec, changes)

    return [partial(story, f"{LIVING}-{number}", changes) for number, changes in enumerate(groups)]


def _change_in_turn(
    kind: str, environment: FieldEnvironment, name: str, spec: Json, changes: list[Change]
) -> list[Trial]:
    trials = [
        run_trial(
            f"{change.title} ({LIVING})",
            name,
            partial(_change, environment, kind, name, change.apply(spec), change.reasons, change),
            change.node,
        )
        for change in changes
    ]
    title = f"{changes[0].node.title}: as it was ({LIVING})"
    return [*trials, run_trial(title, name, lambda: _change(environment, kind, name, spec, HEALTHY[kind]))]


def _change(
    environment: FieldEnvironment,
    kind: str,
    name: str,
    spec: Json,
    reasons: Sequence[str],
    change: Change | None = None,
) -> Verdict:
    response = environment.api.change(kind, "" if kind == "Project" else PROJECT, name, spec)
    if not response.accepted:
        return build_refused_verdict(response)
    body, problem = environment.settle(kind, name, reasons, change)
    return Verdict(reason_of(body), problem)


# --- Imports that wait, run or have ended ---------------------------------------------------------------------------


@dataclass(frozen=True)
class LivingImport:
    """An import that has settled with this reason."""

    name: str
    reason: str
    spec: Json
    ended: bool = True

    def expected_reason(self, spec: Json) -> str:
        """Return the reason after a change of the spec. It stays the same once the import has ended."""
        if self.ended:
            return self.reason
        return "Cancelled" if spec.get("cancel") else "Suspended" if spec.get("suspend") else self.reason


def create_living_imports(environment: FieldEnvironment) -> list[LivingImport]:
    """Create an import in each state and wait until they settle. Only the completed one needs a pod."""
    spec = build_import_spec("not-there")
    without_secret = {**spec, "source": {"urlSecretRef": {"name": "not-there", "key": "url"}}}
    living_imports = [
        LivingImport("held", "Queued", build_import_spec("held"), ended=False),
        LivingImport("waiting", "SourceSecretMissing", without_secret, ended=False),
        LivingImport("failed", "NotSupported", {**spec, "source": {"uploadKey": "any"}, "verify": "checksums"}),
        LivingImport("cancelled", "Cancelled", {**without_secret, "cancel": True}),
        LivingImport("completed", "Completed", {**spec, "dryRun": True}),
    ]
    environment.tenant.make_previews("held")
    for living_import in living_imports:
        labels = {} if living_import.name == "completed" else QUEUE
        manifest = build_manifest("PostgresImport", living_import.name, living_import.spec, labels)
        response = environment.api.create(manifest)
        assert response.accepted, response.message
    for living_import in living_imports:
        _, problem = environment.settle("PostgresImport", living_import.name, (living_import.reason,))
        assert not problem, f"{living_import.name}: {problem}"
    return living_imports


def build_living_import_stories(environment: FieldEnvironment, living_imports: Sequence[LivingImport]) -> list[Story]:
    return [partial(_change_import, environment, living_import) for living_import in living_imports]


def _change_import(environment: FieldEnvironment, living_import: LivingImport) -> list[Trial]:
    """Try every value of every field that may change. Cancelling comes last, because it cannot be undone."""
    changes = [change for group in _group_mutable_changes("PostgresImport") for change in group]
    changes.sort(key=lambda change: (change.node.field, change.value is True), reverse=True)
    specs = [(change, change.apply(living_import.spec)) for change in changes]
    cancelling = [(change, spec) for change, spec in specs if spec.get("cancel")]
    others = [(change, spec) for change, spec in specs if not spec.get("cancel")]
    if living_import.spec.get("cancel"):
        others = []  # `cancel` cannot be taken back
    return [
        run_trial(
            f"{change.title} ({living_import.name})",
            living_import.name,
            partial(
                _change,
                environment,
                "PostgresImport",
                living_import.name,
                spec,
                (living_import.expected_reason(spec),),
            ),
            change.node,
        )
        for change, spec in [*others, *cancelling]
    ]
