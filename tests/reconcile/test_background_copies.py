"""Copies in the background: how many run at the same time, what is shown of them, and how they end."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from pgimport.model.errors import Conflict, Refused, ServerUnavailable
from pgimport.model.observations import MeasuredCopy, ObservedCopy
from pgimport.model.project_status import CloneMethod
from pgimport.model.reasons import Failure, Reason
from pgimport.reconcile.background_copies import FIRST_PER_SERVER, PER_PROJECT, PER_SERVER, BackgroundCopies

SERVER = "db:5432"
BUSY = Failure(Reason.TARGET_BUSY, "a session uses it")


class Clock:
    """A clock that only a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Work:
    """Copies that end when the test says so."""

    def __init__(self) -> None:
        self.running: list[str] = []
        self._ends: dict[str, threading.Event] = {}

    def copy(self, name: str) -> Callable[[], None]:
        event = self._ends.setdefault(name, threading.Event())

        def run() -> None:
            self.running.append(name)
            event.wait(30)
            self.running.remove(name)

        return run

    def end(self, *names: str) -> None:
        for name in names or tuple(self._ends):
            self._ends[name].set()


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def copies(clock: Clock) -> BackgroundCopies:
    return BackgroundCopies(clock)


@pytest.fixture
def work() -> Iterator[Work]:
    running = Work()
    yield running
    running.end()


def test_a_copy_is_shown_until_it_has_ended(copies: BackgroundCopies, work: Work) -> None:
    assert copies.look(SERVER, "a") is None
    copies.begin(SERVER, "p", "a", 1, work.copy("a"))
    copies.begin(SERVER, "p", "a", 1, work.copy("a"))  # repeated by the next reconcile
    wait_for(lambda: work.running == ["a"])
    assert copies.look(SERVER, "a") == ObservedCopy(number=1)
    assert copies.look("other:5432", "a") is None
    work.end("a")
    wait_for(lambda: copies.look(SERVER, "a") is None)
    assert work.running == []


def test_the_last_measured_copy_of_each_project_is_known(copies: BackgroundCopies) -> None:
    """A copy that an earlier operator process began is not measured."""

    def copy(project: str, database: str, result: MeasuredCopy | None) -> None:
        copies.begin(SERVER, project, database, 1, lambda: result)
        wait_for(lambda: copies.look(SERVER, database) is None)

    first, second = (MeasuredCopy(method=method, bytes=1, seconds=1) for method in tuple(CloneMethod)[:2])
    assert copies.read_measured(SERVER, "p") is None
    copy("p", "a", first)
    copy("other", "b", second)
    copy("p", "c", None)
    assert (copies.read_measured(SERVER, "p"), copies.read_measured(SERVER, "other")) == (first, second)
    copy("p", "d", second)
    assert copies.read_measured(SERVER, "p") == second
    assert copies.read_measured("other:5432", "p") is None


def test_one_project_leaves_room_for_the_others(copies: BackgroundCopies, work: Work) -> None:
    for number in range(20):
        copies.begin(SERVER, "first", f"first-{number:02}", 1, work.copy(f"first-{number:02}"))
    wait_for(lambda: len(work.running) == PER_PROJECT)
    assert copies.look(SERVER, "first-19") == ObservedCopy(number=1, started=False)
    copies.begin(SERVER, "second", "second", 1, work.copy("second"))
    wait_for(lambda: "second" in work.running)
    assert len(work.running) == PER_PROJECT + 1
    work.end("first-00")
    wait_for(lambda: "first-03" in work.running)  # the oldest one that waits
    assert len(work.running) == PER_PROJECT + 1
    work.end()
    wait_for(lambda: copies.look(SERVER, "first-19") is None)


def test_projects_that_fill_the_limit_of_a_server_leave_room_for_others(copies: BackgroundCopies, work: Work) -> None:
    for number in range(20):
        copies.begin(SERVER, f"large-{number % 4}", str(number), 1, work.copy(str(number)))
    wait_for(lambda: len(work.running) == PER_SERVER)
    copies.begin(SERVER, "small", "small", 1, work.copy("small"))
    wait_for(lambda: "small" in work.running)
    copies.begin(SERVER, "small", "second", 1, work.copy("second"))
    assert copies.look(SERVER, "second") == ObservedCopy(number=1, started=False)


def test_a_server_runs_a_limited_number_of_copies(copies: BackgroundCopies, work: Work) -> None:
    for number in range(FIRST_PER_SERVER + 2):
        copies.begin(SERVER, f"project-{number}", str(number), 1, work.copy(str(number)))
    copies.begin("other:5432", "project", "other", 1, work.copy("other"))
    wait_for(lambda: len(work.running) == FIRST_PER_SERVER + 1)
    assert "other" in work.running


def _raise(error: Exception) -> Callable[[], None]:
    def run() -> None:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "refused", "pause"),
    [
        pytest.param(ServerUnavailable(BUSY), False, 10, id="unavailable"),
        pytest.param(Refused(BUSY), True, 60, id="refused"),
    ],
)
def test_a_failure_is_shown_until_the_copy_begins_again(
    copies: BackgroundCopies, clock: Clock, work: Work, error: Exception, refused: bool, pause: float
) -> None:
    for expected in (pause, 2 * pause):
        copies.begin(SERVER, "p", "a", 1, _raise(error))
        wait_for(lambda: (copies.look(SERVER, "a") or ObservedCopy(number=0)).failure is not None)
        assert copies.look(SERVER, "a") == ObservedCopy(number=1, failure=BUSY, refused=refused)
        copies.begin(SERVER, "p", "a", 1, work.copy("too early"))
        clock.now += expected - 1
        assert copies.look(SERVER, "a") is not None
        clock.now += 1
        assert copies.look(SERVER, "a") is None
    assert work.running == []


def test_a_new_number_does_not_wait_for_the_end_of_a_pause(copies: BackgroundCopies, work: Work) -> None:
    copies.begin(SERVER, "p", "a", 1, _raise(Refused(BUSY)))
    wait_for(lambda: (copies.look(SERVER, "a") or ObservedCopy(number=0)).failure is not None)
    copies.begin(SERVER, "p", "a", 2, work.copy("a"))
    wait_for(lambda: work.running == ["a"])
    assert copies.look(SERVER, "a") == ObservedCopy(number=2)


def test_an_unexpected_error_is_shown_without_its_text(copies: BackgroundCopies) -> None:
    copies.begin(SERVER, "p", "a", 1, _raise(ValueError("with a secret")))
    wait_for(lambda: (copies.look(SERVER, "a") or ObservedCopy(number=0)).failure is not None)
    copy = copies.look(SERVER, "a")
    assert copy is not None
    assert copy.failure == Failure(Reason.REPEATED_ERROR, "the copy failed: ValueError")


def test_after_a_conflict_the_server_is_observed_again(copies: BackgroundCopies) -> None:
    copies.begin(SERVER, "p", "a", 1, _raise(Conflict("a newer copy exists")))
    wait_for(lambda: copies.look(SERVER, "a") is None)


def test_a_copy_that_waits_is_cancelled_at_once(copies: BackgroundCopies, work: Work) -> None:
    for number in range(PER_PROJECT + 1):
        copies.begin(SERVER, "p", str(number), 1, work.copy(str(number)))
    last = str(PER_PROJECT)
    assert copies.cancel(SERVER, last) is None
    work.end()
    wait_for(lambda: all(copies.look(SERVER, str(number)) is None for number in range(PER_PROJECT)))
    assert last not in work.running


def test_a_copy_that_waits_takes_another_source(copies: BackgroundCopies, work: Work) -> None:
    for number in range(PER_PROJECT):
        copies.begin(SERVER, "p", str(number), 1, work.copy(str(number)), "old")
    copies.begin(SERVER, "p", "a", 1, work.copy("of the old source"), "old")
    copies.begin(SERVER, "p", "a", 1, work.copy("of the new source"), "new")
    copies.begin(SERVER, "p", "0", 1, work.copy("too late"), "new")
    assert copies.look(SERVER, "a") == ObservedCopy(number=1, source="new", started=False)
    work.end("0")
    wait_for(lambda: "of the new source" in work.running)
    assert not {"of the old source", "too late"} & set(work.running)


def test_the_end_of_a_running_copy_can_be_awaited(copies: BackgroundCopies, work: Work) -> None:
    copies.begin(SERVER, "p", "a", 1, work.copy("a"))
    ended = copies.cancel(SERVER, "a")
    assert ended is not None
    assert not ended.is_set()
    work.end("a")
    assert ended.wait(10)
    assert copies.cancel(SERVER, "a") is None
