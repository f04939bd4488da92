"""Who builds what next: tables whose rows are in come in; builds that may run now go out, to several threads.

A build waits for its table's rows, and for whoever has the table to itself. Nothing waits at the server, so that
nothing can wait for each other there.
"""

import threading
from collections.abc import Collection, Iterable

from pgimport.worker.engines.relay.index_builds import IndexBuild


class IndexQueue:
    """Of one import; safe to use from several threads.

    `slots`: how much may run at the copy's server at once, streams and builders together; one builder always may.
    """

    def __init__(self, builds: Iterable[IndexBuild], slots: int) -> None:
        self._waiting = list(builds)
        self._slots = slots
        self._streams = 0
        self._running: list[IndexBuild] = []
        self._tables: set[int] = set()
        self._done: set[int] = set()
        self._stopped = False
        self._changed = threading.Condition()

    def begin_stream(self) -> None:
        with self._changed:
            self._streams += 1

    def end_stream(self) -> None:
        with self._changed:
            self._streams -= 1
            self._changed.notify_all()

    def add_loaded_tables(self, tables: Collection[int]) -> None:
        """Of these tables, by oid."""
        with self._changed:
            self._tables.update(tables)
            self._changed.notify_all()

    def stop(self) -> None:
        """Nothing more is handed out."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    @property
    def stopped(self) -> bool:
        return self._stopped

    def take(self) -> IndexBuild | None:
        """The heaviest that may run now, waited for; None where there is no more to do."""
        with self._changed:
            while not self._stopped and self._waiting:
                if (found := self._find()) is not None:
                    self._waiting.remove(found)
                    self._running.append(found)
                    return found
                self._changed.wait()
            return None

    def finish(self, build: IndexBuild) -> None:
        with self._changed:
            self._running.remove(build)
            self._done.add(build.build_id)
            self._changed.notify_all()

    def _find(self) -> IndexBuild | None:
        if self._running and len(self._running) + self._streams >= self._slots:
            return None
        return next((build for build in self._waiting if self._may_run(build)), None)

    def _may_run(self, build: IndexBuild) -> bool:
        if build.table_oid not in self._tables or (build.after_id is not None and build.after_id not in self._done):
            return False
        beside = [one for one in self._running if one.table_oid == build.table_oid]
        if build.runs_last and any(one.table_oid == build.table_oid and not one.runs_last for one in self._waiting):
            return False
        return not beside or not (build.exclusive or any(one.exclusive for one in beside))
