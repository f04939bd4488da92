"""Judges the answer to a change and the object afterwards. A problem is one sentence; an empty text means none."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.chaos.fields.api_client import ApiClient, ApiResponse
from tests.chaos.fields.crd_schema import ITEM, Json
from tests.chaos.fields.field_changes import UNKNOWN, Change
from tests.chaos.fields.sample_values import ABSENT

from pgimport.model.names import LABEL_IMPORT_UID
from pgimport.model.reasons import Reason

# Conditions that kstatus can read, for an object that is done, in progress, or stuck.
_CONDITIONS: tuple[dict[str, str], ...] = (
    {"Ready": "True"},
    {"Ready": "Unknown", "Reconciling": "True"},
    {"Ready": "False", "Stalled": "True"},
)
_REASONS_OF_HEALTHY = ("Ready", "Queued", "Running", "Completed", "Cancelled", "Suspended", "Expired", "Scheduled")
_TERMINAL = ("completed", "failed", "cancelled")
# Messages of the API server about a rule that failed itself.
_UNCLEAR = re.compile(r"(?i)internal error|rule evaluation|no such overload|no such key|panic|budget")


def judge_refusal(response: ApiResponse, change: Change) -> "Verdict":
    """Check that a change was refused as a mistake of the user, with a message that names the field."""
    return Verdict("accepted" if response.accepted else "refused", _find_refusal_problem(response, change))


def _find_refusal_problem(response: ApiResponse, change: Change) -> str:
    if response.accepted:
        return "the API server accepted it"
    if response.status not in (400, 422):
        return f"refused with {response.status}: {response.message}"
    top = change.node.path[0] if change.node.path else ""
    immutable = f"spec.{top}: Invalid value: {top} is immutable: " in response.message
    if not immutable and not re.search(_build_field_pattern(change), response.message):
        return f"the refusal does not name the field: {response.message}"
    if _UNCLEAR.search(response.message):
        return f"the refusal is not clear: {response.message}"
    return ""


def _build_field_pattern(change: Change) -> str:
    """Build a pattern of the field's path, with any index for an item."""
    path = re.escape(".".join(("spec", *change.node.path))).replace(re.escape(f".{ITEM}"), r"\[\d+\]")
    return rf"{path}\.{UNKNOWN}" if isinstance(change.value, dict) and UNKNOWN in change.value else path


def reason_of(body: Json) -> str:
    return next((condition["reason"] for condition in _conditions(body) if condition["type"] == "Ready"), "")


def _conditions(body: Json) -> list[Json]:
    conditions: list[Json] = body.get("status", {}).get("conditions", [])
    return conditions


def find_status_problem(body: Json, reasons: Sequence[str], change: Change | None = None) -> str:
    """Return a problem of the status, or an empty text.

    The status must be of the current generation. kstatus must be able to read its conditions. The reason must be in
    the table of reasons, and an expected one.
    """
    status, conditions = body.get("status", {}), _conditions(body)
    generation = body["metadata"]["generation"]
    if status.get("observedGeneration") != generation:
        return f"observedGeneration is {status.get('observedGeneration')}, the generation {generation}"
    if any(condition.get("observedGeneration") != generation for condition in conditions):
        return "a condition is of another generation"
    statuses = {condition["type"]: condition["status"] for condition in conditions}
    for only_of_imports in ("Succeeded", "Finished"):
        statuses.pop(only_of_imports, None)
    if statuses not in _CONDITIONS:
        return f"conditions that kstatus cannot read: {statuses}"
    reason = reason_of(body)
    if reason not in (*reasons, *_REASONS_OF_HEALTHY) and reason not in {known_reason.value for known_reason in Reason}:
        return f"{reason} is not in the table of reasons"
    message = next(condition["message"] for condition in conditions if condition["type"] == "Ready")
    if reason not in reasons:
        return f"{reason}, where {' or '.join(reasons)} was expected: {message}"
    if change is not None and reason not in _REASONS_OF_HEALTHY and not _names_the_field(message, change):
        return f"{reason}: its message does not name the field or its value: {message}"
    return ""


def _names_the_field(message: str, change: Change) -> bool:
    """Return whether the message holds the field or one of its values."""
    field = next(step for step in reversed(change.node.path) if step != ITEM)
    values = (change.value, *change.other_fields.values())
    names = {field, f"spec.{change.node.path[0]}", *(str(value) for value in values if value is not ABSENT)}
    return any(name.lower()[:60] in message.lower() for name in names)


@dataclass(frozen=True)
class Verdict:
    """The state after a change, and its problem, if any."""

    state: str
    problem: str = ""


def build_refused_verdict(response: ApiResponse) -> Verdict:
    """Build the verdict of a change that should have been accepted."""
    return Verdict("refused", f"refused: {response.message}")


@dataclass(frozen=True)
class Inspector:
    """Checks what belongs to an object: everything must exist, or everything must be gone."""

    api: ApiClient
    secrets: tuple[str, ...]  # texts that no object may hold

    def find_problem(self, body: Json) -> str:
        """Return the first problem, or an empty text."""
        problems = self._check_import(body) if body["kind"] == "PostgresImport" else self._check_preview(body)
        text = json.dumps(body)
        if any(secret in text for secret in self.secrets):
            return "it holds a secret in plain text"
        return next(problems, "")

    def list_jobs(self, body: Json) -> list[Json]:
        metadata = body["metadata"]
        return self._list("/apis/batch/v1", metadata["namespace"], "jobs", metadata["uid"])

    def _list(self, group: str, namespace: str, plural: str, uid: str) -> list[Json]:
        path = f"{group}/namespaces/{namespace}/{plural}?labelSelector={LABEL_IMPORT_UID.replace('/', '%2F')}%3D{uid}"
        items: list[Json] = (self.api.read(path) or {})["items"]
        return items

    def _check_import(self, body: Json) -> Iterator[str]:
        metadata, status = body["metadata"], body["status"]
        state, jobs = status["state"], self.list_jobs(body)
        secrets = self._list("/api/v1", metadata["namespace"], "secrets", metadata["uid"])
        has_job = state == "running" or (state == "pending" and "job" in status)  # pending with a Job: queued
        if has_job and [job["metadata"]["name"] for job in jobs] != [status.get("job")]:
            yield f"it is {state} with the Job {status.get('job')}, and there are {len(jobs)} Jobs"
        if state == "pending" and not has_job and (jobs or secrets):
            yield "it is pending and has a Job or a Secret"
        if state in _TERMINAL and secrets:
            yield "it has ended, and its Secret is still there"
        holds_target = has_job and not body["spec"].get("dryRun", False)
        target = body["spec"].get("target", {}).get("previewDatabase", "")
        preview = self.api.get("PreviewDatabase", metadata["namespace"], target) if target else None
        if preview is not None and (preview["status"].get("activeImport") == metadata["uid"]) is not holds_target:
            yield f"it is {state}, and its preview {'is not' if holds_target else 'is still'} claimed by it"
        if state == "failed" and not status.get("error"):
            yield "it failed without an error"

    def _check_preview(self, body: Json) -> Iterator[str]:
        """Check a preview. Nothing belongs to a Project, so it has no problem."""
        if body["kind"] != "PreviewDatabase" or body["status"].get("state") != "ready":
            return
        name, namespace = body["status"].get("connectionSecret"), body["metadata"]["namespace"]
        if name is None or self.api.read(f"/api/v1/namespaces/{namespace}/secrets/{name}") is None:
            yield "it is ready without a connection Secret"
        if "database" not in body["status"] or "expiresAt" not in body["status"]:
            yield "it is ready without a database or an expiry time"


def is_at_rest(body: Json) -> bool:
    """Return whether the object is not an import that has ended without being cleaned up."""
    status = body.get("status", {})
    return status.get("state") not in _TERMINAL or status.get("cleanedUp") is True
