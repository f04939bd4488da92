"""Fits the worker's result into the container's termination message, and parses it.

The whole report is in the container's log (pgimport.model.report_carrier).
"""

from collections.abc import Sequence

from pgimport.model.result import PreflightReport, SkippedObject, SourceInfo, WorkerResult
from pgimport.model.visible_text import format_json

# The kubelet truncates a termination message at 4096 bytes (tried); the rest is reserved for its framing.
TERMINATION_MESSAGE_LIMIT = 4000
TAIL_LIMIT = 1000  # characters of stdout and stderr in the result; the full text is in the pod's log
MIN_SKIPPED_OBJECTS = 8  # the lists of skipped objects are cut to this length before any text of a check is cut
MAX_SKIPPED_OBJECTS = 16  # the status shows at most this many
SKIP_REASON_LIMIT = 300  # characters
MAX_PROPERTIES = 1000  # characters of the source's comment and of the values of its settings


def _measure_size(result: WorkerResult) -> int:
    return len(_format_json(result).encode())


def _format_json(result: WorkerResult) -> str:
    return format_json(result.to_json())


def truncate(text: str, limit: int) -> str:
    """Returns at most `limit` characters, the last of which is an ellipsis if something is missing."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)] + "…"


def _halve_verification(result: WorkerResult) -> WorkerResult:
    """Halves the lists of the verification. The properties that the shadow needs (`preflight.source`) are never cut."""
    changes: dict[str, object] = {}
    if (verification := result.verification) is not None:
        lists: dict[str, Sequence[object]] = {
            "differences": verification.differences,
            "not_compared": verification.not_compared,
            "notes": verification.notes,
        }
        kept = {name: entries[: len(entries) // 2] for name, entries in lists.items()}
        omitted = sum(len(entries) - len(kept[name]) for name, entries in lists.items())
        changes["verification"] = verification.model_copy(
            update={**kept, "more": (verification.more or 0) + omitted or None}
        )
    return result.model_copy(update=changes)


def _halve_forecast(report: PreflightReport) -> PreflightReport:
    kept = report.skipped[: len(report.skipped) // 2]
    more = (report.more or 0) + len(report.skipped) - len(kept) or None
    return report.model_copy(update={"skipped": kept, "more": more})


def cut_lists(result: WorkerResult) -> WorkerResult:
    """Returns the result with the first skipped objects and the start of their reasons."""
    changes: dict[str, object] = {"skipped": cut_skipped(result.skipped, MAX_SKIPPED_OBJECTS, SKIP_REASON_LIMIT)}
    if (report := result.preflight) is not None:
        cut: dict[str, object] = {"source": report.source and cut_long_properties(report.source)}
        if (omitted := len(report.skipped) - MAX_SKIPPED_OBJECTS) > 0:
            cut |= {"skipped": report.skipped[:MAX_SKIPPED_OBJECTS], "more": (report.more or 0) + omitted}
        changes["preflight"] = report.model_copy(update=cut)
    return result.model_copy(update=changes)


def has_long_properties(source: SourceInfo) -> bool:
    """Returns whether comment and settings are too long for the termination message and must go into the report."""
    return len(source.comment or "") + sum(len(item.value) for item in source.settings) > MAX_PROPERTIES


def cut_long_properties(source: SourceInfo) -> SourceInfo:
    """Returns the source without comment and settings, if they are too long for a termination message."""
    if not has_long_properties(source):
        return source
    return source.model_copy(update={"comment": None, "settings": [], "has_long_properties": True})


def cut_skipped(skipped: Sequence[SkippedObject], count: int, limit: int) -> list[SkippedObject]:
    """Returns the first objects, each text with at most `limit` characters."""
    return [
        item.model_copy(update={"object": truncate(item.object, limit), "reason": truncate(item.reason, limit)})
        for item in skipped[:count]
    ]


def _halve_skipped(result: WorkerResult, least: int) -> WorkerResult:
    """Halves each list of skipped objects that is longer than `least`."""
    changes: dict[str, object] = {}
    if len(result.skipped) > least:
        changes["skipped"] = result.skipped[: len(result.skipped) // 2]
    if (report := result.preflight) is not None and len(report.skipped) > least:
        changes["preflight"] = _halve_forecast(report)
    return result.model_copy(update=changes)


def _shorten(result: WorkerResult, limit: int) -> WorkerResult:
    """Cuts informational texts to `limit` characters, and halves the lists."""
    changes: dict[str, object] = {
        "stdout_tail": None if limit < 100 else result.stdout_tail and result.stdout_tail[-limit:],
        "stderr_tail": None if limit < 100 else result.stderr_tail and result.stderr_tail[-limit:],
    }
    if result.failure:
        texts = {"message": result.failure.message, "advice": result.failure.advice}
        cut = {name: truncate(text, max(limit, 300)) for name, text in texts.items()}
        changes["failure"] = result.failure.model_copy(update=cut)
    if result.preflight:
        checks = [
            check.model_copy(update={"detail": truncate(check.detail, max(limit, 60))})
            for check in result.preflight.checks
        ]
        changes["preflight"] = result.preflight.model_copy(update={"checks": checks})
    shorter = _halve_skipped(result.model_copy(update=changes), least=0)
    skipped = cut_skipped(shorter.skipped, len(shorter.skipped), max(limit, 60))
    return _halve_verification(shorter.model_copy(update={"skipped": skipped}))


def build_termination_message(result: WorkerResult, limit: int = TERMINATION_MESSAGE_LIMIT) -> str:
    """Builds the JSON text of a result, of at most `limit` bytes.

    Texts and lists that only inform are cut. Raises ValueError if the properties that the shadow needs do not fit, for
    example for hundreds of extensions.
    """
    result = cut_lists(result)
    while _measure_size(result) > limit:
        shorter = _halve_skipped(result, MIN_SKIPPED_OBJECTS)
        if shorter == result:
            break
        result = shorter
    for text_limit in (TAIL_LIMIT, 700, 400, 250, 150, 90, 60, 0, 0, 0, 0):
        if _measure_size(result) <= limit:
            return _format_json(result)
        result = _shorten(result, text_limit)
    if _measure_size(result) <= limit:
        return _format_json(result)
    raise ValueError(f"the report needs {_measure_size(result)} bytes, {limit} fit into a termination message")


def parse_worker_result(message: str) -> WorkerResult | None:
    """Parses a termination message. Returns None if it is not ours, for example after a crash or a kill."""
    try:
        return WorkerResult.model_validate_json(message)
    except ValueError:
        return None
