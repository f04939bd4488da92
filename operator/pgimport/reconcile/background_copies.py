"""Copies databases in threads of their own, so that no worker of the work queue waits for them.

A copy of a large database can take hours. The number of copies at the same time is limited for each server, and for
each Project on it, so that tenants leave room for the others.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pgimport.model.errors import Conflict, Refused, ServerUnavailable
from pgimport.model.observations import MeasuredCopy, ObservedCopy
from pgimport.model.reasons import Failure, Reason

logger = logging.getLogger(__name__)

PER_PROJECT = 3
PER_SERVER = 6
FIRST_PER_SERVER = 12  # if the Project has no other copy on the server: no two Projects keep a third one waiting
# Seconds before a copy that failed, or that the server refused, begins again. They double each time.
FIRST_PAUSE, REFUSED_PAUSE = 10.0, 60.0
LONGEST_PAUSE = 600.0

_Key = tuple[str, str]  # server and database


@dataclass(slots=True)
class _Copy:
    project: str
    number: int
    work: Callable[[], MeasuredCopy | None] = field(repr=False)
    source: str | None
    failures: int = 0
    started: bool = False
    failure: Failure | None = None
    refused: bool = False
    next_attempt: float = 0.0
    ended: threading.Event = field(default_factory=threading.Event)


class BackgroundCopies:
    """Runs copies by server and database; safe to share between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._copies: dict[_Key, _Copy] = {}
        self._measured: dict[tuple[str, str], MeasuredCopy] = {}  # the last copy by server and Project
        self._lock = threading.Lock()

    def begin(
        self,
        server: str,
        project: str,
        database: str,
        number: int,
        work: Callable[[], MeasuredCopy | None],
        source: str | None = None,
    ) -> None:
        """Begins a copy as soon as the limits allow it, unless a copy into this database waits, runs or pauses.

        A new number begins at once after a failure: the user has asked for another copy. A copy that waits keeps its
        place and takes this source: the Project can name another one by now.
        """
        with self._lock:
            known = self._copies.get((server, database))
            if known is not None and known.failure is None and not known.started:
                known.work, known.source = work, source
                return
            again = known is not None and known.number == number
            if known is not None and (known.failure is None or (again and self._clock() < known.next_attempt)):
                return
            failures = known.failures if known is not None and again else 0
            self._copies[server, database] = _Copy(project, number, work, source, failures)
            self._start_waiting(server)

    def look(self, server: str, database: str) -> ObservedCopy | None:
        """Returns the copy into this database that waits, runs, or failed a short while ago.

        Returns None if there is none, if it has succeeded, or if it is due again after a failure.
        """
        with self._lock:
            known = self._copies.get((server, database))
            if known is None or (known.failure is not None and self._clock() >= known.next_attempt):
                return None
            return ObservedCopy(
                number=known.number,
                source=known.source,
                started=known.started,
                failure=known.failure,
                refused=known.refused,
            )

    def read_measured(self, server: str, project: str) -> MeasuredCopy | None:
        """Returns the last copy of a Project that this process made and measured."""
        with self._lock:
            return self._measured.get((server, project))

    def cancel(self, server: str, database: str) -> threading.Event | None:
        """Forgets a copy that waits or has failed. Returns the event that is set when a running one has ended.

        The caller must end the sessions of a running copy at the server. Returns None if none is running.
        """
        with self._lock:
            known = self._copies.get((server, database))
            if known is None:
                return None
            if known.started and not known.ended.is_set():
                return known.ended
            del self._copies[server, database]
            return None

    def _start_waiting(self, server: str) -> None:
        """Starts the oldest waiting copies of a server as far as the limits allow. The lock must be held."""
        on_server = [(key, copy) for key, copy in self._copies.items() if key[0] == server and copy.failure is None]
        running = [copy.project for _, copy in on_server if copy.started]
        for key, copy in on_server:
            if not copy.started and _has_room(running, copy.project):
                copy.started = True
                running.append(copy.project)
                # A daemon thread, so that the operator can end. The next one continues the copy.
                threading.Thread(target=self._run, args=(key, copy), name=f"copy-{key[1]}", daemon=True).start()

    def _run(self, key: _Key, copy: _Copy) -> None:
        failure, refused, measured = None, False, None
        try:
            measured = copy.work()
        except Refused as error:
            failure, refused = error.failure, True
        except ServerUnavailable as error:
            failure = error.failure
        except Conflict as error:  # the next reconcile observes the server again
            logger.info("the copy into database %s ended: %s", key[1], error)
        except Exception as error:
            logger.exception("the copy into database %s failed", key[1])
            failure = Failure(Reason.REPEATED_ERROR, f"the copy failed: {type(error).__name__}")
        with self._lock:
            if measured is not None:
                self._measured[key[0], copy.project] = measured
            if failure is None:
                del self._copies[key]
            else:
                copy.failure, copy.refused = failure, refused
                first = REFUSED_PAUSE if refused else FIRST_PAUSE
                copy.next_attempt = self._clock() + min(first * 2.0 ** min(copy.failures, 20), LONGEST_PAUSE)
                copy.failures += 1
            copy.ended.set()
            self._start_waiting(key[0])


def _has_room(running: Sequence[str], project: str) -> bool:
    """Tells whether another copy of a Project may start. `running`: the Project of each running copy of the server."""
    own = running.count(project)
    return own < PER_PROJECT and len(running) < (PER_SERVER if own else FIRST_PER_SERVER)
