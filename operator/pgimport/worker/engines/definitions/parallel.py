"""Runs jobs in several sessions of the shadow, so that none waits for another one's lock at the server.

A job starts when no running job holds a conflicting lock, and when the jobs that it depends on have ended. Therefore
jobs cannot deadlock at the server. The first error in a session ends all of them.
"""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pgimport.worker.engines.definitions.session import DefinitionSession


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One statement, or a few that belong together."""

    job_id: int
    run: Callable[[DefinitionSession], None]
    after_ids: frozenset[int] = frozenset()  # ids of jobs that end before this one starts, if they are in the queue
    tables: frozenset[int] = frozenset()  # tables that it locks
    exclusive: bool = True  # whether no other job may lock the tables at the same time


class _JobQueue:
    """Hands out jobs in their order, except those that must wait. Thread-safe."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._waiting = {job.job_id: job for job in jobs}
        self._running: dict[int, Job] = {}
        self._stopped = False
        self._changed = threading.Condition()

    def take(self) -> Job | None:
        """Waits for a job that may run. Returns None if all have been taken, or if the queue was stopped."""
        with self._changed:
            while self._waiting and not self._stopped:
                job = next((job for job in self._waiting.values() if self._may_run(job)), None)
                if job is not None:
                    self._running[job.job_id] = self._waiting.pop(job.job_id)
                    return job
                self._changed.wait()
            return None

    def finish(self, job: Job) -> None:
        with self._changed:
            del self._running[job.job_id]
            self._changed.notify_all()

    def stop(self) -> None:
        """Makes every call of `take` return None from now on."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _may_run(self, job: Job) -> bool:
        if any(other in self._waiting or other in self._running for other in job.after_ids - {job.job_id}):
            return False
        return not any(
            (job.exclusive or running.exclusive) and not job.tables.isdisjoint(running.tables)
            for running in self._running.values()
        )


def run_jobs(jobs: list[Job], sessions: int, open_session: Callable[[int], DefinitionSession]) -> None:
    """Runs all jobs in at most that many sessions, then makes them durable. Raises ImportStopped.

    `open_session` gets the number of sessions. A job must not depend on a job that depends on it.
    """
    count = min(sessions, len(jobs))
    if count == 0:
        return
    queue, opened = _JobQueue(jobs), list[DefinitionSession]()

    def run_remaining() -> None:
        try:
            with open_session(count) as session:
                opened.append(session)
                while (job := queue.take()) is not None:
                    job.run(session)
                    queue.finish(job)
                session.flush()
        except BaseException:
            queue.stop()
            for other in opened:
                other.abort()
            raise

    with ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(run_remaining) for _ in range(count)]
    errors = [error for future in futures if (error := future.exception()) is not None]
    if errors:
        raise errors[0]
