"""Hands out index builds to several threads, so that no build waits for another one's lock at the server.

A build waits in the queue until its table's rows are committed and no conflicting build runs on the table. Therefore
builds cannot deadlock at the server.
"""

import threading
from collections.abc import Collection, Iterable

from pgimport.worker.engines.relay.index_builds import IndexBuild


class IndexQueue:
    """Queue of the index builds of one import. Thread-safe.

    `slots`: how many streams and builds may use the target at the same time (not the slots of a Project). One build may
    run even if no slot is free.
    """

    def __init__(self, builds: Iterable[IndexBuild], slots: int) -> None:
        self._waiting = list(builds)
        self._slots = slots
        self._active_streams = 0
        self._running: list[IndexBuild] = []
        self._loaded_table_oids: set[int] = set()
        self._finished_ids: set[int] = set()
        self._stopped = False
        self._changed = threading.Condition()

    def begin_stream(self) -> None:
        """Takes a slot for a stream, without waiting."""
        with self._changed:
            self._active_streams += 1

    def end_stream(self) -> None:
        """Frees the slot of a stream."""
        with self._changed:
            self._active_streams -= 1
            self._changed.notify_all()

    def add_loaded_tables(self, table_oids: Collection[int]) -> None:
        """Releases the builds of these tables: their rows are committed."""
        with self._changed:
            self._loaded_table_oids.update(table_oids)
            self._changed.notify_all()

    def stop(self) -> None:
        """Makes every call of `take` return None from now on."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    @property
    def stopped(self) -> bool:
        return self._stopped

    def take(self) -> IndexBuild | None:
        """Waits for a build that may run, and returns the heaviest one.

        Returns None if all builds have been taken, or if the queue was stopped.
        """
        with self._changed:
            while not self._stopped and self._waiting:
                if (build := self._find_runnable()) is not None:
                    self._waiting.remove(build)
                    self._running.append(build)
                    return build
                self._changed.wait()
            return None

    def finish(self, build: IndexBuild) -> None:
        """Marks a build that `take` returned as done."""
        with self._changed:
            self._running.remove(build)
            self._finished_ids.add(build.build_id)
            self._changed.notify_all()

    def _find_runnable(self) -> IndexBuild | None:
        if self._running and len(self._running) + self._active_streams >= self._slots:
            return None
        return next((build for build in self._waiting if self._may_run(build)), None)

    def _may_run(self, build: IndexBuild) -> bool:
        if build.table_oid not in self._loaded_table_oids:
            return False
        if build.after_id is not None and build.after_id not in self._finished_ids:
            return False
        if build.runs_last and any(
            waiting.table_oid == build.table_oid and not waiting.runs_last for waiting in self._waiting
        ):
            return False
        running_on_table = [running for running in self._running if running.table_oid == build.table_oid]
        return not running_on_table or not (build.exclusive or any(running.exclusive for running in running_on_table))
