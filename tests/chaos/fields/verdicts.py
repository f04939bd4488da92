"""An object and what was asked of it go in; what is wrong with how it stands comes out, one sentence, or none."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.chaos.fields.api_client import Answer, Api
from tests.chaos.fields.crd_schema import ITEM, Json
from tests.chaos.fields.field_changes import UNKNOWN, Change
from tests.chaos.fields.sample_values import GONE

from pgimport.model.names import LABEL_IMPORT_UID
from pgimport.model.reasons import Reason

# As kstatus reads them: done, working, stuck.
_SHAPES: tuple[dict[str, str], ...] = (
    {"Ready": "True"},
    {"Ready": "Unknown", "Reconciling": "True"},
    {"Ready": "False", "Stalled": "True"},
)
_NOTHING_WRONG = ("Ready", "Running", "Completed", "Cancelled", "Suspended", "Expired")
_TERMINAL = ("completed", "failed", "cancelled")
# What the API server says when it is a rule itself that went wrong.
_UNCLEAR = re.compile(r"(?i)internal error|rule evaluation|no such overload|no such key|panic|budget")


def judge_refusal(answer: Answer, change: Change) -> "Verdict":
    """Refused as the user's own mistake, in a sentence that names the field."""
    return Verdict("accepted" if answer.accepted else "refused", _find_unclear(answer, change))


def _find_unclear(answer: Answer, change: Change) -> str:
    if answer.accepted:
        return "the API server accepted it"
    if answer.status not in (400, 422):
        return f"refused with {answer.status}: {answer.message}"
    top = change.of.path[0] if change.of.path else ""
    immutable = f"spec.{top}: Invalid value: {top} is immutable: " in answer.message
    if not immutable and not re.search(_named(change), answer.message):
        return f"the refusal does not name the field: {answer.message}"
    if _UNCLEAR.search(answer.message):
        return f"the refusal is not clear: {answer.message}"
    return ""


def _named(change: Change) -> str:
    """The path, with whatever index an item has."""
    path = re.escape(".".join(("spec", *change.of.path))).replace(re.escape(f".{ITEM}"), r"\[\d+\]")
    return rf"{path}\.{UNKNOWN}" if isinstance(change.value, dict) and UNKNOWN in change.value else path


def reason_of(body: Json) -> str:
    return next((one["reason"] for one in _conditions(body) if one["type"] == "Ready"), "")


def _conditions(body: Json) -> list[Json]:
    found: list[Json] = body.get("status", {}).get("conditions", [])
    return found


def judge_status(body: Json, reasons: Sequence[str], change: Change | None = None) -> str:
    """Seen by the operator, of one of kstatus's shapes, with a reason of ours that was expected."""
    status, conditions = body.get("status", {}), _conditions(body)
    generation = body["metadata"]["generation"]
    if status.get("observedGeneration") != generation:
        return f"observedGeneration is {status.get('observedGeneration')}, the generation {generation}"
    if any(one.get("observedGeneration") != generation for one in conditions):
        return "a condition speaks of another generation"
    if {one["type"]: one["status"] for one in conditions if one["type"] != "Succeeded"} not in _SHAPES:
        return f"conditions that kstatus cannot read: {[(one['type'], one['status']) for one in conditions]}"
    found = reason_of(body)
    if found not in (*reasons, *_NOTHING_WRONG) and found not in {one.value for one in Reason}:
        return f"{found} is no reason of ours"
    message = next(one["message"] for one in conditions if one["type"] == "Ready")
    if found not in reasons:
        return f"{found}, where {' or '.join(reasons)} was expected: {message}"
    if change is not None and found not in _NOTHING_WRONG and not _tells(message, change):
        return f"{found}: its message does not name what is wrong: {message}"
    return ""


def _tells(message: str, change: Change) -> bool:
    """The field or its value, as a person would look for either."""
    field = next(step for step in reversed(change.of.path) if step != ITEM)
    values = (change.value, *change.also.values())
    words = {field, f"spec.{change.of.path[0]}", *(str(value) for value in values if value is not GONE)}
    return any(word.lower()[:60] in message.lower() for word in words)


@dataclass(frozen=True)
class Verdict:
    """How a change ended, and what is wrong with that; empty where nothing is."""

    state: str
    said: str = ""


def refused(answer: Answer) -> Verdict:
    """Of a change that should have been accepted."""
    return Verdict("refused", f"refused: {answer.message}")


@dataclass(frozen=True)
class Witness:
    """Looks beyond the object: whether what belongs to it is all there, or all gone."""

    api: Api
    secrets: tuple[str, ...]  # what no object may ever show

    def judge(self, body: Json) -> str:
        """Never half."""
        problems = self._of_import(body) if body["kind"] == "PostgresImport" else self._of_preview(body)
        text = json.dumps(body)
        if any(secret in text for secret in self.secrets):
            return "it shows a secret"
        return next(problems, "")

    def jobs(self, body: Json) -> list[Json]:
        meta = body["metadata"]
        return self._listed("/apis/batch/v1", meta["namespace"], "jobs", meta["uid"])

    def _listed(self, group: str, namespace: str, plural: str, uid: str) -> list[Json]:
        path = f"{group}/namespaces/{namespace}/{plural}?labelSelector={LABEL_IMPORT_UID.replace('/', '%2F')}%3D{uid}"
        items: list[Json] = (self.api.read(path) or {})["items"]
        return items

    def _of_import(self, body: Json) -> Iterator[str]:
        meta, status = body["metadata"], body["status"]
        state, jobs = status["state"], self.jobs(body)
        secrets = self._listed("/api/v1", meta["namespace"], "secrets", meta["uid"])
        if state == "running" and [one["metadata"]["name"] for one in jobs] != [status.get("job")]:
            yield f"it is running with the Job {status.get('job')}, and there is {len(jobs)}"
        if state == "pending" and (jobs or secrets):
            yield "it is pending and has a Job or a Secret"
        if state in _TERMINAL and secrets:
            yield "it has ended, and its Secret is still there"
        held = state == "running" and not body["spec"].get("dryRun", False)
        target = body["spec"].get("target", {}).get("previewDatabase", "")
        preview = self.api.get("PreviewDatabase", meta["namespace"], target) if target else None
        if preview is not None and (preview["status"].get("activeImport") == meta["uid"]) is not held:
            yield f"it is {state}, and its preview {'is not' if held else 'is still'} claimed by it"
        if state == "failed" and not status.get("error"):
            yield "it failed without an error"

    def _of_preview(self, body: Json) -> Iterator[str]:
        """A Project has nothing beside it."""
        if body["kind"] != "PreviewDatabase" or body["status"].get("state") != "ready":
            return
        name, namespace = body["status"].get("connectionSecret"), body["metadata"]["namespace"]
        if name is None or self.api.read(f"/api/v1/namespaces/{namespace}/secrets/{name}") is None:
            yield "it is ready without a connection Secret"
        if "database" not in body["status"] or "expiresAt" not in body["status"]:
            yield "it is ready without a database or a time of expiry"


def is_over(body: Json) -> bool:
    """Ended and cleaned up, or not ended at all."""
    status = body.get("status", {})
    return status.get("state") not in _TERMINAL or status.get("cleanedUp") is True
