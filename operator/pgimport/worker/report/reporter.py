"""What the worker says on stdout: JSON lines, `{"log": …}`, `{"progress": …}` or `{"plan": …}`, without any secret."""

import json
import re
import threading
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, TextIO
from urllib.parse import quote, quote_plus

from pgimport.model.result import TAIL_LIMIT
from pgimport.model.scalar_types import format_time
from pgimport.model.status import Progress

HIDDEN = "***"
_URL_CREDENTIALS = re.compile(r"(postgres(?:ql)?://)[^\s@/]*@")
# A secret this short would take words apart if it were replaced inside of them.
_SHORT = 4


def utc_now() -> datetime:
    return datetime.now(UTC)


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` without the secrets, in any spelling they have in a URL; credentials of any URL go too."""
    spellings = {form for secret in secrets if secret for form in (secret, quote(secret, safe=""), quote_plus(secret))}
    for form in sorted(spellings, key=len, reverse=True):
        if len(form) >= _SHORT:
            text = text.replace(form, HIDDEN)
        else:
            text = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", HIDDEN, text)
    return _URL_CREDENTIALS.sub(rf"\1{HIDDEN}@", text)


class Reporter:
    """The one place that writes to stdout; remembers what was said last."""

    def __init__(self, stream: TextIO, now: Callable[[], datetime] = utc_now) -> None:
        self._stream = stream
        self._now = now
        self._secrets: set[str] = set()
        self._lock = threading.Lock()
        self._said: deque[str] = deque(maxlen=40)
        self._heard: deque[str] = deque(maxlen=60)

    def hide(self, *secrets: str | None) -> None:
        """From now on these never appear."""
        self._secrets.update(secret for secret in secrets if secret)

    def redact(self, text: str) -> str:
        return redact(text, self._secrets)

    def log(self, message: str, level: str = "info", **fields: Any) -> None:
        """One line for a person; `fields` are plain JSON."""
        said = self.redact(message)
        self._said.append(said)
        entry = {"at": format_time(self._now()), "level": level, "message": said}
        self._write({"log": {**entry, **{name: self._redacted(value) for name, value in fields.items()}}})

    def _redacted(self, value: Any) -> Any:
        """Texts alone: a password may look like a number or like `true`."""
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, list):
            return [self._redacted(item) for item in value]
        if isinstance(value, dict):
            return {name: self._redacted(item) for name, item in value.items()}
        return value

    def plan(self, lines: list[str]) -> None:
        """What would be done, in words."""
        self._write({"plan": [self.redact(line) for line in lines]})

    def progress(self, progress: Progress) -> None:
        stamped = progress.model_copy(update={"at": self._now()})
        self._write({"progress": stamped.to_json()})

    def tail(self) -> str:
        """The last lines that were logged, within what may travel."""
        return "\n".join(self._said)[-TAIL_LIMIT:]

    def log_client_line(self, line: str) -> None:
        """A line that a client wrote to its stderr."""
        self._heard.append(self.redact(line))
        self._write({"log": {"at": format_time(self._now()), "level": "client", "message": self._heard[-1]}})

    def client_tail(self) -> str:
        """The last lines of the clients, within what may travel."""
        return "\n".join(self._heard)[-TAIL_LIMIT:]

    def _write(self, line: dict[str, Any]) -> None:
        with self._lock:
            self._stream.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
            self._stream.flush()
