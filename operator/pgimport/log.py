"""One JSON object a line on stderr, with everything that looks like a secret taken out."""

import json
import logging
import re
import sys
from datetime import UTC, datetime

_QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
# user:password@ in a URL (a password may hold an @ that nobody escaped), password=… in a connection string, a
# variable, JSON or a traceback, PASSWORD '…' in SQL
_SECRETS = (
    (re.compile(r"(?i)(postgres(?:ql)?://[^\s:/@]*):\S+@"), r"\1:***@"),
    (re.compile(rf"(?i)(password|passwd|pwd)([\"']?\s*[=:]\s*)({_QUOTED}|[^\s,;&\"'}}]+)"), r"\1\2***"),
    (re.compile(rf"(?i)\b(password)(\s+)({_QUOTED})"), r"\1\2***"),
    (re.compile(r"SCRAM-SHA-256\$[^\s'\"]+"), "SCRAM-SHA-256$***"),
)


def redact(text: str) -> str:
    """What may be shown: no password of a URL or a connection string, no verifier."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


class JsonLine(logging.Formatter):
    """time, level, logger, message, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        if record.exc_info:
            line["traceback"] = redact(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def start_logging(level: str) -> None:
    """Replaces whatever handlers the process had."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLine())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # kopf says every event at info, the client every retry: ours are the lines that a person reads
    logging.getLogger("kopf").setLevel(max(logging.WARNING, logging.getLogger().level))
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)  # the probes of every few seconds
