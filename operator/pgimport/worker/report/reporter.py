"""Writes the worker's JSON lines, `{"log": …}`, `{"progress": …}` or `{"plan": …}`, without secrets."""

import re
import threading
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, TextIO
from urllib.parse import quote, quote_plus

from pgimport.model.import_report import hide_key_values
from pgimport.model.row_values import hide_values, show_values
from pgimport.model.scalar_types import format_time
from pgimport.model.status import Progress
from pgimport.model.termination_message import TAIL_LIMIT
from pgimport.model.visible_text import format_json, show_controls

HIDDEN = "***"
_URL_CREDENTIALS = re.compile(r"(postgres(?:ql)?://)[^\s@/]*@")
# A shorter secret is replaced only where it is a whole word, because it may occur inside of other words.
_SHORTEST_IN_WORDS = 4


def utc_now() -> datetime:
    return datetime.now(UTC)


def redact(text: str, secrets: Iterable[str]) -> str:
    """Removes the secrets from `text`, in each spelling that a URL may have, and the credentials of every URL."""
    spellings = {
        spelling for secret in secrets if secret for spelling in (secret, quote(secret, safe=""), quote_plus(secret))
    }
    for spelling in sorted(spellings, key=len, reverse=True):
        if len(spelling) >= _SHORTEST_IN_WORDS:
            text = text.replace(spelling, HIDDEN)
        else:
            text = re.sub(rf"(?<!\w){re.escape(spelling)}(?!\w)", HIDDEN, text)
    return _URL_CREDENTIALS.sub(rf"\1{HIDDEN}@", text)


class Reporter:
    """Writes all lines, and remembers the last ones for the result. Safe to use from several threads."""

    def __init__(self, stream: TextIO, now: Callable[[], datetime] = utc_now) -> None:
        self._stream = stream
        self._now = now
        self._secrets: set[str] = set()
        self._lock = threading.Lock()
        self._messages: deque[str] = deque(maxlen=40)
        self._client_lines: deque[str] = deque(maxlen=60)

    def hide(self, *secrets: str | None) -> None:
        """Adds secrets that no later line may contain."""
        self._secrets.update(secret for secret in secrets if secret)

    def redact(self, text: str) -> str:
        """Removes the secrets and the marks of row values, and makes control characters visible."""
        return show_controls(redact(show_values(text), self._secrets))

    def conceal(self, text: str) -> str:
        """Removes the secrets and the values of rows. Only the report may contain those."""
        return hide_key_values(self.redact(hide_values(text)))

    def write_report(self, lines: Iterable[str]) -> None:
        """Writes the lines of a report, one after another."""
        with self._lock:
            self._stream.writelines(f"{line}\n" for line in lines)
            self._stream.flush()

    def log(self, message: str, level: str = "info", **fields: Any) -> None:
        """Writes one message. `fields` are added to the line, without secrets."""
        text = self.conceal(message)
        self._messages.append(text)
        entry = {"at": format_time(self._now()), "level": level, "message": text}
        self._write({"log": {**entry, **{name: self._redacted(value) for name, value in fields.items()}}})

    def _redacted(self, value: Any) -> Any:
        """Redacts only strings. Numbers and booleans stay, even if a password is spelt like them."""
        if isinstance(value, str):
            return self.conceal(value)
        if isinstance(value, list):
            return [self._redacted(item) for item in value]
        if isinstance(value, dict):
            return {name: self._redacted(item) for name, item in value.items()}
        return value

    def plan(self, lines: list[str]) -> None:
        """Writes the steps that an import would run."""
        self._write({"plan": [self.redact(line) for line in lines]})

    def progress(self, progress: Progress) -> None:
        stamped = progress.model_copy(update={"at": self._now()})
        self._write({"progress": stamped.to_json()})

    def tail(self) -> str:
        """Returns the last messages, up to TAIL_LIMIT characters."""
        return "\n".join(self._messages)[-TAIL_LIMIT:]

    def log_client_line(self, line: str) -> None:
        """Writes a line that a client program wrote to stderr."""
        self._client_lines.append(self.conceal(line))
        self._write({"log": {"at": format_time(self._now()), "level": "client", "message": self._client_lines[-1]}})

    def client_tail(self) -> str:
        """Returns the last lines of the client programs, up to TAIL_LIMIT characters."""
        return "\n".join(self._client_lines)[-TAIL_LIMIT:]

    def _write(self, line: dict[str, Any]) -> None:
        with self._lock:
            self._stream.write(format_json(line) + "\n")
            self._stream.flush()
