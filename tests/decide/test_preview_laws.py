"""Laws of golden previews and copies, tried with random orders of events.

The model of the server is as simple as its contract: a copy is complete, unfinished or missing, and has a number.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.samples import (
    BORN,
    a_meta,
    a_policy,
    a_preview_spec,
    a_ready_status,
    observed_preview,
)

from pgimport.decide.decision import Action, BeginCopy, DropPreview, EnsurePreview
from pgimport.decide.previews import decide_preview
from pgimport.model.observations import ObservedContent, ObservedCopy
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import PreviewObject
from pgimport.model.scalar_types import format_time
from pgimport.model.status import PreviewState, PreviewStatus

POLICY = a_policy()
FAILURE = Failure(Reason.TARGET_FULL, "no space left on device")
EVENTS = st.sampled_from(
    (
        "reset",
        "source fills",
        "source is refreshed",
        "refresh ends",
        "source is gone",
        "copy ends",
        "copy fails",
        "operator restarts",
        "status write fails",
        "time passes",
        "secret is deleted",
    )
)


@dataclass
class World:
    """A preview that copies a golden one, the server, and the operator's background copies."""

    now: datetime = BORN
    spec: dict[str, Any] = field(default_factory=lambda: {"mode": "clone", "from": {"previewDatabase": "nightly"}})
    status: PreviewStatus = field(default_factory=lambda: PreviewStatus(observed_generation=-1))
    source: PreviewState | None = PreviewState.PENDING
    refreshing: bool = False
    secret: bool = False
    running: int | None = None  # number of the copy in the background
    failed: ObservedCopy | None = None
    content: ObservedContent = field(default_factory=lambda: ObservedContent(exists=False))
    begun: list[int] = field(default_factory=list)
    lose_status: bool = False

    def happen(self, event: str) -> None:
        match event:
            case "reset":
                self.spec = {**self.spec, "resetAt": format_time(self.now)}
            case "source fills":
                self.source = PreviewState.READY
            case "source is gone":
                self.source = None
            case "source is refreshed":
                self.refreshing = self.running is None  # a swap waits for copies that run
            case "refresh ends":
                self.refreshing = False
            case "copy ends" if self.running is not None:
                self.content = ObservedContent(imported=True, data_as_of=self.now, copy_number=self.running)
                self.running = None
            case "copy fails" if self.running is not None:
                self.failed, self.running = ObservedCopy(number=self.running, failure=FAILURE), None
            case "operator restarts":
                self.running, self.failed = None, None
            case "status write fails":
                self.lose_status = True
            case "time passes":
                self.now += timedelta(seconds=20)
                self.failed = None
            case "secret is deleted":
                self.secret = False

    def reconcile(self) -> tuple[Action, ...]:
        self.now += timedelta(seconds=1)
        copying = ObservedCopy(number=self.running) if self.running is not None else self.failed
        golden = PreviewObject(
            meta=a_meta("nightly", "nightly-uid"),
            spec=a_preview_spec(golden=True),
            status=a_ready_status(state=self.source),
        )
        observed = observed_preview(
            a_preview_spec(**self.spec),
            self.status,
            source=golden if self.source is not None else None,
            source_is_swapped=self.refreshing,
            secret_exists=self.secret and self.status.connection_secret is not None,
            copying=copying,
            content=self.content if copying is None and self.status.database is not None else None,
        )
        decision = decide_preview(observed, self.now, POLICY)
        for action in decision.actions:
            self._act(action)
        if not self.lose_status:
            self.status = PreviewStatus.model_validate(decision.status.to_json())
        self.lose_status = False
        return decision.actions

    def _act(self, action: Action) -> None:
        if isinstance(action, BeginCopy):
            assert not self.refreshing, "no copy begins while the source is about to be replaced"
            assert self.source is PreviewState.READY
            assert self.running is None, "one copy at a time"
            assert action.number >= max(self.begun, default=0), "a newer copy is never replaced by an older one"
            complete = self.content.exists and self.content.copy_number == action.number
            self.begun.append(action.number)
            self.secret, self.failed = True, None
            self.running = None if complete else action.number
            if not complete:
                self.content = ObservedContent(exists=False, imported=True, copy_number=action.number)
        elif isinstance(action, EnsurePreview):
            assert not action.recreate, "a copy is never replaced by an empty database"
            self.secret = True
        assert not isinstance(action, DropPreview)  # the ttl is not over


@settings(max_examples=300, deadline=None)
@given(st.lists(EVENTS, max_size=25))
def test_a_copy_settles_with_the_data_of_the_last_reset(events: list[str]) -> None:
    world = World()
    for event in events:
        world.happen(event)
        world.reconcile()
    for event in ("operator restarts", "source fills", "refresh ends"):
        world.happen(event)
    for _ in range(6):
        world.reconcile()
        world.happen("copy ends")
    assert world.status.state is PreviewState.READY
    assert world.content.exists
    assert world.content.copy_number == world.status.clones == max(world.begun)
    assert world.status.data_as_of == world.content.data_as_of
    reset_at = a_preview_spec(**world.spec).reset_at
    if reset_at is not None:
        assert world.status.reset_at == reset_at
        assert world.content.data_as_of is not None
        assert world.content.data_as_of >= reset_at, "the copy is newer than the reset"
    assert world.reconcile() == (), "a settled preview needs nothing"


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([None, *PreviewState]),
    st.booleans(),
    st.none() | st.builds(ObservedContent, exists=st.booleans(), imported=st.booleans()),
    st.booleans(),
    st.none() | st.sampled_from(["2026-01-01T12:05:00Z", "2099-01-01T00:00:00Z"]),
)
def test_a_golden_preview_settles_and_is_ready_only_with_data(
    state: PreviewState | None, claimed: bool, content: ObservedContent | None, importing: bool, reset_at: str | None
) -> None:
    spec = a_preview_spec(golden=True, **({"resetAt": reset_at} if reset_at else {}))
    status = a_ready_status(state=state, connection_secret=None, active_import="uid" if claimed else None)
    now = BORN + timedelta(minutes=10)
    for _ in range(4):
        observed = observed_preview(
            spec, status, content=content, active_import_exists=importing and claimed, secret_exists=False
        )
        decision = decide_preview(observed, now, POLICY)
        emptied = any(isinstance(action, EnsurePreview) and action.recreate for action in decision.actions)
        created = bool(decision.actions) and (content is None or not content.exists)
        content = ObservedContent() if emptied or created else content
        status = decision.status
    assert decision.actions == ()
    assert status.expires_at is None
    if status.state is PreviewState.READY and not (importing and claimed):
        assert content is not None
        assert content.imported
