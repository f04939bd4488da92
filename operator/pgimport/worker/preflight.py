"""The checks that are made before anything is: an order and a source come in, a report goes out.

The source is asked in one read-only transaction of three statements.
"""

from dataclasses import dataclass

import psycopg

from pgimport.model.addresses import Resolve
from pgimport.model.order import Order
from pgimport.model.reasons import Failure, Reason
from pgimport.model.result import Check, CheckStatus, Extension, FailureReport, Preflight, SourceFacts, WorkerResult
from pgimport.worker.endpoints import Endpoint, resolve_host
from pgimport.worker.failures import Stopped, translate_source_error
from pgimport.worker.lines import Reporter
from pgimport.worker.places import Places
from pgimport.worker.queries import read_query
from pgimport.worker.source import connect_source, read_live_source

OLDEST_SOURCE = 14  # the oldest major that the clients still get fixes for
STATEMENT_TIMEOUT = "30s"
WARN_SHARE = 0.8  # of the plan's limit

REACHABLE = "source_reachable"
VERSION = "source_version_compatible"
SIZE = "source_size_within_plan"
EXTENSIONS = "extensions_available_on_target"


@dataclass(frozen=True, slots=True)
class Judged:
    """A check, and what to say if it alone ends the import."""

    check: Check
    failure: Failure | None = None


def run_preflight(order: Order, places: Places, reporter: Reporter, resolve: Resolve = resolve_host) -> WorkerResult:
    """Look at the source and judge it; never raises for what a source may be."""
    try:
        endpoint = read_live_source(places, order.sources, resolve, reporter)
        facts = read_facts(endpoint)
    except Stopped as stopped:
        judged = [Judged(_check(REACHABLE, stopped.failure.message, failed=True), stopped.failure)]
        return _result(order, judged, None)
    reachable = f"{endpoint.place} answers, PostgreSQL {facts.server_version}"
    judged = [Judged(_check(REACHABLE, reachable)), *judge_facts(order, facts)]
    return _result(order, judged, facts)


def read_facts(endpoint: Endpoint) -> SourceFacts:
    """What a copy must be like. Raises Stopped."""
    connection = connect_source(endpoint)
    try:
        connection.execute("BEGIN READ ONLY")
        connection.execute(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'")
        row = connection.execute(read_query("source_facts")).fetchone()
        assert row is not None  # noqa: S101 (the database that we are in is in pg_database)
        extensions = [
            Extension(name=name, version=version, schema_name=schema)
            for name, version, schema in connection.execute(read_query("extensions"))
        ]
        connection.execute("COMMIT")
    except psycopg.Error as error:
        raise Stopped(translate_source_error(error, "it was asked for version, size and extensions")) from error
    finally:
        connection.close()
    version, version_num, size, encoding, collate, ctype, provider, locale = row
    return SourceFacts(
        server_version=version.split()[0], server_version_num=version_num, database_size_bytes=size,
        extensions=extensions, encoding=encoding, collate=collate, ctype=ctype, locale_provider=provider,
        locale=locale,
    )  # fmt: skip


def judge_facts(order: Order, facts: SourceFacts) -> list[Judged]:
    """The checks on what was read; pure."""
    return [_judge_version(order, facts), _judge_size(order, facts), _judge_extensions(order, facts)]


def _judge_version(order: Order, facts: SourceFacts) -> Judged:
    source, target = facts.server_version_num // 10000, order.target.server_version_num // 10000
    versions = f"source {facts.server_version}, target {order.target.server_version}"
    if source > target:
        return _failed(
            VERSION, Reason.SOURCE_NEWER_THAN_TARGET, f"the source is PostgreSQL {source}, the target only {target}"
        )
    if source < OLDEST_SOURCE:
        return _failed(
            VERSION,
            Reason.SOURCE_VERSION_UNSUPPORTED,
            f"the source is PostgreSQL {facts.server_version}; {OLDEST_SOURCE} and newer can be imported",
        )
    return Judged(_check(VERSION, versions))


def _judge_size(order: Order, facts: SourceFacts) -> Judged:
    size, limit = facts.database_size_bytes or 0, order.storage_limit_bytes
    if limit is None:
        return Judged(_check(SIZE, f"{format_bytes(size)}; the plan has no limit"))
    text = f"the source holds {format_bytes(size)} ({size} bytes), the plan allows {format_bytes(limit)}"
    if size > limit:
        return _failed(SIZE, Reason.SOURCE_TOO_LARGE, text)
    if size > limit * WARN_SHARE:
        return Judged(Check(name=SIZE, status=CheckStatus.WARN, detail=f"{text}: more than 80 % of it"))
    return Judged(_check(SIZE, text))


def _judge_extensions(order: Order, facts: SourceFacts) -> Judged:
    allowed, creatable = set(order.allowed_extensions), set(order.target.creatable_extensions)
    names = [extension.name for extension in facts.extensions if extension.name != "plpgsql"]
    forbidden = [name for name in names if name not in allowed]
    missing = [name for name in names if name in allowed and name not in creatable]
    if not forbidden and not missing:
        return Judged(_check(EXTENSIONS, ", ".join(names) or "the source uses none"))
    parts = []
    if forbidden:
        parts.append(f"not allowed by the project: {', '.join(forbidden)}")
    if missing:
        parts.append(f"cannot be created on the target server: {', '.join(missing)}")
    return _failed(EXTENSIONS, Reason.EXTENSION_NOT_ALLOWED, f"extensions {'; '.join(parts)}")


def _check(name: str, detail: str, failed: bool = False) -> Check:
    return Check(name=name, status=CheckStatus.FAIL if failed else CheckStatus.PASS, detail=detail)


def _failed(name: str, reason: Reason, message: str) -> Judged:
    return Judged(_check(name, message, failed=True), Failure(reason, message))


def _result(order: Order, judged: list[Judged], facts: SourceFacts | None) -> WorkerResult:
    failures = [item.failure for item in judged if item.failure is not None]
    report = Preflight(
        checks=[item.check for item in judged],
        ok=not failures,
        source=facts,
        storage_limit_bytes=order.storage_limit_bytes,
        target_version=order.target.server_version,
    )
    first = FailureReport(reason=failures[0].reason, message=failures[0].message) if failures else None
    return WorkerResult(step="preflight", ok=report.ok, failure=first, preflight=report)


def format_bytes(count: int) -> str:
    """1610612736 → `1.5 GiB`."""
    amount, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{count} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"
