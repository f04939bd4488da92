"""Builds what the commands show of imports: the list, and the page of one import. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pgimport.cli.cluster_commands.blocks import (
    Block,
    Cell,
    Checks,
    Column,
    Fields,
    Items,
    Progress,
    Sign,
    Step,
    Table,
    Title,
)
from pgimport.cli.cluster_commands.object_tables import build_object_table
from pgimport.cli.cluster_commands.objects import (
    NONE,
    Json,
    count_of,
    find_condition,
    format_seconds,
    format_since,
    format_size,
    format_time,
    has_ended,
    hint_of,
    name_of,
    namespace_of,
    parse_time,
    read,
    reason_of,
    state_of,
)

PHASES = ("preflight", "schema", "data", "indexes", "analyze", "verify", "swap")
SHOWN_OBJECTS = 10  # skipped objects on the page of an import; `import report` prints all

_COLUMNS = (
    Column("NAME"),
    Column("STATE", is_state=True),
    Column("PHASE", rank=4),
    Column("PROGRESS", rank=2),
    Column("RATE", rank=7),
    Column("LEFT", rank=6),
    Column("TARGET", rank=5),
    Column("REASON", rank=1),
    Column("AGE", rank=8),
    Column("ATTEMPTS", rank=9, wide=True),
    Column("SKIPPED", rank=10, wide=True),
    Column("DATA AS OF", rank=11, wide=True),
    Column("ID", rank=12, wide=True),
)


def build_import_table(items: Sequence[Json], now: datetime, *, all_namespaces: bool) -> Table:
    """Builds the list of imports."""
    return build_object_table(
        _COLUMNS,
        items,
        lambda item: build_import_row(item, now),
        all_namespaces=all_namespaces,
        order=lambda item: str(read(item, "metadata", "creationTimestamp")),
    )


def build_import_row(body: Json, now: datetime) -> list[str | Cell]:
    """Builds the cells of an import, without its namespace."""
    status = body.get("status") or {}
    progress = status.get("progress") or {}
    running = state_of(body) == "running"
    rate, eta = progress.get("bytesPerSecond"), progress.get("etaSeconds")
    created, data_as_of = read(body, "metadata", "creationTimestamp"), status.get("dataAsOf")
    percent = progress.get("percent")
    return [
        name_of(body),
        state_of(body),
        str(progress.get("phase") or NONE) if running else NONE,
        Cell(f"{percent} %", str(percent)) if percent is not None else Cell(NONE, ""),
        Cell(f"{format_size(rate)}/s", str(rate)) if running and rate else Cell(NONE, ""),
        Cell(format_seconds(eta), str(eta)) if running and eta else Cell(NONE, ""),
        str(read(body, "spec", "target", "previewDatabase") or NONE),
        reason_of(body) or NONE,
        Cell(format_since(created, now), str(created or "")),
        f"{status.get('attempts') or 0}/{status.get('maxAttempts') or read(body, 'spec', 'maxAttempts') or NONE}",
        str(status.get("skipped") if status.get("skipped") is not None else NONE),
        Cell(format_time(data_as_of), str(data_as_of or "")),
        str(status.get("id") or NONE),
    ]


def build_import_page(body: Json, now: datetime) -> list[Block]:
    """Builds the page of one import: its state, progress, attempts, checks, and what was skipped."""
    status = body.get("status") or {}
    return [
        Title(f"import {name_of(body)}", state_of(body)),
        *build_progress(body),
        Fields(_list_fields(body, status, now)),
        *build_failure(body),
        Items("attempts", describe_attempts(body, now)),
        *_warnings(status),
        Items("verified", describe_verification(status.get("verification") or {})),
        Items(*_describe_skipped(status)),
    ]


def build_progress(body: Json) -> list[Block]:
    """Builds phases and bar of an import that has begun and not ended; otherwise nothing."""
    progress = read(body, "status", "progress")
    if state_of(body) != "running" or not isinstance(progress, dict):
        return []
    return [
        Progress(_list_steps(str(progress.get("phase"))), int(progress.get("percent") or 0), _describe_rate(progress))
    ]


def _list_steps(current: str) -> list[tuple[str, Step]]:
    index = PHASES.index(current) if current in PHASES else 0
    return [
        (name, Step.NOW if number == index else Step.DONE if number < index else Step.LATER)
        for number, name in enumerate(PHASES)
    ]


def _describe_rate(progress: Json) -> list[str]:
    parts = []
    if progress.get("tablesTotal"):
        parts.append(f"{progress.get('tablesDone') or 0} of {count_of(progress['tablesTotal'], 'table')}")
    if progress.get("bytesTotal"):
        parts.append(f"{format_size(progress.get('bytesDone') or 0)} of {format_size(progress['bytesTotal'])}")
    if progress.get("bytesPerSecond"):
        parts.append(f"{format_size(progress['bytesPerSecond'])}/s")
    if progress.get("etaSeconds"):
        parts.append(f"{format_seconds(progress['etaSeconds'])} left in this phase")
    lines = [", ".join(parts)] if parts else []
    if progress.get("waitingFor"):
        lines.append(f"waits for {progress['waitingFor']}")
    return lines


def _list_fields(body: Json, status: Json, now: datetime) -> list[tuple[str, str]]:
    condition = find_condition(body)
    started, ended = parse_time(status.get("startedAt")), parse_time(status.get("completedAt"))
    attempts = f"{status.get('attempts') or 0} of {status.get('maxAttempts') or read(body, 'spec', 'maxAttempts')}"
    return [
        ("name", name_of(body)),
        ("namespace", namespace_of(body)),
        ("state", state_of(body)),
        ("reason", "" if has_ended(body) and state_of(body) == "failed" else describe_condition(condition)),
        ("project", str(read(body, "spec", "project") or "")),
        ("source", describe_source(body)),
        ("target", str(read(body, "spec", "target", "previewDatabase") or "none: only the checks run")),
        ("attempts", attempts if status.get("maxAttempts") else ""),
        ("started", f"{format_time(status.get('startedAt'))}" if started else ""),
        ("duration", format_seconds(((ended or now) - started).total_seconds()) if started else ""),
        ("data as of", format_time(status["dataAsOf"]) if status.get("dataAsOf") else ""),
        ("source held", format_seconds(held) if (held := read(status, "progress", "sourceHeldSeconds")) else ""),
        ("id", str(status.get("id") or "")),
    ]


def describe_condition(condition: Json) -> str:
    """Returns `Reason: message`."""
    return ": ".join(filter(None, (str(condition.get("reason") or ""), str(condition.get("message") or ""))))


def describe_source(body: Json) -> str:
    """Names the source without its URL, which is a secret."""
    source: Json = read(body, "spec", "source") or {}
    reference = source.get("urlSecretRef")
    if isinstance(reference, dict):
        return f"Secret {reference.get('name')}, key {reference.get('key')}"
    return f"upload {source['uploadKey']}" if source.get("uploadKey") else NONE


def build_failure(body: Json) -> list[Block]:
    """Builds the first error of an import that has failed; otherwise nothing."""
    if state_of(body) != "failed":
        return []
    error = read_error(body)
    return [Fields([("reason", reason_of(body)), ("error", error), ("hint", find_hint(body, error))])]


def find_hint(body: Json, text: str) -> str:
    """Returns the hint of the reason, unless the text has one: that of the failure itself is more precise."""
    return "" if "(hint: " in text else hint_of(body)


def read_error(body: Json) -> str:
    """Returns the error of an import: the first one, with object and SQLSTATE."""
    return str(read(body, "status", "error") or find_condition(body).get("message") or "")


def describe_attempts(body: Json, now: datetime) -> list[str]:
    """Describes the attempts, oldest first. The error of the import is not repeated."""
    attempts: list[Json] = read(body, "status", "attemptHistory") or []
    known = read_error(body)
    return [
        describe_attempt({**attempt, "error": None} if (attempt.get("error") or "-") in known else attempt, now)
        for attempt in attempts
    ]


def describe_attempt(attempt: Json, now: datetime) -> str:
    """Describes an attempt in one line: number, pod, duration and end."""
    started, ended = parse_time(attempt.get("startedAt")), parse_time(attempt.get("endedAt"))
    duration = f" for {format_seconds(((ended or now) - started).total_seconds())}" if started else ""
    number = attempt.get("number") or "not counted"
    begin = f"{number}: pod {attempt.get('pod')}"
    if ended is None:
        return f"{begin}, runs{duration}"
    code = attempt.get("exitCode")
    end = ", succeeded" if code == 0 else f", ended with {attempt.get('reason') or 'no reason'}"
    error = f": {attempt['error']}" if attempt.get("error") else ""
    return f"{begin}, ran{duration}{end}{f' (exit code {code})' if code else ''}{error}"


def _warnings(status: Json) -> list[Block]:
    """Builds the preflight checks that did not pass."""
    checks = [check for check in build_checks(status) if check[0] is not Sign.PASS]
    return [Checks(checks)] if checks else []


def build_checks(status: Json) -> list[tuple[Sign, str, str]]:
    """Builds the rows of the preflight report in a status."""
    checks: list[Any] = read(status, "preflight", "checks") or []
    return [
        (_parse_sign(check.get("status")), str(check.get("name")), str(check.get("detail") or "")) for check in checks
    ]


def _parse_sign(text: Any) -> Sign:
    return Sign(text) if text in tuple(Sign) else Sign.WARN


def describe_verification(verification: Json) -> list[str]:
    """Describes what was compared, what differs and what was not compared."""
    if not verification:
        return []
    compared = [
        count_of(int(verification.get("tables") or 0), "table"),
        count_of(int(verification.get("rows") or 0), "row"),
        count_of(int(verification.get("sequences") or 0), "sequence"),
    ]
    mode = str(verification.get("mode") or "counts")
    lines = ["nothing"] if mode == "none" else [f"{mode}: {', '.join(compared)}"]
    if others := [f"{item['count']} × {item['kind']}" for item in verification.get("compared") or []]:
        lines.append(f"definitions: {', '.join(others)}")
    for item in verification.get("differences") or []:
        lines.append(f"differs: {describe_difference(item)}")
    lines += [f"not compared: {text}" for text in verification.get("notCompared") or []]
    return lines


def describe_difference(item: Json) -> str:
    """Describes a table whose content differs. With checksums, the numbers of rows can be equal."""
    source, target = item.get("sourceRows"), item.get("targetRows")
    if source is not None and source == target:
        return f"{item['table']}: {count_of(source, 'row')} on both sides, but not the same ones"
    at_source, in_copy = (count_of("?" if count is None else count, "row") for count in (source, target))
    return f"{item['table']}: {at_source} at the source, {in_copy} in the copy"


def _describe_skipped(status: Json) -> tuple[str, list[str]]:
    total, refused = status.get("skipped") or 0, status.get("refused") or 0
    lines = [describe_skipped_object(item) for item in (status.get("skippedObjects") or [])[:SHOWN_OBJECTS]]
    if total > len(lines):
        lines.append(f"and {total - len(lines)} more, see `import report`")
    return f"skipped ({total}, of which the target refused {refused})", lines if total else []


def describe_skipped_object(item: Json) -> str:
    """Describes a skipped object in one line."""
    rows = f" ({count_of(item['rows'], 'row')})" if item.get("rows") else ""
    sqlstate = f" ({item['sqlstate']})" if item.get("sqlstate") else ""
    return f"{item.get('object')}{rows}: {item.get('why') or item.get('reason') or ''}{sqlstate}"
