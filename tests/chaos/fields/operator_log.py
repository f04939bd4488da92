"""The operator's log goes in; tracebacks and errors come out, each with the object and the moment."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.chaos.fields.crd_schema import Json
from tests.chaos.fields.sample_values import PROJECT
from tests.e2e.postgres_pods import SYSTEM_NAMESPACE
from tests.e2e.tenant import operator_pods
from tests.support import kubectl

SLACK = 0.3  # seconds between a look and its line


@dataclass(frozen=True)
class Trouble:
    """One line of the log that should not be there."""

    at: float
    text: str


@dataclass(frozen=True)
class Troubles:
    """All of one run."""

    found: tuple[Trouble, ...]
    restarts: int

    def of(self, name: str, begun: float, ended: float) -> str:
        """What was logged of this object while it was tried; empty where nothing."""
        keys = (f"projects/{name}:", f"previewdatabases/{PROJECT}/{name}:", f"postgresimports/{PROJECT}/{name}:")
        told = (one.text for one in self.found if one.text.startswith(keys) and begun <= one.at <= ended + SLACK)
        return next((f"the operator's log: {text}" for text in told), "")


def read_troubles(since: float) -> Troubles:
    """Of all operator pods."""
    moment = datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    pods, lines = operator_pods(), list[str]()
    for pod in pods:
        name = pod["metadata"]["name"]
        lines += kubectl.run("logs", name, "--namespace", SYSTEM_NAMESPACE, f"--since-time={moment}").splitlines()
    restarts = sum(one["restartCount"] for pod in pods for one in pod["status"].get("containerStatuses", ()))
    return Troubles(tuple(_parse(lines)), restarts)


def _parse(lines: Iterable[str]) -> Iterator[Trouble]:
    for line in lines:
        body: Json = json.loads(line) if line.startswith("{") else {"message": line, "level": "error"}
        if "traceback" in body or body["level"] in ("error", "critical"):
            last = str(body.get("traceback", "")).strip().splitlines()[-1:]
            at = datetime.fromisoformat(body["time"]).timestamp() if "time" in body else 0.0
            yield Trouble(at, " ".join([str(body["message"]), *last]))
