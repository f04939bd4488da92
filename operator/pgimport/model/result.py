"""Worker → operator: the preflight's report and the import's result, as the termination message carries them."""

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Literal

from pydantic import Field

from pgimport.model.base_models import LenientModel
from pgimport.model.reasons import Failure, Reason
from pgimport.model.scalar_types import Time

RESULT_VERSION = 1
# The kubelet cuts a termination message at 4096 bytes (tried); the rest is room for its own framing.
TERMINATION_MESSAGE_LIMIT = 4000
TAIL_LIMIT = 1000  # characters of stdout and stderr that travel; the full text is in the pod's log
MIN_SKIPPED_OBJECTS = 8  # left objects beyond these go before any check's detail, which says what to do, is cut


class CheckStatus(StrEnum):
    """`ok` of a report means: no check failed."""

    PASS = "pass"  # noqa: S105 (a verdict)
    WARN = "warn"
    FAIL = "fail"


class PreflightCheck(LenientModel):
    """One line of a preflight report."""

    name: str = Field(description="Name of the check.")
    status: CheckStatus = Field(description="pass, warn or fail.")
    detail: str = Field(description="What was found, and what to do about it.")


class SourceExtension(LenientModel):
    """An extension of the source."""

    name: str = Field(description="Name of the extension.")
    version: str = Field(description="Its version at the source.")
    # `schema` alone would shadow a method of pydantic's.
    schema_name: str | None = Field(default=None, alias="schema", description="Schema it is installed in.")


class DumpFileInfo(LenientModel):
    """What a dump file tells of itself."""

    format: Literal["custom", "tar", "directory", "plain"] = Field(
        description="What pg_dump wrote; a directory comes in a tar."
    )
    compression: Literal["none", "gzip", "zstd"] = Field(default="none", description="Of the file as a whole.")
    size_bytes: int | None = Field(default=None, description="Of the file as it is sent, where its server tells.")
    client_version: str | None = Field(default=None, description="Of the pg_dump that wrote it.")


class SkippedObject(LenientModel):
    """What does not come along."""

    object: str = Field(description="Kind and name.")
    reason: str = Field(alias="why", description="Why it stays behind.")


class SourceInfo(LenientModel):
    """What the preflight read from the source: all that the shadow must be like."""

    server_version: str = Field(description="As the server prints it.")
    server_version_num: int = Field(description="For example 170005.")
    database_size_bytes: int | None = Field(
        default=None, description="pg_database_size of a live source; a dump file does not tell it."
    )
    file: DumpFileInfo | None = Field(default=None, description="Of a dump file.")
    provider: str | None = Field(default=None, description="Whose service the source is, where one was recognised.")
    extensions: list[SourceExtension] = Field(default=[], description="Extensions but plpgsql.")
    encoding: str = Field(default="UTF8", description="Encoding of the database.")
    collate: str = Field(default="C", description="LC_COLLATE of the database.")
    ctype: str = Field(default="C", description="LC_CTYPE of the database.")
    locale_provider: str = Field(default="c", description="pg_database.datlocprovider: b, c or i.")
    locale: str | None = Field(default=None, description="ICU or builtin locale of the database.")


class PreflightReport(LenientModel):
    """The report of all checks; what an import would bring and leave."""

    checks: list[PreflightCheck] = Field(default=[], description="Every check that was made.")
    ok: bool = Field(default=False, description="No check failed.")
    source: SourceInfo | None = Field(default=None, description="The source, where it could be reached.")
    storage_limit_bytes: int | None = Field(default=None, description="The plan's limit.")
    target_version: str | None = Field(default=None, description="Version of the target server.")
    skipped: list[SkippedObject] = Field(default=[], alias="left", description="What stays behind, and why.")
    more: int | None = Field(default=None, description="Entries left out of this report; the pod's log has all.")


class TableDifference(LenientModel):
    """A table that does not hold what its source holds."""

    table: str = Field(description="Schema and name.")
    source_rows: int | None = Field(default=None, description="Rows at the source; absent: could not be counted.")
    target_rows: int | None = Field(default=None, description="Rows in the copy; absent: could not be counted.")
    source_digest: str | None = Field(default=None, description="Of all rows at the source, in any order.")
    target_digest: str | None = Field(default=None, description="Of all rows in the copy, in any order.")

    @property
    def is_equal(self) -> bool:
        return (self.source_rows, self.source_digest) == (self.target_rows, self.target_digest)


class ComparedObjects(LenientModel):
    """Objects of one kind that were compared by name, and by whether they are valid, filled, enabled and the like."""

    kind: str = Field(description="index, constraint, trigger, view, function, type, policy, …")
    count: int = Field(description="How many.")


class Verification(LenientModel):
    """What was compared, what differs, and what could not be compared."""

    mode: str = Field(default="counts", description="counts, checksums or none.")
    tables: int = Field(default=0, description="Tables compared.")
    rows: int = Field(default=0, description="Rows counted in the copy.")
    large_objects: int = Field(default=0, description="Large objects counted in the copy.")
    sequences: int = Field(default=0, description="Sequences compared.")
    compared: list[ComparedObjects] = Field(default=[], description="Objects without rows of their own, by kind.")
    differences: list[TableDifference] = Field(default=[], description="Tables that differ.")
    not_compared: list[str] = Field(default=[], description="What could not be compared, and why.")
    notes: list[str] = Field(default=[], description="What a reader should know: left objects, unrefreshed views.")
    more: int | None = Field(default=None, description="Entries left out; the pod's log has all.")
    verified: bool = Field(default=False, description="Everything compared was equal.")


class FailureReport(LenientModel):
    """A `Failure` on its way."""

    reason: Reason
    message: str

    def to_failure(self) -> Failure:
        return Failure(self.reason, self.message)


class WorkerResult(LenientModel):
    """What a container of the import's pod leaves as its termination message."""

    version: int = RESULT_VERSION
    step: Literal["preflight", "plan", "import"]
    ok: bool
    failure: FailureReport | None = None
    preflight: PreflightReport | None = None
    verification: Verification | None = None
    stdout_tail: str | None = None
    stderr_tail: str | None = None
    ended_at: Time | None = None


def _size(result: WorkerResult) -> int:
    return len(_dump(result).encode())


def _dump(result: WorkerResult) -> str:
    return json.dumps(result.to_json(), ensure_ascii=False, separators=(",", ":"))


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _halved_lists(result: WorkerResult) -> WorkerResult:
    """Half of each list that only informs; what the shadow needs (`preflight.source`) is never cut."""
    changes: dict[str, object] = {}
    if (found := result.verification) is not None:
        lists: dict[str, Sequence[object]] = {
            "differences": found.differences,
            "not_compared": found.not_compared,
            "notes": found.notes,
        }
        kept = {name: entries[: len(entries) // 2] for name, entries in lists.items()}
        left = sum(len(entries) - len(kept[name]) for name, entries in lists.items())
        changes["verification"] = found.model_copy(update={**kept, "more": (found.more or 0) + left or None})
    return result.model_copy(update=changes)


def _halve_skipped(report: PreflightReport) -> PreflightReport:
    kept = report.skipped[: len(report.skipped) // 2]
    more = (report.more or 0) + len(report.skipped) - len(kept) or None
    return report.model_copy(update={"skipped": kept, "more": more})


def _shorter(result: WorkerResult, limit: int) -> WorkerResult:
    """Every text that only informs, cut to `limit` characters."""
    changes: dict[str, object] = {
        "stdout_tail": None if limit < 100 else result.stdout_tail and result.stdout_tail[-limit:],
        "stderr_tail": None if limit < 100 else result.stderr_tail and result.stderr_tail[-limit:],
    }
    if result.failure:
        changes["failure"] = result.failure.model_copy(
            update={"message": _cut(result.failure.message, max(limit, 300))}
        )
    if result.preflight:
        checks = [
            check.model_copy(update={"detail": _cut(check.detail, max(limit, 60))}) for check in result.preflight.checks
        ]
        changes["preflight"] = _halve_skipped(result.preflight).model_copy(update={"checks": checks})
    return _halved_lists(result.model_copy(update=changes))


def build_termination_message(result: WorkerResult, limit: int = TERMINATION_MESSAGE_LIMIT) -> str:
    """JSON of at most `limit` bytes: informing texts shrink first, what the shadow needs never does.

    Raises ValueError where even the bare facts do not fit (hundreds of extensions); the caller names it.
    """
    while (
        _size(result) > limit and result.preflight is not None and len(result.preflight.skipped) > MIN_SKIPPED_OBJECTS
    ):
        result = result.model_copy(update={"preflight": _halve_skipped(result.preflight)})
    for text_limit in (TAIL_LIMIT, 700, 400, 250, 150, 90, 60, 0, 0, 0, 0):
        if _size(result) <= limit:
            return _dump(result)
        result = _shorter(result, text_limit)
    if _size(result) <= limit:
        return _dump(result)
    raise ValueError(f"the report needs {_size(result)} bytes, {limit} fit into a termination message")


def parse_worker_result(message: str) -> WorkerResult | None:
    """The result in a termination message; None where the message is not ours (a crash, a kill, a cut)."""
    try:
        return WorkerResult.model_validate_json(message)
    except ValueError:
        return None
