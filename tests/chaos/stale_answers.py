"""What the API server once answered: an operator that starts anew may be shown the world as it was before a write."""

import threading
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Answer:
    """To a GET."""

    number: int  # of the writes that had been made
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class Views:
    """Safe to share between threads. Each story begins with what was answered last before it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[str, list[Answer]] = {}
        self._made: dict[str, int] = {}  # path of an object → the write that made it
        self._before: int | None = None
        self.asked = 0  # questions that were answered from the past

    def begin(self) -> None:
        with self._lock:
            self._answers = {url: [self._older(found[-1])] for url, found in self._answers.items()}
            self._made, self._before, self.asked = {}, None, 0

    @staticmethod
    def _older(answer: Answer) -> Answer:
        return Answer(0, answer.status, answer.body, answer.headers)

    def remember(self, url: str, answer: Answer) -> None:
        with self._lock:
            if self._before is None:
                self._answers.setdefault(url, []).append(answer)

    def made(self, path: str, number: int) -> None:
        with self._lock:
            if number:
                self._made.setdefault(path, number)

    def go_back(self, before: int) -> None:
        """From now on as before that write."""
        with self._lock:
            self._before = before

    def return_to_now(self) -> None:
        with self._lock:
            self._before = None

    @property
    def stale(self) -> bool:
        with self._lock:
            return self._before is not None

    def find(self, url: str, path: str) -> Answer | None:
        """None: ask the API server. What nobody had asked for by then is as it is now, unless it was made since."""
        with self._lock:
            if self._before is None:
                return None
            old = [one for one in self._answers.get(url, ()) if one.number < self._before]
            if not old and self._made.get(path, 0) < self._before:
                return None
            self.asked += 1
            return old[-1] if old else Answer(0, 404, b'{"kind":"Status","code":404,"message":"not there yet"}')
