"""Remembers what the API server answered, so that a restarted operator can be given the answers from before a write."""

import threading
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Answer:
    """The answer to a GET."""

    writes: int  # number of writes before it
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class AnswerHistory:
    """Answers by URL. Threads may share it. Each cell starts with the last answers before it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[str, list[Answer]] = {}
        self._created: dict[str, int] = {}  # path of an object → number of the write that created it
        self._before_write: int | None = None
        self.stale_reads = 0  # requests that got an old answer

    def begin(self) -> None:
        """Start a new cell."""
        with self._lock:
            self._answers = {url: [self._reset_count(answers[-1])] for url, answers in self._answers.items()}
            self._created, self._before_write, self.stale_reads = {}, None, 0

    @staticmethod
    def _reset_count(answer: Answer) -> Answer:
        return Answer(0, answer.status, answer.body, answer.headers)

    def remember(self, url: str, answer: Answer) -> None:
        with self._lock:
            if self._before_write is None:
                self._answers.setdefault(url, []).append(answer)

    def record_created(self, path: str, number: int) -> None:
        """Record which write created an object."""
        with self._lock:
            if number:
                self._created.setdefault(path, number)

    def go_back(self, before_write: int) -> None:
        """From now on, answer as before this write."""
        with self._lock:
            self._before_write = before_write

    def return_to_present(self) -> None:
        with self._lock:
            self._before_write = None

    @property
    def is_stale(self) -> bool:
        with self._lock:
            return self._before_write is not None

    def find(self, url: str, path: str) -> Answer | None:
        """Return an old answer, or None if the API server has to be asked.

        An object that nobody read in time is shown as it is now, or as missing if it was created since.
        """
        with self._lock:
            if self._before_write is None:
                return None
            old = [answer for answer in self._answers.get(url, ()) if answer.writes < self._before_write]
            if not old and self._created.get(path, 0) < self._before_write:
                return None
            self.stale_reads += 1
            return old[-1] if old else Answer(0, 404, b'{"kind":"Status","code":404,"message":"not there yet"}')
