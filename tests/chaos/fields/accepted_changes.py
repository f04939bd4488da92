"""Valid changes go in, trials come out: on a new object each, or in turn on one that lives on."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from queue import SimpleQueue

from tests.chaos.fields.crd_schema import Json, Property, is_immutable
from tests.chaos.fields.field_changes import Change, all_changes
from tests.chaos.fields.field_environment import QUEUE, Stage, import_spec, manifest, project_manifest, project_spec
from tests.chaos.fields.sample_values import GONE, HEALTHY, PROJECT
from tests.chaos.fields.verdicts import Verdict, reason_of, refused

ALIVE = "alive"  # previews that live on


@dataclass(frozen=True)
class Trial:
    """One change of one object."""

    place: str
    name: str  # of the object, as the operator's log has it
    begun: float
    ended: float
    verdict: Verdict
    of: Property | None = None
    effect: str = field(default="", repr=False)  # what the operator made of it


Story = Callable[[], list[Trial]]


def tell(place: str, name: str, act: Callable[[], Verdict], found: Property | None = None) -> Trial:
    """One trial."""
    begun = time.time()
    verdict = act()
    return Trial(place, name, begun, time.time(), verdict, found)


@contextmanager
def _lent(lanes: "SimpleQueue[str]") -> Iterator[str]:
    name = lanes.get()
    try:
        yield name
    finally:
        lanes.put(name)


def _new_values(kind: str) -> list[Change]:
    """A new object has nothing that could be left out of it."""
    return [change for change in all_changes(kind) if change.valid and change.value is not GONE]


# --- new objects -------------------------------------------------------------------------------------------------


def import_stories(stage: Stage) -> list[Story]:
    """One for each valid change, and one for an import without any."""

    def story(number: int, change: Change | None) -> list[Trial]:
        with _lent(stage.previews) as preview:
            return [_try_import(stage, f"born-{number}", import_spec(preview), change)]

    changes: list[Change | None] = [None, *_new_values("PostgresImport")]
    return [partial(story, number, change) for number, change in enumerate(changes)]


def _try_import(stage: Stage, name: str, spec: Json, change: Change | None) -> Trial:
    """It gets as far as its spec lets it without a pod; then it is cancelled, cleaned up and taken away."""
    begun, kind = time.time(), "PostgresImport"
    place = change.place if change else f"{kind} spec: unchanged"
    reasons, found = (change.reasons, change.of) if change else (HEALTHY[kind], None)
    answer = stage.api.create(manifest(kind, name, change.carry_out(spec) if change else spec, QUEUE))
    verdict, effect = refused(answer), ""
    if answer.accepted:
        body, said = stage.settle(kind, name, reasons, change)
        effect = f"{reason_of(body)} {stage.effect(body)}"
        verdict = Verdict(reason_of(body), said or _cancel(stage, body))
        stage.api.delete(kind, PROJECT, name)
    return Trial(f"{place} (new)", name, begun, time.time(), verdict, found, effect)


def _cancel(stage: Stage, body: Json) -> str:
    """Nothing of it stays."""
    if body["status"]["state"] not in ("pending", "running"):
        return ""
    name = body["metadata"]["name"]
    stage.api.change("PostgresImport", PROJECT, name, {**body["spec"], "cancel": True})
    _, said = stage.settle("PostgresImport", name, ("Cancelled",))
    return f"after its cancellation: {said}" if said else ""


def preview_stories(stage: Stage) -> list[Story]:
    """One for each valid change."""
    kind = "PreviewDatabase"

    def act(name: str, change: Change) -> Verdict:
        answer = stage.api.create(manifest(kind, name, change.carry_out({"project": PROJECT})))
        if not answer.accepted:
            return refused(answer)
        body, said = stage.settle(kind, name, change.reasons, change)
        stage.api.delete(kind, PROJECT, name)
        return Verdict(reason_of(body), said)

    def story(name: str, change: Change) -> list[Trial]:
        return [tell(f"{change.place} (new)", name, lambda: act(name, change), change.of)]

    return [partial(story, f"born-{number}", change) for number, change in enumerate(_new_values(kind))]


def project_trials(stage: Stage) -> list[Trial]:
    """Only accepted, not kept: each would need a namespace of its own."""

    def act(change: Change) -> Verdict:
        answer = stage.api.create(project_manifest("new", change.carry_out(project_spec(PROJECT))), dry=True)
        return Verdict("accepted") if answer.accepted else refused(answer)

    return [tell(f"{change.place} (new)", "new", partial(act, change), change.of) for change in _new_values("Project")]


# --- objects that live on ----------------------------------------------------------------------------------------


def _by_property(kind: str) -> list[list[Change]]:
    """Of what may change."""
    changes = [one for one in all_changes(kind) if one.valid and one.of.path and not is_immutable(one.of)]
    return [list(group) for _, group in groupby(changes, lambda change: change.of)]


def project_life_stories(stage: Stage) -> list[Story]:
    """One for each property: every value in turn, then back to what it was."""

    def story(changes: list[Change]) -> list[Trial]:
        with _lent(stage.projects) as name:
            return _live("Project", stage, name, project_spec(name), changes)

    return [partial(story, changes) for changes in _by_property("Project")]


def preview_life_stories(stage: Stage) -> list[Story]:
    """The same."""
    kind, spec = "PreviewDatabase", {"project": PROJECT}

    def story(name: str, changes: list[Change]) -> list[Trial]:
        stage.api.create(manifest(kind, name, spec))
        stage.settle(kind, name, HEALTHY[kind])
        return _live(kind, stage, name, spec, changes)

    return [partial(story, f"{ALIVE}-{number}", changes) for number, changes in enumerate(_by_property(kind))]


def _live(kind: str, stage: Stage, name: str, spec: Json, changes: list[Change]) -> list[Trial]:
    trials = [
        tell(
            f"{change.place} ({ALIVE})",
            name,
            partial(_change, stage, kind, name, change.carry_out(spec), change.reasons, change),
            change.of,
        )
        for change in changes
    ]
    place = f"{changes[0].of.place}: as it was ({ALIVE})"
    return [*trials, tell(place, name, lambda: _change(stage, kind, name, spec, HEALTHY[kind]))]


def _change(
    stage: Stage, kind: str, name: str, spec: Json, reasons: Sequence[str], change: Change | None = None
) -> Verdict:
    answer = stage.api.change(kind, "" if kind == "Project" else PROJECT, name, spec)
    if not answer.accepted:
        return refused(answer)
    body, said = stage.settle(kind, name, reasons, change)
    return Verdict(reason_of(body), said)


# --- imports that wait, run or have ended ------------------------------------------------------------------------


@dataclass(frozen=True)
class Being:
    """An import in one of its states; `reason` says in which."""

    name: str
    reason: str
    spec: Json
    ended: bool = True

    def expect(self, spec: Json) -> str:
        """What becomes of it by its user's wish: nothing, once it has ended."""
        if self.ended:
            return self.reason
        return "Cancelled" if spec.get("cancel") else "Suspended" if spec.get("suspend") else self.reason


def make_beings(stage: Stage) -> list[Being]:
    """One of each, at rest. The completed one is the only one that needs a pod."""
    spec = import_spec("not-there")
    gone = {**spec, "source": {"urlSecretRef": {"name": "not-there", "key": "url"}}}
    beings = [
        Being("held", "Running", import_spec("held"), ended=False),
        Being("waiting", "SourceSecretMissing", gone, ended=False),
        Being("failed", "NotSupported", {**spec, "source": {"uploadKey": "any"}, "verify": "checksums"}),
        Being("cancelled", "Cancelled", {**gone, "cancel": True}),
        Being("completed", "Completed", {**spec, "dryRun": True}),
    ]
    stage.tenant.make_previews("held")
    for one in beings:
        labels = {} if one.name == "completed" else QUEUE
        answer = stage.api.create(manifest("PostgresImport", one.name, one.spec, labels))
        assert answer.accepted, answer.message
    for one in beings:
        _, said = stage.settle("PostgresImport", one.name, (one.reason,))
        assert not said, f"{one.name}: {said}"
    return beings


def being_stories(stage: Stage, beings: Sequence[Being]) -> list[Story]:
    return [partial(_live_import, stage, one) for one in beings]


def _live_import(stage: Stage, being: Being) -> list[Trial]:
    """Every value of every field that may change; what cannot be taken back comes last, and is not tried twice."""
    changes = [change for group in _by_property("PostgresImport") for change in group]
    tried = [
        (change, change.carry_out(being.spec))
        for change in sorted(changes, key=lambda change: (change.of.field, change.value is True), reverse=True)
    ]
    final = [(change, spec) for change, spec in tried if spec.get("cancel")]
    kept = [] if being.spec.get("cancel") else [(change, spec) for change, spec in tried if not spec.get("cancel")]
    return [
        tell(
            f"{change.place} ({being.name})",
            being.name,
            partial(_change, stage, "PostgresImport", being.name, spec, (being.expect(spec),)),
            change.of,
        )
        for change, spec in [*kept, *final]
    ]
