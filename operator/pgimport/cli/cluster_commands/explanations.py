"""Explains why an import waits or has failed, and which command to type next. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pgimport.cli.cluster_commands.blocks import Block, Fields, Items, Title
from pgimport.cli.cluster_commands.import_pages import (
    build_progress,
    describe_attempts,
    describe_condition,
    find_hint,
    read_error,
)
from pgimport.cli.cluster_commands.objects import (
    Json,
    count_of,
    find_condition,
    has_ended,
    name_of,
    parse_time,
    read,
    reason_of,
    state_of,
)
from pgimport.model.names import source_secret_name
from pgimport.model.reasons import Reason

UNCHANGED = "The target is as it was before the import."
WAITS_FOR_OTHERS = (Reason.WAITING_FOR_TARGET, Reason.WAITING_FOR_SLOT, Reason.QUEUED, Reason.WAITING_FOR_REFRESH)
# spec.pendingTimeout does not count such a wait.
UNLIMITED_WAITS: dict[str, str] = {
    Reason.SUSPENDED: "It waits without a limit until somebody resumes it.",
    Reason.QUEUED: "It waits without a limit until its queue admits it.",
}
NEEDS_NEW_TARGET = (Reason.TARGET_NOT_FOUND, Reason.TARGET_GONE)
NEEDS_OTHER_SPEC = (Reason.INVALID_SPEC, Reason.NOT_SUPPORTED, Reason.PROJECT_MISMATCH, Reason.FILTER_INVALID)
# A retry would read the same wrong source: an upload never changes, and neither does a Secret that an import owns.
NEEDS_NEW_UPLOAD = (Reason.DUMP_CORRUPT, Reason.DUMP_UNSUPPORTED, Reason.DUMP_NOT_FOUND)
NEEDS_NEW_URL = (
    Reason.SOURCE_URL_INVALID,
    Reason.SOURCE_ADDRESS_FORBIDDEN,
    Reason.SOURCE_AUTH_FAILED,
    Reason.SOURCE_DATABASE_NOT_FOUND,
    Reason.SOURCE_TLS_FAILED,
    Reason.SOURCE_POOLED,
    Reason.DUMP_NOT_FOUND,
)
LOG_HELPS = (Reason.WORKER_FAILED, Reason.POST_IMPORT_FAILED, Reason.RESTORE_FAILED, Reason.DUMP_FAILED)


@dataclass(frozen=True, slots=True)
class SecretKeys:
    """What is known about the Secret with the source's URL: its keys, or that it does not exist."""

    exists: bool
    keys: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Objects around an import. None: not read, or the user may not read it."""

    preview: Json | None = None
    preview_missing: bool = False
    secret: SecretKeys | None = None


def build_explanation(body: Json, around: Surroundings, now: datetime) -> list[Block]:
    """Builds the answer of `import explain`. Commands are written without the name of the program."""
    return [
        Title(f"import {name_of(body)}", state_of(body)),
        *build_progress(body),
        Fields(_list_facts(body, around)),
        Items("what was tried", describe_attempts(body, now)),
        Items("what remains", _list_remaining(body, around)),
    ]


def _list_facts(body: Json, around: Surroundings) -> list[tuple[str, str]]:
    condition = find_condition(body)
    if not condition:
        return [("reason", "The operator has not seen the import yet. If this lasts, run `doctor`.")]
    failed = state_of(body) in ("failed", "cancelled")
    error = read_error(body)
    return [
        ("reason", reason_of(body) if failed else describe_condition(condition)),
        ("error", error if failed or reason_of(body) == Reason.RETRYING else ""),
        ("Secret", _describe_secret(body, around.secret)),
        ("preview", _describe_preview(body, around)),
        ("what to do", find_hint(body, f"{error} {condition.get('message')}")),
    ]


def _describe_secret(body: Json, secret: SecretKeys | None) -> str:
    """Says what is wrong with the Secret of the source's URL, if something is."""
    reference = read(body, "spec", "source", "urlSecretRef")
    if secret is None or not isinstance(reference, dict) or has_ended(body):
        return ""
    name, key = reference.get("name"), reference.get("key")
    if not secret.exists:
        return f"Secret {name} does not exist."
    if key not in secret.keys:
        there = f"It has {', '.join(secret.keys)}." if secret.keys else "It has no keys."
        return f"Secret {name} has no key {key}. {there}"
    return ""


def _describe_preview(body: Json, around: Surroundings) -> str:
    """Says what is wrong with the target, if something is."""
    name = read(body, "spec", "target", "previewDatabase")
    if around.preview_missing:
        return f"PreviewDatabase {name} does not exist."
    if around.preview is None or has_ended(body) or state_of(around.preview) == "ready":
        return ""
    return f"{name} is {state_of(around.preview)}. {describe_condition(find_condition(around.preview))}"


def _describe_loss(body: Json, around: Surroundings) -> str:
    """Says why the target no longer holds a completed import; an empty text if it does, as far as is known."""
    name, preview = read(body, "spec", "target", "previewDatabase"), around.preview or {}
    if around.preview_missing:
        return f"Preview {name} was deleted, and the imported data with it."
    if state_of(preview) == "expired":
        return f"Preview {name} has expired, and its database was dropped."
    reset, ended = parse_time(read(preview, "status", "resetAt")), parse_time(read(body, "status", "completedAt"))
    if reset and ended and reset > ended:
        return f"Preview {name} was reset after the import."
    return f"The database of preview {name} was lost." if read(preview, "status", "databaseLostAt") else ""


def _list_remaining(body: Json, around: Surroundings) -> list[str]:
    state, status = state_of(body), body.get("status") or {}
    if state == "completed":
        refused = find_condition(body, "FullyImported")
        lacks = refused.get("status") == "False"
        if read(body, "spec", "dryRun"):
            passed = (
                "All checks have passed."
                if read(status, "preflight", "ok")
                else "Checks have failed, as an import would."
            )
            return [f"{passed} A dry run imports nothing."]
        holds = _describe_loss(body, around) or (
            "The target holds the import, which was not verified: spec.verify is none."
            if read(status, "verification", "mode") == "none"
            else "The target holds the verified import."
        )
        return [holds, *([str(refused.get("message"))] if lacks else [])]
    if state in ("failed", "cancelled"):
        return [UNCHANGED, "The import will not run again. A new one can."]
    used, most = (
        int(status.get("attempts") or 0),
        int(status.get("maxAttempts") or read(body, "spec", "maxAttempts") or 3),
    )
    if state == "running":
        left = most - used
        return [f"If this attempt fails for a reason that can pass, the import has {count_of(left, 'attempt')} left."]
    if reason_of(body) in UNLIMITED_WAITS:
        return [UNLIMITED_WAITS[reason_of(body)]]
    limit = read(body, "spec", "pendingTimeout")
    return [f"It waits for at most {limit}." if limit else "It waits without a limit: spec.pendingTimeout is not set."]


def suggest_commands(body: Json, around: Surroundings) -> list[str]:
    """Returns the commands to type next. `PGIMPORT` stands for the program, NS for the option of the namespace."""
    name, reason, state = name_of(body), reason_of(body), state_of(body)
    preview = read(body, "spec", "target", "previewDatabase")
    if state == "completed":
        return _after_success(body, around, name, preview)
    if state == "running":
        return [f"PGIMPORT import get {name} --watch"]
    if state == "pending":
        return _while_pending(body, around, name, reason, preview)
    if read(body, "spec", "dryRun") and read(body, "status", "preflight"):
        return [f"PGIMPORT import preflight {name}", _write_repetition(body)]
    if around.preview_missing or reason == Reason.TARGET_GONE:
        return [f"PGIMPORT preview create {preview}", _write_repetition(body)]
    if reason == Reason.TARGET_NOT_EMPTY:
        return [_write_repetition(body, recreate=True)]
    if reason in LOG_HELPS:
        return [f"PGIMPORT import logs {name}", _write_repetition(body)]
    if reason == Reason.VERIFICATION_FAILED:
        return [f"PGIMPORT import report {name}", _write_repetition(body)]
    if reason in NEEDS_OTHER_SPEC:
        return ["PGIMPORT import create --help"]
    return [_write_repetition(body)]


def _write_repetition(body: Json, *, recreate: bool = False) -> str:
    """Returns the command that imports once more: a retry, unless that needs another source."""
    option = _find_source_option(body)
    if option is None:
        return f"PGIMPORT import retry {name_of(body)}{' --recreate' if recreate else ''}"
    preview = read(body, "spec", "target", "previewDatabase")
    if preview is None:
        return f"PGIMPORT import preflight {option}"
    replaces = recreate or read(body, "spec", "recreate")
    return f"PGIMPORT import create NEW --preview {preview} {option}{' --recreate' if replaces else ''}"


def _find_source_option(body: Json) -> str | None:
    """Returns the option that names another source, if a retry cannot read that of this import, or fails again."""
    source, reason = read(body, "spec", "source") or {}, reason_of(body)
    if source.get("uploadKey"):
        return "--dump FILE" if read(body, "status", "uploadDeleted") or reason in NEEDS_NEW_UPLOAD else None
    owned = read(source, "urlSecretRef", "name") == source_secret_name(name_of(body))
    return "--from-file FILE" if owned and reason in NEEDS_NEW_URL else None


def _after_success(body: Json, around: Surroundings, name: str, preview: str | None) -> list[str]:
    report = [f"PGIMPORT import report {name}"] if read(body, "status", "skipped") else []
    if preview is None or read(body, "spec", "dryRun"):
        return [f"PGIMPORT import preflight {name}"]
    if around.preview_missing:
        return [f"PGIMPORT preview create {preview}", _write_repetition(body)]
    if state_of(around.preview or {}) == "expired":
        return [f"PGIMPORT preview extend {preview}", _write_repetition(body)]
    if _describe_loss(body, around):
        return [_write_repetition(body)]
    if read(around.preview or {}, "spec", "golden"):
        return [*report, f"PGIMPORT preview clone NEW --from {preview}"]
    return [*report, f"PGIMPORT preview psql {preview}"]


def _while_pending(body: Json, around: Surroundings, name: str, reason: str, preview: str | None) -> list[str]:
    secret = read(body, "spec", "source", "urlSecretRef") or {}
    if reason == Reason.SUSPENDED:
        return [f"PGIMPORT import resume {name}"]
    if around.preview_missing or reason in NEEDS_NEW_TARGET:
        return [f"PGIMPORT preview create {preview}"]
    if around.secret is not None and not around.secret.exists:
        return [f"kubectl create secret generic {secret.get('name')} --from-file={secret.get('key')}=FILE NS"]
    if around.secret is not None and secret.get("key") not in around.secret.keys and around.secret.keys:
        source = f"{secret.get('name')}/{around.secret.keys[0]}"
        create = f"PGIMPORT import create NEW --preview {preview} --from-secret {source}"
        return [f"PGIMPORT import cancel {name}", create]
    if (missing := _find_missing_mount(body, reason)) is not None:
        return [missing]
    if around.preview is not None and state_of(around.preview) == "expired":
        return [f"PGIMPORT preview extend {preview}"]
    if reason == Reason.TARGET_NOT_READY:
        return [f"PGIMPORT preview get {preview}"]
    if reason in WAITS_FOR_OTHERS:
        return ["PGIMPORT import list"]
    if reason in (Reason.PROJECT_NOT_READY, Reason.PROJECT_NOT_FOUND, ""):
        return ["PGIMPORT doctor"]
    return [f"PGIMPORT import get {name} --watch"]


def _find_missing_mount(body: Json, reason: str) -> str | None:
    """Returns the command that creates the SQL's ConfigMap or the CA's Secret, if the import waits for it."""
    message = str(find_condition(body).get("message"))
    for cause, kind, reference in (
        (Reason.CONFIG_MAP_MISSING, "configmap", read(body, "spec", "postImport", "sqlConfigMapRef")),
        (Reason.SOURCE_SECRET_MISSING, "secret generic", read(body, "spec", "source", "caSecretRef")),
    ):
        if reason == cause and reference and f" {reference.get('name')} " in message and "does not exist" in message:
            return f"kubectl create {kind} {reference['name']} --from-file={reference.get('key')}=FILE NS"
    return None
