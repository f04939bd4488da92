"""Changes the texts of a result that may come from a server. Pure."""

from collections.abc import Callable

from pgimport.model.import_report import count_refused, hide_row_values, sort_skipped
from pgimport.model.result import SkippedObject, WorkerResult

Change = Callable[[str], str]


def order_skipped(result: WorkerResult) -> WorkerResult:
    """Sorts the skipped objects by importance, and sets their counts if the step was an import."""
    changes: dict[str, object] = {"skipped": sort_skipped(result.skipped)}
    if result.step == "import":
        changes |= {"skipped_count": len(result.skipped), "refused_count": count_refused(result.skipped)}
    if (preflight := result.preflight) is not None:
        changes["preflight"] = preflight.model_copy(update={"skipped": sort_skipped(preflight.skipped)})
    return result.model_copy(update=changes)


def without_row_values(result: WorkerResult) -> WorkerResult:
    """Returns the result without the values of rows that the reasons for skipping may contain."""
    changes: dict[str, object] = {"skipped": [hide_row_values(item) for item in result.skipped]}
    if (preflight := result.preflight) is not None:
        skipped = [hide_row_values(item) for item in preflight.skipped]
        changes["preflight"] = preflight.model_copy(update={"skipped": skipped})
    return result.model_copy(update=changes)


def change_texts(result: WorkerResult, change: Change) -> WorkerResult:
    """Returns the result with each text that may come from a server changed. An error may quote what was sent."""
    changes: dict[str, object] = {"skipped": [_change_skipped(item, change) for item in result.skipped]}
    if failure := result.failure:
        texts = {"message": failure.message, "advice": failure.advice}
        changes["failure"] = failure.model_copy(update={name: change(text) for name, text in texts.items()})
    if preflight := result.preflight:
        checks = [check.model_copy(update={"detail": change(check.detail)}) for check in preflight.checks]
        skipped = [_change_skipped(item, change) for item in preflight.skipped]
        changes["preflight"] = preflight.model_copy(update={"checks": checks, "skipped": skipped})
    if verification := result.verification:
        lists = {"notes": verification.notes, "not_compared": verification.not_compared}
        changed = {name: [change(text) for text in values] for name, values in lists.items()}
        changes["verification"] = verification.model_copy(update=changed)
    return result.model_copy(update=changes)


def _change_skipped(item: SkippedObject, change: Change) -> SkippedObject:
    key = item.offending_key
    texts = {"object": change(item.object), "reason": change(item.reason)}
    return item.model_copy(update={**texts, "offending_key": key and change(key)})
