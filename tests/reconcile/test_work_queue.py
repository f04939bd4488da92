"""The work queue: one worker per key, no lost events, and delays that double up to a maximum."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise

import pytest

from pgimport.model.errors import Conflict, KubernetesUnavailable, NotFound
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS
from pgimport.model.resources import ResourceKey
from pgimport.reconcile.work_queue import CONFLICT_DELAY, FIRST_DELAY, LAST_DELAY, LOUD, ReconcileResult, WorkQueue

FIRST, OTHER = ResourceKey(IMPORTS, "shop", "first"), ResourceKey(IMPORTS, "shop", "other")
SOON = 0.02
PATIENCE = 5.0


class Recorder:
    """Records when each key was reconciled, and returns what the test wants."""

    def __init__(
        self, answer: Callable[[ResourceKey, int], ReconcileResult] = lambda key, count: ReconcileResult()
    ) -> None:
        self.answer = answer
        self.begun: list[tuple[ResourceKey, float]] = []
        self.changed = threading.Condition()

    def __call__(self, key: ResourceKey) -> ReconcileResult:
        with self.changed:
            self.begun.append((key, time.monotonic()))
            count = sum(begun == key for begun, _ in self.begun)
            self.changed.notify_all()
        return self.answer(key, count)

    def times(self, key: ResourceKey = FIRST) -> list[float]:
        with self.changed:
            return [at for begun, at in self.begun if begun == key]

    def wait(self, count: int, key: ResourceKey = FIRST) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: sum(begun == key for begun, _ in self.begun) >= count, PATIENCE)


@contextmanager
def running(work: Callable[[ResourceKey], ReconcileResult], workers: int = 4) -> Iterator[WorkQueue]:
    queue = WorkQueue(work, workers=workers)
    queue.start()
    try:
        yield queue
    finally:
        queue.stop()


def rest() -> None:
    """Waits long enough for everything that is due, and so long that a forbidden reconcile would have happened."""
    time.sleep(0.1)


def test_a_key_is_reconciled_once() -> None:
    recorder = Recorder()
    with running(recorder) as queue:
        queue.add(FIRST)
        recorder.wait(1)
        rest()
    assert len(recorder.times()) == 1


def test_many_events_before_a_reconcile_lead_to_one_reconcile() -> None:
    recorder = Recorder()
    queue = WorkQueue(recorder)
    for _ in range(50):
        queue.add(FIRST)
    queue.start()
    recorder.wait(1)
    rest()
    queue.stop()
    assert len(recorder.times()) == 1


def test_a_key_has_one_worker_and_events_during_its_work_lead_to_one_more_reconcile() -> None:
    release, at_work, maximum = threading.Event(), [0], [0]

    def work(key: ResourceKey) -> ReconcileResult:
        at_work[0] += 1
        maximum[0] = max(maximum[0], at_work[0])
        recorder(key)
        release.wait(PATIENCE)
        at_work[0] -= 1
        return ReconcileResult()

    recorder = Recorder()
    with running(work) as queue:
        queue.add(FIRST)
        recorder.wait(1)
        for _ in range(20):
            queue.add(FIRST)
        rest()
        assert len(recorder.times()) == 1
        release.set()
        recorder.wait(2)
        rest()
    assert len(recorder.times()) == 2
    assert maximum == [1]


def test_two_keys_are_reconciled_at_the_same_time() -> None:
    meeting = threading.Barrier(2)

    def work(key: ResourceKey) -> ReconcileResult:
        meeting.wait(PATIENCE)
        recorder(key)
        return ReconcileResult()

    recorder = Recorder()
    with running(work) as queue:
        queue.add(FIRST)
        queue.add(OTHER)
        recorder.wait(1, FIRST)
        recorder.wait(1, OTHER)


def test_a_key_comes_back_after_requeue_after() -> None:
    recorder = Recorder(
        lambda key, count: ReconcileResult(requeue_after=timedelta(seconds=SOON) if count == 1 else None)
    )
    with running(recorder) as queue:
        queue.add(FIRST)
        recorder.wait(2)
        rest()
    first, second = recorder.times()
    assert second - first >= SOON


def test_a_reconcile_wakes_other_keys() -> None:
    recorder = Recorder(lambda key, count: ReconcileResult(wake=(OTHER,)) if key == FIRST else ReconcileResult())
    with running(recorder) as queue:
        queue.add(FIRST)
        recorder.wait(1, OTHER)


def test_the_earliest_of_several_times_counts() -> None:
    recorder = Recorder()
    with running(recorder) as queue:
        queue.add(FIRST, after=30)
        queue.add(FIRST, after=SOON)
        queue.add(FIRST, after=30)
        recorder.wait(1)
        rest()
    assert len(recorder.times()) == 1


def test_an_event_does_not_wait_for_requeue_after() -> None:
    recorder = Recorder(lambda key, count: ReconcileResult(requeue_after=timedelta(hours=1)))
    with running(recorder) as queue:
        queue.add(FIRST)
        recorder.wait(1)
        queue.add(FIRST)
        recorder.wait(2)


@pytest.mark.parametrize(
    ("error", "first"),
    [
        pytest.param(Conflict("changed"), CONFLICT_DELAY, id="a conflict"),
        pytest.param(KubernetesUnavailable("no answer"), FIRST_DELAY, id="Kubernetes does not answer"),
        pytest.param(NotFound("gone"), FIRST_DELAY, id="one of our own errors"),
        pytest.param(ZeroDivisionError("unexpected"), FIRST_DELAY, id="an unexpected exception"),
    ],
)
def test_a_reconcile_that_raises_is_repeated_after_its_delay(error: Exception, first: float) -> None:
    def answer(key: ResourceKey, count: int) -> ReconcileResult:
        if count == 1:
            raise error
        return ReconcileResult()

    recorder = Recorder(answer)
    with running(recorder) as queue:
        queue.add(FIRST)
        recorder.wait(2)
    first_time, second_time = recorder.times()
    assert second_time - first_time >= first


def test_the_delay_doubles_and_is_reset_by_a_success() -> None:
    def answer(key: ResourceKey, count: int) -> ReconcileResult:
        if count in (1, 2, 3, 5):
            raise Conflict("changed")
        return ReconcileResult()

    recorder = Recorder(answer)
    with running(recorder) as queue:
        queue.add(FIRST)
        recorder.wait(4)
        rest()
        queue.add(FIRST)
        recorder.wait(6)
    at = recorder.times()
    gaps = [later - earlier for earlier, later in pairwise(at)]
    for gap, delay in zip(gaps[:3], (CONFLICT_DELAY, 2 * CONFLICT_DELAY, 4 * CONFLICT_DELAY), strict=True):
        assert gap >= delay
    assert CONFLICT_DELAY <= gaps[4] < 4 * CONFLICT_DELAY


@pytest.mark.isolation
def test_every_exception_is_reported_with_its_number_and_conflicts_become_loud(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reports: list[int] = []

    def work(key: ResourceKey) -> ReconcileResult:
        if len(reports) == LOUD:
            return ReconcileResult()
        raise Conflict("it belongs to somebody else")

    def report(key: ResourceKey, count: int, error: Exception) -> None:
        reports.append(count)
        raise RuntimeError("the report fails too")

    recorder = Recorder()
    queue = WorkQueue(lambda key: (recorder(key), work(key))[1], workers=1, report=report)
    queue.start()
    queue.add(FIRST)
    recorder.wait(LOUD + 1)
    queue.stop()
    assert reports == [1, 2, 3, 4, 5]
    warnings = [item for item in caplog.records if item.levelname == "WARNING" and "has changed" in item.message]
    assert len(warnings) == 1


def test_the_delay_has_a_maximum() -> None:
    queue = WorkQueue(Recorder())
    delays = [queue._next_delay(FIRST, FIRST_DELAY) for _ in range(2000)]
    assert delays[:3] == [FIRST_DELAY, 2 * FIRST_DELAY, 4 * FIRST_DELAY]
    assert delays[-1] == LAST_DELAY


@pytest.mark.isolation
def test_a_project_whose_keys_block_delays_no_other_project() -> None:
    """Seen before: 20 previews of one tenant occupied all 8 workers for the 10 s of a connection that hangs."""
    release = threading.Event()

    def work(key: ResourceKey) -> ReconcileResult:
        recorder(key)
        if key.namespace.startswith("hostile"):
            release.wait(PATIENCE)
        return ReconcileResult()

    recorder = Recorder()
    hostile = [ResourceKey(PREVIEWS, f"hostile{n % 6}", f"p{n}") for n in range(120)]
    with running(work, workers=8) as queue:
        for key in hostile:
            queue.add(key)
        wait_until(lambda: len(recorder.begun) == 48)
        started = time.monotonic()
        queue.add(OTHER)
        queue.add(ResourceKey(PROJECTS, "", "hostile"))
        recorder.wait(1, OTHER)
        recorder.wait(1, ResourceKey(PROJECTS, "", "hostile"))
        assert time.monotonic() - started < 3
        rest()
        assert sum(key.namespace == "hostile0" for key, _ in recorder.begun) == 8
        release.set()
        wait_until(lambda: len(recorder.begun) == 122)
    assert sorted(key.name for key, _ in recorder.begun if key.namespace == "hostile0") == sorted(
        key.name for key in hostile if key.namespace == "hostile0"
    )


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_free_worker_costs_one_step_however_many_keys_of_its_tenant_wait() -> None:
    """Seen before: each end of a reconcile put all waiting keys back, so 10,000 keys cost 6.5 s of a core."""
    begin, lengths = threading.Event(), []

    def work(key: ResourceKey) -> ReconcileResult:
        begin.wait(PATIENCE)
        lengths.append(len(queue._heap))
        return ReconcileResult()

    with running(work, workers=1) as queue:
        for number in range(50):
            queue.add(ResourceKey(IMPORTS, "shop", f"import-{number}"))
        wait_until(lambda: len(queue._held.get("namespace shop", ())) == 49)
        begin.set()
        wait_until(lambda: len(lengths) == 50)
    assert max(lengths) <= 1


def test_a_waiting_key_that_was_added_again_is_reconciled_once() -> None:
    begin, recorder = threading.Event(), Recorder()

    def work(key: ResourceKey) -> ReconcileResult:
        if key == FIRST:
            begin.wait(PATIENCE)
        return recorder(key)

    with running(work, workers=1) as queue:
        queue.add(FIRST)
        queue.add(OTHER, after=SOON)
        wait_until(lambda: bool(queue._held))
        queue.add(OTHER, after=-1.0)  # is due earlier, and replaces the waiting entry
        begin.set()
        recorder.wait(1, OTHER)
        rest()
    assert len(recorder.times(OTHER)) == 1


def test_a_worker_survives_an_exception() -> None:
    def answer(key: ResourceKey, count: int) -> ReconcileResult:
        if key == FIRST:
            raise RuntimeError("broken")
        return ReconcileResult()

    recorder = Recorder(answer)
    with running(recorder, workers=1) as queue:
        queue.add(FIRST)
        recorder.wait(1)
        queue.add(OTHER)
        recorder.wait(1, OTHER)


def test_stop_waits_for_a_reconcile_and_begins_no_other() -> None:
    release = threading.Event()
    ended: list[ResourceKey] = []

    def work(key: ResourceKey) -> ReconcileResult:
        recorder(key)
        release.wait(PATIENCE)
        ended.append(key)
        return ReconcileResult(wake=(OTHER,))

    recorder = Recorder()
    queue = WorkQueue(work, workers=1)
    queue.start()
    queue.add(FIRST)
    recorder.wait(1)
    queue.add(OTHER)
    threading.Timer(SOON, release.set).start()
    queue.stop()
    assert ended == [FIRST]
    assert recorder.times(OTHER) == []
