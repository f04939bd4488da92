"""Tests of the queue that hands out definitions to several sessions."""

import threading
from collections.abc import Collection
from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgimport.worker.engines.definitions.parallel import Job, JobQueue, run_jobs
from pgimport.worker.engines.definitions.session import DefinitionSession


def do_nothing(_session: DefinitionSession) -> None:
    """Stands for the statement of a job, which the queue does not execute."""


def build_job(job_id: int, tables: set[int], *, exclusive: bool = True, after_ids: Collection[int] = ()) -> Job:
    return Job(
        job_id=job_id,
        run=do_nothing,
        tables=frozenset(tables),
        exclusive=exclusive,
        after_ids=frozenset(after_ids),
    )


def take_without_waiting(queue: JobQueue) -> Job | None:
    return queue._take_ready()


class TestOrder:
    def test_a_job_that_must_wait_for_a_table_lets_others_pass(self) -> None:
        queue = JobQueue([build_job(1, {10}), build_job(2, {10}), build_job(3, {11})])
        first, second = take_without_waiting(queue), take_without_waiting(queue)
        assert first is not None
        assert second is not None
        assert (first.job_id, second.job_id) == (1, 3)
        assert take_without_waiting(queue) is None
        queue.finish(first)
        third = take_without_waiting(queue)
        assert third is not None
        assert third.job_id == 2

    def test_a_job_waits_for_the_jobs_that_it_depends_on(self) -> None:
        queue = JobQueue([build_job(2, {11}, after_ids={1, 99}), build_job(1, {10})])
        first = take_without_waiting(queue)
        assert first is not None
        assert first.job_id == 1
        assert take_without_waiting(queue) is None
        queue.finish(first)
        second = take_without_waiting(queue)
        assert second is not None
        assert second.job_id == 2

    def test_index_builds_share_a_table(self) -> None:
        queue = JobQueue([build_job(number, {10}, exclusive=number == 3) for number in range(5)])
        shared = [take_without_waiting(queue) for _ in range(4)]
        assert [job.job_id for job in shared if job is not None] == [0, 1, 2, 4]
        for job in shared:
            assert job is not None
            assert take_without_waiting(queue) is None
            queue.finish(job)
        last = take_without_waiting(queue)
        assert last is not None
        assert last.job_id == 3

    def test_a_stopped_queue_hands_out_nothing(self) -> None:
        queue = JobQueue([build_job(1, {10})])
        queue.stop()
        assert queue.take() is None


JOBS = st.lists(
    st.tuples(
        st.sets(st.integers(100, 104), max_size=3),
        st.booleans(),
        st.sets(st.integers(0, 20), max_size=2),
    ),
    max_size=20,
)


@given(rows=JOBS, choices=st.lists(st.integers(0, 10), min_size=40, max_size=40))
def test_every_job_runs_once_and_no_runnable_job_waits(rows: list[Any], choices: list[int]) -> None:
    # A job depends only on earlier ones, as in an archive.
    jobs = [
        build_job(number, tables, exclusive=exclusive, after_ids={other for other in after_ids if other < number})
        for number, (tables, exclusive, after_ids) in enumerate(rows)
    ]
    queue, running, finished = JobQueue(jobs), list[Job](), set[int]()
    for choice in choices:
        while (job := take_without_waiting(queue)) is not None:
            assert not any(conflicts(job, other) for other in running)
            assert {other for other in job.after_ids if other < len(jobs)} <= finished
            running.append(job)
        taken = finished | {job.job_id for job in running}
        for job in jobs:
            if job.job_id not in taken and job.after_ids <= finished:
                assert any(conflicts(job, other) for other in running), "a job that may run was not handed out"
        if not running:
            break
        ended = running.pop(choice % len(running))
        queue.finish(ended)
        finished.add(ended.job_id)
    assert finished == {job.job_id for job in jobs}
    assert queue.take() is None


def conflicts(job: Job, other: Job) -> bool:
    return (job.exclusive or other.exclusive) and not job.tables.isdisjoint(other.tables)


@pytest.mark.parametrize("exclusive", [True, False], ids=["foreign keys", "index builds"])
def test_many_jobs_of_one_table_cost_a_few_looks_each(monkeypatch: pytest.MonkeyPatch, exclusive: bool) -> None:
    looks, find_obstacle = 0, JobQueue._find_obstacle

    def count_looks(queue: JobQueue, job: Job) -> Any:
        nonlocal looks
        looks += 1
        return find_obstacle(queue, job)

    monkeypatch.setattr(JobQueue, "_find_obstacle", count_looks)
    users, count = 0, 2000
    queue = JobQueue([build_job(number, {users, number}, exclusive=exclusive) for number in range(1, count + 1)])
    running: list[Job] = []
    for _ in range(count):
        while len(running) < 4 and (job := take_without_waiting(queue)) is not None:
            running.append(job)
        queue.finish(running.pop())
    assert looks <= 4 * count


def test_the_first_error_is_raised_and_not_that_of_a_cancelled_statement() -> None:
    """Before, the error of the first session was raised: `canceling statement due to user request`."""
    is_running, is_cancelled = threading.Event(), threading.Event()

    class Session:
        def abort(self) -> None:
            is_cancelled.set()

    def wait_for_abort(_session: DefinitionSession) -> None:
        is_running.set()
        assert is_cancelled.wait(20)
        raise RuntimeError("the statement was cancelled")

    def fail(_session: DefinitionSession) -> None:
        assert is_running.wait(20)
        raise RuntimeError("the disk is full")

    session: Any = nullcontext(Session())
    jobs = [Job(job_id=1, run=wait_for_abort), Job(job_id=2, run=fail)]
    with pytest.raises(RuntimeError, match="the disk is full"):
        run_jobs(jobs, 2, lambda _: session)
