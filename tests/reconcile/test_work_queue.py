"""The work queue: one worker a key, no event lost, none doubled, delays that double and end."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise

import pytest

from pgimport.model.errors import Conflict, KubernetesUnavailable, NotFound
from pgimport.model.names import IMPORTS
from pgimport.model.resources import ResourceKey
from pgimport.reconcile.work_queue import CONFLICT_DELAY, FIRST_DELAY, LAST_DELAY, ReconcileResult, WorkQueue

ONE, OTHER = ResourceKey(IMPORTS, "shop", "one"), ResourceKey(IMPORTS, "shop", "other")
SOON = 0.02
PATIENCE = 5.0


class Looks:
    """Work that remembers when it was done, and says what the test tells it to say."""

    def __init__(
        self, say: Callable[[ResourceKey, int], ReconcileResult] = lambda key, count: ReconcileResult()
    ) -> None:
        self.say = say
        self.begun: list[tuple[ResourceKey, float]] = []
        self.changed = threading.Condition()

    def __call__(self, key: ResourceKey) -> ReconcileResult:
        with self.changed:
            self.begun.append((key, time.monotonic()))
            count = sum(found == key for found, _ in self.begun)
            self.changed.notify_all()
        return self.say(key, count)

    def times(self, key: ResourceKey = ONE) -> list[float]:
        with self.changed:
            return [at for found, at in self.begun if found == key]

    def wait(self, count: int, key: ResourceKey = ONE) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: sum(found == key for found, _ in self.begun) >= count, PATIENCE)


@contextmanager
def running(work: Callable[[ResourceKey], ReconcileResult], workers: int = 4) -> Iterator[WorkQueue]:
    queue = WorkQueue(work, workers=workers)
    queue.start()
    try:
        yield queue
    finally:
        queue.stop()


def rest() -> None:
    """Long enough for what is due to be done, and for what must not be done to show itself."""
    time.sleep(0.1)


def test_a_key_is_looked_at_once() -> None:
    looks = Looks()
    with running(looks) as queue:
        queue.add(ONE)
        looks.wait(1)
        rest()
    assert len(looks.times()) == 1


def test_many_events_before_a_look_are_one_look() -> None:
    looks = Looks()
    queue = WorkQueue(looks)
    for _ in range(50):
        queue.add(ONE)
    queue.start()
    looks.wait(1)
    rest()
    queue.stop()
    assert len(looks.times()) == 1


def test_a_key_has_one_worker_at_a_time_and_events_during_its_work_lead_to_one_more_look() -> None:
    release, at_work, most = threading.Event(), [0], [0]

    def work(key: ResourceKey) -> ReconcileResult:
        at_work[0] += 1
        most[0] = max(most[0], at_work[0])
        looks(key)
        release.wait(PATIENCE)
        at_work[0] -= 1
        return ReconcileResult()

    looks = Looks()
    with running(work) as queue:
        queue.add(ONE)
        looks.wait(1)
        for _ in range(20):
            queue.add(ONE)
        rest()
        assert len(looks.times()) == 1
        release.set()
        looks.wait(2)
        rest()
    assert len(looks.times()) == 2
    assert most == [1]


def test_two_keys_are_worked_on_at_the_same_time() -> None:
    meeting = threading.Barrier(2)

    def work(key: ResourceKey) -> ReconcileResult:
        meeting.wait(PATIENCE)
        looks(key)
        return ReconcileResult()

    looks = Looks()
    with running(work) as queue:
        queue.add(ONE)
        queue.add(OTHER)
        looks.wait(1, ONE)
        looks.wait(1, OTHER)


def test_a_look_comes_back_when_it_was_asked_to() -> None:
    looks = Looks(lambda key, count: ReconcileResult(requeue_after=timedelta(seconds=SOON) if count == 1 else None))
    with running(looks) as queue:
        queue.add(ONE)
        looks.wait(2)
        rest()
    first, second = looks.times()
    assert second - first >= SOON


def test_a_look_concerns_others_as_well() -> None:
    looks = Looks(lambda key, count: ReconcileResult(wake=(OTHER,)) if key == ONE else ReconcileResult())
    with running(looks) as queue:
        queue.add(ONE)
        looks.wait(1, OTHER)


def test_of_two_times_the_earlier_one_wins() -> None:
    looks = Looks()
    with running(looks) as queue:
        queue.add(ONE, after=30)
        queue.add(ONE, after=SOON)
        queue.add(ONE, after=30)
        looks.wait(1)
        rest()
    assert len(looks.times()) == 1


def test_an_event_does_not_wait_for_the_next_look_that_was_planned() -> None:
    looks = Looks(lambda key, count: ReconcileResult(requeue_after=timedelta(hours=1)))
    with running(looks) as queue:
        queue.add(ONE)
        looks.wait(1)
        queue.add(ONE)
        looks.wait(2)


@pytest.mark.parametrize(
    ("error", "first"),
    [
        pytest.param(Conflict("changed"), CONFLICT_DELAY, id="a conflict"),
        pytest.param(KubernetesUnavailable("away"), FIRST_DELAY, id="Kubernetes is away"),
        pytest.param(NotFound("gone"), FIRST_DELAY, id="an error of ours that nobody caught"),
        pytest.param(ZeroDivisionError("nobody expected this"), FIRST_DELAY, id="an unexpected exception"),
    ],
)
def test_a_look_that_raises_is_repeated_after_its_delay(error: Exception, first: float) -> None:
    def say(key: ResourceKey, count: int) -> ReconcileResult:
        if count == 1:
            raise error
        return ReconcileResult()

    looks = Looks(say)
    with running(looks) as queue:
        queue.add(ONE)
        looks.wait(2)
    begun, again = looks.times()
    assert again - begun >= first


def test_the_delay_doubles_and_starts_anew_after_a_look_that_went_well() -> None:
    def say(key: ResourceKey, count: int) -> ReconcileResult:
        if count in (1, 2, 3, 5):
            raise Conflict("changed")
        return ReconcileResult()

    looks = Looks(say)
    with running(looks) as queue:
        queue.add(ONE)
        looks.wait(4)
        rest()
        queue.add(ONE)
        looks.wait(6)
    at = looks.times()
    gaps = [later - earlier for earlier, later in pairwise(at)]
    for gap, delay in zip(gaps[:3], (CONFLICT_DELAY, 2 * CONFLICT_DELAY, 4 * CONFLICT_DELAY), strict=True):
        assert gap >= delay
    assert CONFLICT_DELAY <= gaps[4] < 4 * CONFLICT_DELAY


def test_the_delay_has_an_end() -> None:
    queue = WorkQueue(Looks())
    delays = [queue._next_delay(ONE, FIRST_DELAY) for _ in range(2000)]
    assert delays[:3] == [FIRST_DELAY, 2 * FIRST_DELAY, 4 * FIRST_DELAY]
    assert delays[-1] == LAST_DELAY


def test_a_worker_outlives_an_exception() -> None:
    def say(key: ResourceKey, count: int) -> ReconcileResult:
        if key == ONE:
            raise RuntimeError("broken")
        return ReconcileResult()

    looks = Looks(say)
    with running(looks, workers=1) as queue:
        queue.add(ONE)
        looks.wait(1)
        queue.add(OTHER)
        looks.wait(1, OTHER)


def test_stop_lets_a_look_end_and_begins_no_other() -> None:
    release = threading.Event()
    ended: list[ResourceKey] = []

    def work(key: ResourceKey) -> ReconcileResult:
        looks(key)
        release.wait(PATIENCE)
        ended.append(key)
        return ReconcileResult(wake=(OTHER,))

    looks = Looks()
    queue = WorkQueue(work, workers=1)
    queue.start()
    queue.add(ONE)
    looks.wait(1)
    queue.add(OTHER)
    threading.Timer(SOON, release.set).start()
    queue.stop()
    assert ended == [ONE]
    assert looks.times(OTHER) == []
