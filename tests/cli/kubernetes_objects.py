"""Builders of objects as kubectl prints them: a good one of each kind, and changes for what a test is about."""

from datetime import UTC, datetime, timedelta
from typing import Any

Json = dict[str, Any]

BORN = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
NOW = BORN + timedelta(minutes=10)


def a_time(seconds: float = 0) -> str:
    """Returns the time so many seconds after BORN."""
    return (BORN + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def a_condition(reason: str, status: str = "Unknown", kind: str = "Ready", message: str = "") -> Json:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def a_body(kind: str, name: str, spec: Json, status: Json, **meta: Any) -> Json:
    metadata = {
        "name": name,
        "namespace": "shop",
        "uid": f"uid-of-{name}",
        "resourceVersion": "7",
        "generation": 1,
        "creationTimestamp": a_time(),
        **meta,
    }
    observed = {"observedGeneration": metadata["generation"], **status} if status else {}
    return {"apiVersion": "capydb.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec, "status": observed}


def an_import(
    state: str | None = None, reason: str = "", *, name: str = "debian", spec: Json | None = None, **status: Any
) -> Json:
    """Builds an import of project `shop` into preview `pr-42`. Without a state, the operator has not seen it."""
    given: Json = {
        "project": "shop",
        "source": {"urlSecretRef": {"name": "source", "key": "url"}},
        "target": {"previewDatabase": "pr-42"},
    }
    ready = {"completed": "True", "failed": "False", "cancelled": "False"}.get(state or "", "Unknown")
    message = status.pop("message", "")
    seen = {"state": state, "maxAttempts": 3, "conditions": [a_condition(reason, ready, message=message)], **status}
    return a_body("PostgresImport", name, {**given, **(spec or {})}, seen if state else {})


def a_running_import(**progress: Any) -> Json:
    given = {
        "phase": "data",
        "percent": 45,
        "tablesDone": 3,
        "tablesTotal": 12,
        "bytesDone": 1_200_000_000,
        "bytesTotal": 3_000_000_000,
        "bytesPerSecond": 35_000_000,
        "etaSeconds": 51,
    }
    attempt = {"number": 1, "pod": "pgi-debian-1", "startedAt": a_time(60)}
    return an_import(
        "running",
        "Running",
        message="An attempt is running.",
        attempts=1,
        startedAt=a_time(60),
        progress={**given, **progress},
        attemptHistory=[attempt],
    )


def a_failed_import(reason: str, error: str, exit_code: int | None = None) -> Json:
    attempt = {
        "number": 1,
        "pod": "pgi-debian-1",
        "startedAt": a_time(60),
        "endedAt": a_time(90),
        "exitCode": exit_code,
        "reason": reason,
        "error": error,
        "lastStdout": '{"log": {"message": "last words"}}\n',
        "lastStderr": "pg_dump: error: ...\n",
    }
    return an_import(
        "failed", reason, message=error, error=error, attempts=1, startedAt=a_time(60), attemptHistory=[attempt]
    )


def a_preview(
    state: str | None = "ready", reason: str = "Ready", *, name: str = "pr-42", spec: Json | None = None, **changes: Any
) -> Json:
    meta = {field: changes.pop(field) for field in ("generation", "deletionTimestamp") if field in changes}
    stalled = [a_condition(reason, "True", "Stalled")] if state in ("failed", "expired") else []
    ready = a_condition(reason, "True" if state == "ready" else "Unknown", message="The message.")
    seen = {
        "state": state,
        "conditions": [ready, *stalled],
        "database": "shop_pr_42",
        "connectionSecret": f"{name}-connection",
        **changes,
    }
    return a_body("PreviewDatabase", name, {"project": "shop", **(spec or {})}, seen if state else {}, **meta)
