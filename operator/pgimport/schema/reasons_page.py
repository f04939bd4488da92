"""Builds the documentation page that lists every reason, with its retry, exit code and hint."""

from collections.abc import Iterable

from pgimport.model.reasons import MEANINGS, Reason, RetryClassification

_INTRODUCTION = """\
# Reasons

This page lists every reason that a condition or the command line shows, with the exit code of the worker.

`status.retryClassification` follows from the reason. [Causes](causes.md) lists which exit code, SQLSTATE or message
leads to which reason.
"""

_SECTIONS: tuple[tuple[RetryClassification, str, str], ...] = (
    (RetryClassification.PERMANENT, "Permanent", "The import would fail in the same way again, so it is not retried."),
    (
        RetryClassification.TRANSIENT,
        "Transient",
        "A failed attempt is retried while attempts are left. If such a reason ends the import, a new one may succeed.",
    ),
    (
        RetryClassification.RESOURCE,
        "Resource",
        "A failed attempt is retried while attempts are left. The last column says which resource is short.",
    ),
    (RetryClassification.CANCELLED, "Cancelled", "You cancelled the import with `spec.cancel`."),
)

# Reasons of conditions that no attempt ends with, so MEANINGS does not have them.
CONDITIONS: dict[Reason, str] = {
    Reason.ACCEPTED: "The operator has accepted the import.",
    Reason.SUSPENDED: "The import or the schedule is suspended by `spec.suspend`.",
    Reason.QUEUED: "A queue such as Kueue has not admitted the import's Job, or has stopped it.",
    Reason.SOURCE_SECRET_MISSING: "The Secret with the source's URL or CA does not exist yet, or lacks the key.",
    Reason.CONFIG_MAP_MISSING: "The ConfigMap of `spec.postImport` does not exist yet, or lacks the key.",
    Reason.PROJECT_NOT_READY: "The Project's server cannot be used at the moment.",
    Reason.TARGET_NOT_FOUND: "The PreviewDatabase does not exist yet.",
    Reason.WAITING_FOR_TARGET: "Another import uses the target, or an older one is next.",
    Reason.WAITING_FOR_SLOT: "The Project runs as many imports as it may.",
    Reason.STARTING: "The Job exists, and its pod has not started yet.",
    Reason.RUNNING: "An attempt is running. For a schedule: one of its imports has not ended.",
    Reason.RETRYING: "An attempt failed, and the next one is due.",
    Reason.COMPLETED: "The target holds the import, verified as `spec.verify` says.",
    Reason.NOTHING_REFUSED: "The target refused no object of the import.",
    Reason.OBJECTS_REFUSED: "The import skipped objects that the target refused, or that need such an object.",
    Reason.READY: "The Project or the PreviewDatabase can be used.",
    Reason.PENDING: "The operator has not finished preparing the Project or the PreviewDatabase.",
    Reason.EXPIRED: "The preview's `ttl` is over, and the operator has dropped its database.",
    Reason.DELETING: "The object is being deleted.",
    Reason.DATABASE_GONE: "The preview's database no longer exists on the server. The operator creates it again.",
    Reason.CONNECTION_REPLACED: "The preview's connection Secret was missing or incomplete, and has a new password now."
    " Only events have this reason.",
    Reason.PRIMARY_MISSING: "The Project names no primary database, so there is nothing to clone.",
    Reason.CLONING: "The copy of the primary database, or of the preview in from, has not ended yet.",
    Reason.NO_DATA: "No import has filled the golden preview yet. Import into it.",
    Reason.SOURCE_PREVIEW_NOT_FOUND: "The preview that is to be copied does not exist.",
    Reason.DELIVERED: "The receivers of the Project's webhooks have accepted the last events.",
    Reason.SCHEDULED: "The schedule creates its next import at `status.nextScheduleTime`.",
    Reason.CLONE_FAILED: "The import that copies the primary database has failed; its own status says why.",
}


def build_reasons_page() -> str:
    """Returns the whole page as Markdown."""
    lines = [_INTRODUCTION]
    for classification, title, sentence in _SECTIONS:
        reasons = [reason for reason in Reason if _has(reason, classification)]
        lines += [f"## {title}", "", sentence, "", *_rows(reasons), ""]
    lines += ["## Conditions only", "", "These reasons say what an object does or waits for.", ""]
    lines += ["| reason | meaning |", "|---|---|"]
    lines += [f"| `{reason.value}` | {meaning} |" for reason, meaning in CONDITIONS.items()]
    return "\n".join(lines) + "\n"


def _has(reason: Reason, classification: RetryClassification) -> bool:
    return reason in MEANINGS and MEANINGS[reason].classification is classification


def _rows(reasons: Iterable[Reason]) -> list[str]:
    meanings = {reason: MEANINGS[reason] for reason in reasons}
    rows = [
        f"| `{reason.value}` | {meaning.exit_code or ''} | {_escape(meaning.hint)} |"
        for reason, meaning in meanings.items()
    ]
    return ["| reason | exit code | what to do |", "|---|---|---|", *rows]


def _escape(text: str) -> str:
    return text.replace("|", "\\|")
