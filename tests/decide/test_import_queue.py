"""Several imports of one Project: who waits, who runs, and in which order, for any sequence of events."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.support.samples import (
    BORN,
    a_job,
    a_pod,
    a_policy,
    a_preview,
    a_project,
    a_project_spec,
    a_ready_status,
    a_server,
    an_import,
    an_import_spec,
)

from pgimport.decide.decision import ClaimTarget, ReleaseTarget
from pgimport.decide.imports import decide_import
from pgimport.decide.observed_objects import ObservedImport
from pgimport.model.names import LABEL_QUEUE
from pgimport.model.reasons import Reason
from pgimport.model.resources import ImportObject
from pgimport.model.status import ImportState, ImportStatus

POLICY = a_policy()
SLOTS = 2
TARGETS, SECRETS = ("pr-1", "pr-2", "pr-3"), ("right", "typo")


@dataclass
class QueuedImport:
    """One import of the simulated Project."""

    uid: str
    created_at: datetime
    spec: dict[str, Any]
    queue: str | None = None  # the queue of Kueue that admits its Job
    held: bool = False  # Kueue holds its Job
    status: ImportStatus = field(default_factory=ImportStatus)

    @property
    def target(self) -> str:
        return str(self.spec["target"]["previewDatabase"])

    @property
    def secret(self) -> str:
        return str(self.spec["source"]["urlSecretRef"]["name"])

    @property
    def runs(self) -> bool:
        return self.status.state is ImportState.RUNNING

    @property
    def has_slot(self) -> bool:
        return self.runs and (self.queue is None or self.status.job is not None)

    @property
    def has_target(self) -> bool:
        return self.runs or self.status.queued

    def build(self) -> ImportObject:
        spec = an_import_spec(**self.spec)
        labels = {LABEL_QUEUE: self.queue} if self.queue else {}
        return an_import(spec, self.status, name=self.uid, uid=self.uid, created_at=self.created_at, labels=labels)


class Queue:
    """Holds the imports of a Project, and the claims and Secrets that their decisions observe."""

    def __init__(self) -> None:
        self.imports: list[QueuedImport] = []
        self.claims: dict[str, str | None] = dict.fromkeys(TARGETS)
        self.secrets = {"right"}
        self.now = BORN

    # --- events ---

    def create(self, target: str, secret: str, queue: str | None = None) -> None:
        spec = {
            "target": {"previewDatabase": target},
            "source": {"urlSecretRef": {"name": secret, "key": "url"}},
        }
        self.imports.append(QueuedImport(f"import-{len(self.imports)}", self.now, spec, queue))

    def hold(self, number: int, held: bool) -> None:
        """Lets Kueue admit or preempt an import."""
        if self.imports:
            self.imports[number % len(self.imports)].held = held

    def set_option(self, number: int, name: str, value: bool) -> None:
        if self.imports and (name == "suspend" or value):
            self.imports[number % len(self.imports)].spec[name] = value

    def toggle_secret(self, name: str) -> None:
        self.secrets ^= {name}

    def reconcile(self, number: int) -> None:
        if self.imports:
            self._reconcile(self.imports[number % len(self.imports)])

    def crash(self, number: int) -> None:
        """Carries out the actions of a decision, as an operator that is killed before it writes the status."""
        if self.imports:
            item = self.imports[number % len(self.imports)]
            self._act(item, decide_import(self._observe(item), self.now, POLICY).actions)

    # --- the operator ---

    def _reconcile(self, item: QueuedImport) -> None:
        had_target = item.has_target
        decision = decide_import(self._observe(item), self.now, POLICY)
        self._act(item, decision.actions)
        if decision.status.state is ImportState.RUNNING and not had_target:
            assert self._overtaken_by(item) == []
        item.status = decision.status
        self._check_limits()

    def _observe(self, item: QueuedImport) -> ObservedImport:
        has_job = item.has_target and item.status.job is not None
        missing = (Reason.SOURCE_SECRET_MISSING, "its Secret") if item.secret not in self.secrets else None
        return ObservedImport(
            object=item.build(),
            observed_since=self.now,
            project=a_project(a_project_spec(limits={"maxConcurrentImports": SLOTS})),
            preview=a_preview(status=a_ready_status(active_import=self.claims[item.target]), name=item.target),
            other_imports=tuple(
                other.build() for other in self.imports if other is not item and not other.status.terminal
            ),
            missing_mount=None if item.has_target else missing,
            job=a_job(queue=item.queue, suspended=item.held) if has_job else None,
            pods=(a_pod(),) if has_job and not item.held else (),
            server=a_server(),
            target_objects=(),
        )

    def _act(self, item: QueuedImport, actions: tuple[object, ...]) -> None:
        if ClaimTarget() in actions:
            assert self.claims[item.target] in (None, item.uid)
            self.claims[item.target] = item.uid
            item.held = item.queue is not None
        if ReleaseTarget() in actions:
            self.claims[item.target] = None

    def settle(self, order: list[int]) -> None:
        """Reconciles all imports, in this order, until no status changes."""
        for _ in range(20):
            before = [item.status for item in self.imports], dict(self.claims)
            for number in order:
                self.reconcile(number)
            for item in self.imports:
                self._reconcile(item)
            if before == ([item.status for item in self.imports], dict(self.claims)):
                return
        raise AssertionError("the statuses still change after 20 rounds")

    # --- guarantees ---

    def can_run(self, item: QueuedImport) -> bool:
        held = item.spec.get("suspend") or item.spec.get("cancel") or item.status.terminal
        return not held and item.secret in self.secrets

    def _overtaken_by(self, item: QueuedImport) -> list[str]:
        """Lists the older imports of the same target that `item` overtakes and that can run.

        The operator learns only from an import's own reconcile that a Secret which this import missed exists now.
        """
        return [
            other.uid
            for other in self.imports[: self.imports.index(item)]
            if other.target == item.target
            and self.can_run(other)
            and (other.secret == item.secret or _reason(other) is not Reason.SOURCE_SECRET_MISSING)
        ]

    def _check_limits(self) -> None:
        assert sum(item.has_slot for item in self.imports) <= SLOTS
        holders = [item for item in self.imports if item.has_target]
        assert len({item.target for item in holders}) == len(holders)
        assert all(self.claims[item.target] == item.uid for item in holders)

    def check_settled(self) -> None:
        holders = {target: uid for target, uid in self.claims.items() if uid is not None}
        assert holders == {item.target: item.uid for item in self.imports if item.has_target}
        free = set(TARGETS) - holders.keys()
        full = sum(item.has_slot for item in self.imports) == SLOTS
        for item in self.imports:
            if item.queue is None:
                assert full or item.target not in free or not self.can_run(item)
            else:  # it needs a slot when Kueue has admitted it
                assert item.target not in free or not self.can_run(item)
                assert full or item.held or not item.status.queued


def _reason(item: QueuedImport) -> Reason | None:
    return Reason(item.status.conditions[0].reason) if item.status.conditions else None


NUMBERS = st.integers(0, 7)
EVENTS = st.one_of(
    st.tuples(
        st.just("create"), st.sampled_from(TARGETS), st.sampled_from(SECRETS), st.sampled_from([None, "imports"])
    ),
    st.tuples(st.just("hold"), NUMBERS, st.booleans()),
    st.tuples(st.just("set_option"), NUMBERS, st.sampled_from(["suspend", "cancel"]), st.booleans()),
    st.tuples(st.just("toggle_secret"), st.sampled_from(SECRETS)),
    st.tuples(st.just("reconcile"), NUMBERS),
    st.tuples(st.just("crash"), NUMBERS),
)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.lists(EVENTS, max_size=25), st.permutations(range(8)))
@example([("create", "pr-1", "typo"), ("reconcile", 0), ("create", "pr-1", "right")], [1, 0])
@example([("create", "pr-1", "right"), ("crash", 0), ("toggle_secret", "right")], [0])
@example(
    [("create", target, "right", "imports") for target in TARGETS]
    + [event for number in range(3) for event in [("reconcile", number)] * 3 + [("hold", number, False)]],
    [0, 1, 2],
)
def test_an_import_that_cannot_run_holds_nothing_that_another_one_needs(
    sequence: list[tuple[Any, ...]], order: list[int]
) -> None:
    queue = Queue()
    for name, *arguments in sequence:
        queue.now += timedelta(seconds=1)
        getattr(queue, name)(*arguments)
    queue.settle(order)
    queue.check_settled()


def test_imports_that_wait_for_one_secret_run_in_the_order_of_their_creation() -> None:
    for order in ([0, 1], [1, 0]):
        queue = Queue()
        for _ in order:
            queue.now += timedelta(seconds=1)
            queue.create("pr-1", "typo")
        queue.settle(order)
        queue.toggle_secret("typo")
        for number in order:
            queue.reconcile(number)
        queue.settle(order)
        assert [item.runs for item in queue.imports] == [True, False]
