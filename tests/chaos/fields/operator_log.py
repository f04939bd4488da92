"""Finds tracebacks and errors in the operator's log, with their object and time."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.chaos.fields.crd_schema import Json
from tests.chaos.fields.sample_values import PROJECT
from tests.e2e.postgres_pods import SYSTEM_NAMESPACE
from tests.e2e.tenant import operator_pods
from tests.support import kubectl

SLACK_SECONDS = 0.3  # a line may be logged after the trial has ended


@dataclass(frozen=True)
class LogError:
    """A traceback or an error in the log."""

    at: float
    text: str


@dataclass(frozen=True)
class OperatorErrors:
    """The errors of one run, and the restarts of the operator."""

    lines: tuple[LogError, ...]
    restarts: int

    def find(self, name: str, started_at: float, ended_at: float) -> str:
        """Return the first error about this object in this time, or an empty text."""
        keys = (f"projects/{name}:", f"previewdatabases/{PROJECT}/{name}:", f"postgresimports/{PROJECT}/{name}:")
        end = ended_at + SLACK_SECONDS
        texts = (line.text for line in self.lines if line.text.startswith(keys) and started_at <= line.at <= end)
        return next((f"the operator's log: {text}" for text in texts), "")


def read_errors(since: float) -> OperatorErrors:
    """Read the errors of all operator pods since a Unix time."""
    moment = datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    pods, lines = operator_pods(), list[str]()
    for pod in pods:
        name = pod["metadata"]["name"]
        lines += kubectl.run("logs", name, "--namespace", SYSTEM_NAMESPACE, f"--since-time={moment}").splitlines()
    statuses = [status for pod in pods for status in pod["status"].get("containerStatuses", ())]
    restarts = sum(status["restartCount"] for status in statuses)
    return OperatorErrors(tuple(_parse(lines)), restarts)


def _parse(lines: Iterable[str]) -> Iterator[LogError]:
    for line in lines:
        body: Json = json.loads(line) if line.startswith("{") else {"message": line, "level": "error"}
        if "traceback" in body or body["level"] in ("error", "critical"):
            last = str(body.get("traceback", "")).strip().splitlines()[-1:]
            at = datetime.fromisoformat(body["time"]).timestamp() if "time" in body else 0.0
            yield LogError(at, " ".join([str(body["message"]), *last]))
