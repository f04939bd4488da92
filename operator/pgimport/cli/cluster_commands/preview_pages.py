"""Builds what the commands show of previews, and decides when a preview is as the user wanted it. Pure."""

from collections.abc import Sequence
from datetime import datetime

from pgimport.cli.cluster_commands.blocks import Block, Cell, Column, Fields, Table, Title
from pgimport.cli.cluster_commands.import_pages import describe_condition
from pgimport.cli.cluster_commands.object_tables import build_object_table
from pgimport.cli.cluster_commands.objects import (
    NONE,
    Json,
    find_condition,
    format_since,
    format_time,
    format_until,
    is_observed,
    name_of,
    namespace_of,
    parse_time,
    read,
    reason_of,
    state_of,
)
from pgimport.cli.cluster_commands.outcomes import Outcome
from pgimport.model.reasons import Reason
from pgimport.model.request_dates import is_future

_COLUMNS = (
    Column("NAME"),
    Column("STATE", is_state=True),
    Column("KIND", rank=4),
    Column("DATA AGE", rank=3),
    Column("EXPIRES", rank=2),
    Column("REASON", rank=1),
    Column("AGE", rank=5),
    Column("DATABASE", rank=7, wide=True),
    Column("IMPORT", rank=6, wide=True),
)


def build_preview_table(items: Sequence[Json], now: datetime, *, all_namespaces: bool) -> Table:
    return build_object_table(_COLUMNS, items, lambda item: _build_row(item, now), all_namespaces=all_namespaces)


def _build_row(body: Json, now: datetime) -> list[str | Cell]:
    status, created = body.get("status") or {}, read(body, "metadata", "creationTimestamp")
    data, expires = status.get("dataAsOf"), status.get("expiresAt")
    return [
        name_of(body),
        state_of(body),
        kind_of(body),
        Cell(format_since(data, now), str(data or "")),
        Cell(format_until(expires, now), str(expires or "")),
        reason_of(body) or NONE,
        Cell(format_since(created, now), str(created or "")),
        str(status.get("database") or NONE),
        str(status.get("activeImportName") or NONE),
    ]


def is_golden(body: Json) -> bool:
    return bool(read(body, "spec", "golden"))


def kind_of(body: Json) -> str:
    """Returns `golden`, `clone` or `empty`."""
    return "golden" if is_golden(body) else str(read(body, "spec", "mode") or "empty")


def build_preview_page(body: Json, now: datetime) -> list[Block]:
    status = body.get("status") or {}
    source = read(body, "spec", "from", "previewDatabase")
    kind = f"clone of {source or 'the primary database'}" if kind_of(body) == "clone" else kind_of(body)
    data, expires = status.get("dataAsOf"), status.get("expiresAt")
    return [
        Title(f"preview {name_of(body)}", state_of(body)),
        Fields(
            [
                ("name", name_of(body)),
                ("namespace", namespace_of(body)),
                ("state", state_of(body)),
                ("reason", describe_condition(find_condition(body))),
                ("project", str(read(body, "spec", "project") or "")),
                ("kind", kind),
                ("database", str(status.get("database") or "")),
                ("owner role", str(status.get("role") or "")),
                ("connection", f"Secret {status['connectionSecret']}" if status.get("connectionSecret") else ""),
                ("import", str(status.get("activeImportName") or status.get("cloneImport") or "")),
                ("data as of", f"{format_time(data)} ({format_since(data, now)} ago)" if data else ""),
                ("expires", f"{format_time(expires)} ({format_until(expires, now)})" if expires else ""),
                ("content lost", format_time(status["databaseLostAt"]) if status.get("databaseLostAt") else ""),
            ]
        ),
    ]


def decide_preview_ready(body: Json) -> Outcome | None:
    """Returns the outcome when the operator has carried out the whole spec; None while it works on that.

    A golden preview is done when it is ready for an import: it has no data before.
    """
    name = name_of(body)
    if read(body, "metadata", "deletionTimestamp"):
        return Outcome(1, f"preview {name} is being deleted")
    if not is_observed(body):
        return None
    if find_condition(body, "Stalled").get("status") == "True":
        return Outcome(1, f"preview {name} is {state_of(body)}. {describe_condition(find_condition(body))}")
    if not (_is_done(body, "resetAt") and _is_done(body, "renewedAt")):
        return None
    if state_of(body) == "ready" and find_condition(body).get("status") == "True":
        return Outcome(0, f"preview {name} is ready")
    if is_golden(body) and reason_of(body) == Reason.NO_DATA:
        return Outcome(0, f"preview {name} has no data yet: import into it")
    return None


def is_reset_due(body: Json, now: datetime) -> bool:
    """Tells whether the operator has not begun a reset yet. The state is that of the old database until then."""
    date = parse_time(read(body, "spec", "resetAt"))
    return date is not None and not is_future(date, now) and not _is_done(body, "resetAt")


def _is_done(body: Json, field: str) -> bool:
    """Tells whether the status has caught up with a date of the spec."""
    wanted, done = parse_time(read(body, "spec", field)), parse_time(read(body, "status", field))
    return wanted is None or (done is not None and done >= wanted)
