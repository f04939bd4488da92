"""Logs one JSON object in each line of stderr, without secrets."""

import json
import logging
import re
import sys
from datetime import UTC, datetime

from pgimport.model.visible_text import escape_json

_QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
# user:password@ in a URL, where the password may contain an unescaped @; password=… in a conninfo string, a variable,
# JSON or a traceback; PASSWORD '…' in SQL; a SCRAM verifier.
_SECRETS = (
    (re.compile(r"(?i)(postgres(?:ql)?://[^\s:/@]*):\S+@"), r"\1:***@"),
    (re.compile(rf"(?i)(password|passwd|pwd)([\"']?\s*[=:]\s*)({_QUOTED}|[^\s,;&\"'}}]+)"), r"\1\2***"),
    (re.compile(rf"(?i)\b(password)(\s+)({_QUOTED})"), r"\1\2***"),
    (re.compile(r"SCRAM-SHA-256\$[^\s'\"]+"), "SCRAM-SHA-256$***"),
)


def redact(text: str) -> str:
    """Replaces passwords and verifiers in a text."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


class JsonLine(logging.Formatter):
    """Formats a record as JSON with the fields time, level, logger, message and traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        if record.exc_info:
            line["traceback"] = redact(self.formatException(record.exc_info))
        return escape_json(json.dumps(line, ensure_ascii=False))


def start_logging(level: str) -> None:
    """Replaces all log handlers of the process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLine())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # kopf logs every event at level info, and the Kubernetes client every retry.
    logging.getLogger("kopf").setLevel(max(logging.WARNING, logging.getLogger().level))
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)  # requests of the liveness probe
