"""Follows the transactions of a file, so that the worker forgets what the file rolls back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

TRANSACTION_VERBS = frozenset({"abort", "begin", "commit", "end", "release", "rollback", "savepoint", "start"})


@dataclass
class Transactions:
    """The transaction that is open, and its savepoints."""

    save: Callable[[], Callable[[], None]]  # remembers the present state, and returns what restores it
    _points: list[tuple[str, Callable[[], None]]] = field(default_factory=list)  # name, restore

    @property
    def is_open(self) -> bool:
        return bool(self._points)

    def note(self, words: Sequence[str]) -> None:
        """Takes the words of a statement that has run."""
        last = words[-1] if words else ""
        match words[0]:
            case "begin" | "start" if not self._points:
                self._points = [("", self.save())]
            case "savepoint" if self._points:
                self._points.append((last, self.save()))
            case "release":
                del self._points[self._find(last) :]
            case "rollback" if "to" in words:
                index = self._find(last)
                for _, restore in self._points[index : index + 1]:
                    restore()
                del self._points[index + 1 :]
            case "rollback" | "abort" if self._points:
                self._points[0][1]()
                self._end(words)
            case "commit" | "end":
                self._end(words)

    def _end(self, words: Sequence[str]) -> None:
        is_chained = bool(self._points) and list(words[-2:]) == ["and", "chain"]
        self._points = [("", self.save())] if is_chained else []

    def _find(self, name: str) -> int:
        """Returns the index of the last savepoint of this name."""
        return next((index for index in range(len(self._points) - 1, 0, -1) if self._points[index][0] == name), 1 << 30)
