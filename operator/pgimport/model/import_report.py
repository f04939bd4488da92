"""Defines the report of an import: everything that was skipped, compared, or not compared.

The report is JSON Lines, so that it can be cut into parts and read without a program. Each line has one key, which is
a field of `ImportReport`. The most important lines come first.
"""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import Field

from pgimport.model.base_models import LenientModel
from pgimport.model.import_choices import SkipGroup
from pgimport.model.result import (
    ComparedObjects,
    FailureReport,
    LongProperties,
    PreflightCheck,
    SkippedObject,
    SourceInfo,
    TableDifference,
    WorkerResult,
)
from pgimport.model.row_values import HIDDEN_VALUE, hide_unmarked_values
from pgimport.model.termination_message import has_long_properties, truncate
from pgimport.model.visible_text import format_json

REPORT_VERSION = 1
TEXT_LIMIT = 2000  # characters of a name, reason or key in the report
OMITTED = "omitted"  # key of the last line of a report that is too large: the number of lines that it lacks
# The server's words about the values of rows, where no SQLSTATE tells what the text is.
# A text that was cut has no closing parenthesis.
_KEY_VALUES = re.compile(r"(\([^()]*\)\s*=\s*)\((?:.*\)|.*)", re.DOTALL)
_FAILING_ROW = re.compile(r"(Failing row contains )\((?:.*\)|.*)", re.DOTALL)
_RAISED = "P0"


class ImportReport(LenientModel):
    """A parsed report. Each field is the list of the lines with its name."""

    skipped: list[SkippedObject] = Field(default=[])
    forecast: list[SkippedObject] = Field(default=[])  # what the preflight expected to skip
    failure: list[FailureReport] = Field(default=[])
    difference: list[TableDifference] = Field(default=[])
    not_compared: list[str] = Field(default=[])
    note: list[str] = Field(default=[])
    compared: list[ComparedObjects] = Field(default=[])
    check: list[PreflightCheck] = Field(default=[])
    properties: list[LongProperties] = Field(default=[])  # of the source, if a termination message cannot hold them
    omitted: list[int] = Field(default=[])


def sort_skipped(skipped: Iterable[SkippedObject]) -> list[SkippedObject]:
    """Sorts tables with rows first, then what the target refused, then what is skipped by design; else keeps order."""
    return sorted(skipped, key=lambda item: (-(item.rows or 0), item.group is not SkipGroup.REFUSED))


def count_refused(skipped: Iterable[SkippedObject]) -> int:
    return sum(item.group is SkipGroup.REFUSED for item in skipped)


def hide_row_values(item: SkippedObject) -> SkippedObject:
    """Returns the skipped object without row values, which its key and the server's error message may contain.

    Values of rows appear only in the report, because status, events, logs and metrics have more readers.
    """
    reason = hide_values_in_reason(item.reason, item.sqlstate, item.offending_key)
    return item.model_copy(update={"reason": reason, "offending_key": None})


def hide_values_in_reason(reason: str, sqlstate: str | None, offending_key: str | None = None) -> str:
    """Returns the server's error message about a refused object without the row values that it may contain."""
    if offending_key:
        reason = reason.replace(offending_key, HIDDEN_VALUE)
    if (sqlstate or "").startswith(_RAISED):
        return "the target's error was raised by a function of the database: read its message in the report"
    return hide_values_in_text(reason, sqlstate)


def hide_values_in_text(text: str, sqlstate: str | None = None) -> str:
    """Returns a text of the report, which may contain a server's error message, without row values."""
    return hide_key_values(hide_unmarked_values(text, sqlstate))


def describe_refusal(skipped: SkippedObject, *, with_values: bool) -> str:
    """Returns the text about a refused object for a log or an error, without values of rows unless they are wanted."""
    if not with_values:
        words = hide_values_in_reason(skipped.reason, skipped.sqlstate, skipped.offending_key)
        return f"the target refuses {skipped.object}: {words}"
    key = f"; offending key: {skipped.offending_key}" if skipped.offending_key else ""
    return f"the target refuses {skipped.object}: {skipped.reason}{key}"


def hide_key_values(text: str) -> str:
    """Removes the values from a DETAIL about a key or a row, as in `Key (id)=(…) is duplicated.`"""
    return _FAILING_ROW.sub(rf"\1({HIDDEN_VALUE})", _KEY_VALUES.sub(rf"\1({HIDDEN_VALUE})", text))


def build_report_lines(result: WorkerResult) -> list[str]:
    """Builds the lines of a container's report, the most important first."""
    return [_format_line(name, value) for name, value in _list_entries(result)]


def _list_entries(result: WorkerResult) -> list[tuple[str, Any]]:
    entries: list[tuple[str, Any]] = []
    if result.failure is not None:
        entries.append(("failure", result.failure.model_dump(mode="json", by_alias=True)))
    entries += [("skipped", _limit_texts(item).to_json()) for item in result.skipped]
    if (verification := result.verification) is not None:
        entries += [("difference", item.to_json()) for item in verification.differences]
        entries += [("notCompared", text) for text in verification.not_compared]
        entries += [("note", text) for text in verification.notes]
        entries += [("compared", item.to_json()) for item in verification.compared]
    if (preflight := result.preflight) is not None:
        if (source := preflight.source) is not None and has_long_properties(source):
            entries.append(("properties", LongProperties(comment=source.comment, settings=source.settings).to_json()))
        entries += [("check", item.to_json()) for item in preflight.checks]
        entries += [("forecast", _limit_texts(item).to_json()) for item in preflight.skipped]
    return entries


def _limit_texts(item: SkippedObject) -> SkippedObject:
    key = item.offending_key
    texts = {"object": truncate(item.object, TEXT_LIMIT), "reason": truncate(item.reason, TEXT_LIMIT)}
    return item.model_copy(update={**texts, "offending_key": key and truncate(key, TEXT_LIMIT)})


def _format_line(name: str, value: Any) -> str:
    return format_json({name: value})


def pack_lines(lines: Iterable[str], part_bytes: int, max_parts: int) -> list[str]:
    """Joins lines to texts of at most `part_bytes` bytes.

    If lines do not fit, appends a last line with their number.
    """
    parts: list[list[str]] = [[]]
    room, omitted = part_bytes, 0
    reserved = len(_format_line(OMITTED, 10**9)) + 1
    for line in lines:
        size = len(line.encode()) + 1
        if omitted or size > part_bytes - reserved:
            omitted += 1
            continue
        if size > room - (reserved if len(parts) == max_parts else 0):
            if len(parts) == max_parts:
                omitted += 1
                continue
            parts.append([])
            room = part_bytes
        parts[-1].append(line)
        room -= size
    if omitted:
        parts[-1].append(_format_line(OMITTED, omitted))
    return ["".join(f"{line}\n" for line in part) for part in parts]


def count_omitted(texts: Iterable[str]) -> int:
    """Returns how many lines were omitted from a report because it was too large."""
    prefix = _format_line(OMITTED, 0).removesuffix("0}")
    lines = (line for text in texts for line in text.split("\n") if line.startswith(prefix))
    return sum(int(line.removeprefix(prefix).removesuffix("}")) for line in lines)


def parse_report(texts: Sequence[str]) -> ImportReport:
    """Parses the lines of all parts. Ignores lines that another version wrote in another shape."""
    fields: dict[str, list[Any]] = {}
    for text in texts:
        for line in text.split("\n"):  # splitlines would also split at U+2028, which a name may contain
            try:
                entry = json.loads(line)
                name, value = next(iter(entry.items()))
                parsed = ImportReport.model_validate({name: [value]})
            except (ValueError, AttributeError, StopIteration):
                continue
            for field in parsed.model_fields_set:
                fields.setdefault(field, []).extend(getattr(parsed, field))
    return ImportReport().model_copy(update=fields)


def is_properties_line(line: str) -> bool:
    """Whether a line of a report has the source's comment and settings."""
    return line.startswith('{"properties":')


def complete_source(source: SourceInfo, report: ImportReport) -> SourceInfo:
    """Returns the source with its comment and settings, which can be too long for a termination message."""
    if not source.has_long_properties or not report.properties:
        return source
    return source.model_copy(
        update={
            "comment": report.properties[0].comment,
            "settings": report.properties[0].settings,
            "has_long_properties": False,
        }
    )


def complete_result(result: WorkerResult, report: ImportReport) -> WorkerResult:
    """Returns the result with the lists and texts of its report, which are not cut."""
    changes: dict[str, object] = {"skipped": report.skipped}
    if report.failure:
        changes["failure"] = report.failure[0]
    if result.preflight is not None:
        source = result.preflight.source
        source = source and complete_source(source, report)
        checks = {"checks": report.check, "skipped": report.forecast, "more": None, "source": source}
        changes["preflight"] = result.preflight.model_copy(update=checks)
    if result.verification is not None:
        lists = {"differences": report.difference, "not_compared": report.not_compared, "notes": report.note}
        changes["verification"] = result.verification.model_copy(update={**lists, "more": None})
    return result.model_copy(update=changes)
