"""Background drops: one at a time for each server, and no caller waits long."""

import threading
from itertools import pairwise

import pytest

from pgimport.model.errors import Conflict, ServerUnavailable
from pgimport.model.reasons import Failure, Reason
from pgimport.reconcile.background_drops import FIRST_PAUSE, LONGEST_PAUSE, BackgroundDrops

pytestmark = pytest.mark.isolation
BUSY = ServerUnavailable(Failure(Reason.TARGET_BUSY, "database shop cannot be dropped"))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _fail(attempts: list[float], clock: Clock) -> None:
    attempts.append(clock.now)
    raise BUSY


def test_a_drop_that_is_done_returns_and_one_that_fails_raises() -> None:
    drops = BackgroundDrops()
    done: list[str] = []
    drops.run("server", "shop", lambda: done.append("shop"))
    assert done == ["shop"]
    with pytest.raises(ServerUnavailable, match="cannot be dropped"):
        drops.run("server", "shop", lambda: _fail([], Clock()))


def test_a_slow_drop_delays_neither_its_caller_nor_another_server() -> None:
    drops, release, last = BackgroundDrops(patience=0.05), threading.Event(), threading.Event()
    done: list[str] = []

    def drop_shop() -> None:
        release.wait()
        done.append("shop")

    def drop_other() -> None:
        done.append("other")
        last.set()

    for _ in range(2):
        with pytest.raises(ServerUnavailable, match="shop is being dropped in the background"):
            drops.run("server", "shop", drop_shop)
    with pytest.raises(ServerUnavailable, match="other is being dropped in the background"):
        drops.run("server", "other", drop_other)
    drops.run("elsewhere", "third", lambda: done.append("third"))
    assert done == ["third"]
    release.set()
    assert last.wait(10)
    assert done == ["third", "shop", "other"]  # one after another, and each once
    drops.run("server", "shop", lambda: done.append("again"))  # takes the result of the first drop
    assert done == ["third", "shop", "other"]


def test_a_drop_that_fails_runs_again_after_pauses_of_up_to_ten_minutes() -> None:
    clock = Clock()
    attempts: list[float] = []
    drops = BackgroundDrops(clock)
    for second in range(0, 4000, 10):
        clock.now = float(second)
        with pytest.raises(ServerUnavailable):
            drops.run("server", "shop", lambda: _fail(attempts, clock))
    pauses = [later - earlier for earlier, later in pairwise(attempts)]
    assert pauses[0] == FIRST_PAUSE
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE


def test_a_clean_up_leaves_a_failed_drop_to_the_sweep() -> None:
    BackgroundDrops().run_or_leave("server", "shop", lambda: _fail([], Clock()))


def test_a_conflict_is_not_remembered() -> None:
    drops = BackgroundDrops()

    def refuse() -> None:
        raise Conflict("database shop was replaced since it was last observed")

    with pytest.raises(Conflict):
        drops.run("server", "shop", refuse)
    drops.run("server", "shop", lambda: None)


def test_a_later_request_does_not_get_the_result_of_an_earlier_one() -> None:
    """A preview is reset again before the operator has seen that the first reset is done."""
    drops, release = BackgroundDrops(patience=0.05), threading.Event()
    done: list[str] = []

    def reset() -> None:
        release.wait()
        done.append("first")

    with pytest.raises(ServerUnavailable):
        drops.run("server", "shop", reset, request=1)
    release.set()
    drops.run("server", "shop", lambda: done.append("second"), request=2)
    assert done == ["first", "second"]


def test_a_caller_that_does_not_wait_gets_the_result_later() -> None:
    drops, release, ended = BackgroundDrops(), threading.Event(), threading.Event()

    def drop() -> None:
        release.wait()
        ended.set()

    with pytest.raises(ServerUnavailable, match="is being dropped in the background"):
        drops.run("server", "shop", drop, waits=False)
    release.set()
    assert ended.wait(10)
    drops.run("server", "shop", drop)
