"""Runs jobs in several sessions of the shadow, so that none waits for another one's lock at the server.

A job starts when no running job holds a conflicting lock, and when the jobs that it depends on have ended. Therefore
jobs cannot deadlock at the server. The first error in a session ends all of them.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from heapq import heappop, heappush

from pgimport.worker.engines.definitions.session import DefinitionSession


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One statement, or a few that belong together."""

    job_id: int
    run: Callable[[DefinitionSession], None]
    after_ids: frozenset[int] = frozenset()  # ids of jobs that end before this one starts, if they are in the queue
    tables: frozenset[int] = frozenset()  # tables that it locks
    exclusive: bool = True  # whether no other job may lock the tables at the same time


# What a job waits for: the id of a job that must end first, or a table, with the kind of lock that it needs.
_JobId = int
_TableLock = tuple[int, bool]  # table, whether exclusive
_Obstacle = _JobId | _TableLock
_Place = tuple[int, Job, _Obstacle | None]  # position in the list of jobs, and the obstacle that it waited for last


class JobQueue:
    """Hands out jobs in their order, except those that must wait. Thread-safe.

    Each waiting job is stored under the table or job that blocks it, so dispatching N jobs takes O(N) checks.
    """

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._ready: list[_Place] = [(position, job, None) for position, job in enumerate(jobs)]  # a heap
        self._parked: dict[_Obstacle, list[_Place]] = {}  # heaps
        self._unfinished = {job.job_id for _, job, _ in self._ready}
        self._untaken = len(self._ready)
        self._locks: Counter[int] = Counter()  # table → number of running jobs that lock it
        self._exclusive_locks: set[int] = set()
        self._stopped = False
        self._changed = threading.Condition()

    def take(self) -> Job | None:
        """Waits for a job that may run. Returns None if all have been taken, or if the queue was stopped."""
        with self._changed:
            while self._untaken and not self._stopped:
                if (job := self._take_ready()) is not None:
                    return job
                self._changed.wait()
            return None

    def finish(self, job: Job) -> None:
        with self._changed:
            self._unfinished.discard(job.job_id)
            for place in self._parked.pop(job.job_id, []):
                heappush(self._ready, place)
            for table in job.tables:
                self._locks[table] -= 1
                self._exclusive_locks.discard(table)
                self._release_first((table, True))
                self._release_first((table, False))
            self._changed.notify_all()

    def stop(self) -> None:
        """Makes every call of `take` return None from now on."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _take_ready(self) -> Job | None:
        while self._ready:
            position, job, passed = heappop(self._ready)
            obstacle = self._find_obstacle(job)
            if obstacle is not None:
                heappush(self._parked.setdefault(obstacle, []), (position, job, obstacle))
            else:
                self._untaken -= 1
                self._locks.update(job.tables)
                if job.exclusive:
                    self._exclusive_locks.update(job.tables)
            # The next one that waited for the same table may run, unless this one still waits for it.
            if isinstance(passed, tuple) and obstacle != passed:
                self._release_first(passed)
            if obstacle is None:
                return job
        return None

    def _find_obstacle(self, job: Job) -> _Obstacle | None:
        unfinished = next((other for other in job.after_ids if other != job.job_id and other in self._unfinished), None)
        if unfinished is not None:
            return unfinished
        locked = self._locks if job.exclusive else self._exclusive_locks
        table = next((table for table in job.tables if table in locked and self._locks[table]), None)
        return None if table is None else (table, job.exclusive)

    def _release_first(self, lock: _TableLock) -> None:
        if parked := self._parked.get(lock):
            heappush(self._ready, heappop(parked))


def run_jobs(jobs: list[Job], sessions: int, open_session: Callable[[int], DefinitionSession]) -> None:
    """Runs all jobs in at most `sessions` sessions, then makes them durable. Raises ImportStopped.

    `open_session` gets the number of sessions. A job must not depend on a job that depends on it.
    """
    count = min(sessions, len(jobs))
    if count == 0:
        return
    queue, opened, errors = JobQueue(jobs), list[DefinitionSession](), list[BaseException]()

    def run_remaining() -> None:
        try:
            with open_session(count) as session:
                opened.append(session)
                while (job := queue.take()) is not None:
                    job.run(session)
                    queue.finish(job)
                session.flush()
        except BaseException as error:
            errors.append(error)  # before others fail because their statements are cancelled
            queue.stop()
            for other in opened:
                other.abort()

    with ThreadPoolExecutor(count) as pool:
        for _ in range(count):
            pool.submit(run_remaining)
    if errors:
        raise errors[0]
