"""A live source: its endpoint and the order come in, the whole report goes out.

It is asked in one read-only transaction: one round trip a question, whatever the number of its tables. A second
connection shows whether a pooler or several servers stand behind the address. No session is changed: behind a
pooler it would be somebody else's later on.
"""

from contextlib import ExitStack, closing
from typing import Any

from pgimport.model.order import Order
from pgimport.model.preflight_checks import CheckName
from pgimport.model.providers import ProviderRules
from pgimport.model.result import SkippedObject, SourceExtension, SourceInfo
from pgimport.worker.checks.catalog_reader import CatalogReader, ResultRows
from pgimport.worker.checks.check_results import CheckResult, NotChecked, SourceReport, passed_check, warned_check
from pgimport.worker.checks.content_checks import (
    describe_effects,
    judge_encoding,
    judge_large_objects,
    judge_unsupported,
    list_left,
)
from pgimport.worker.checks.pooler_check import Sessions, judge_pooling, open_sessions
from pgimport.worker.checks.privilege_checks import judge_privileges, judge_row_security
from pgimport.worker.checks.target_fit_checks import judge_extensions, judge_size, judge_version
from pgimport.worker.memory import read_memory_limit
from pgimport.worker.postgres.endpoints import Connection, Endpoint, open_connection
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.postgres.source import open_source_connection
from pgimport.worker.scope.extensions import split_extensions
from pgimport.worker.scope.patterns import build_name_filter
from pgimport.worker.scope.provider import SIGN_PARAMETERS, DetectedProvider, detect_provider

COLLATION_VERSIONS = 150000  # the first server that keeps one for a database


def check_source(order: Order, endpoint: Endpoint) -> SourceReport:
    """Raises Stopped for a source that cannot be asked at all."""
    with ExitStack() as stack:
        connection = stack.enter_context(closing(open_source_connection(endpoint, open_connection)))
        sessions = open_sessions(connection, _second(stack, endpoint))
        report = _check(order, endpoint, CatalogReader(connection), sessions)
        connection.execute("COMMIT")
    return report


def _second(stack: ExitStack, endpoint: Endpoint) -> Connection | NotChecked:
    try:
        return stack.enter_context(closing(open_source_connection(endpoint, open_connection)))
    except ImportStopped as stopped:
        return NotChecked(stopped.failure.message)


def _check(order: Order, endpoint: Endpoint, asker: CatalogReader, sessions: Sessions) -> SourceReport:
    (row,) = asker.must("checks/source_facts")
    *about, user, standby = row
    extensions = asker.must("scope/extensions")
    detected = _detect_provider(order, endpoint, asker, extensions)
    provider, own = detected.rules, detected.own_schemas
    installed = [
        SourceExtension(name=name, version=version, schema_name=schema) for name, version, schema, _ in extensions
    ]
    wanted, left = split_extensions(order, provider, installed)
    facts = _build_facts(about, wanted, provider)
    unsupported, left_named, unnamed = _ask_left(asker, provider, own, left)
    shapes, rows = (build_name_filter(order.filter, own, user, rows=only_rows) for only_rows in (False, True))
    with_rows = _with_rows(extensions, wanted)
    judged = [
        _judge_reachable(endpoint, facts, standby),
        judge_pooling(endpoint, provider, sessions),
        judge_version(order, facts.server_version, facts.server_version_num),
        judge_size(order, facts.database_size_bytes or 0, with_rows, read_memory_limit()),
        judge_privileges(asker.ask("checks/privileges", left=own), shapes, user),
        judge_row_security(asker.ask("checks/row_level_security", left=own), rows, user),
        judge_encoding(facts, _ask_collation_version(asker, facts), asker.ask("checks/collations")),
        judge_large_objects(asker.ask("checks/large_objects"), user),
        judge_unsupported(unsupported, _ask_effects(asker, own, extensions)),
        judge_extensions(order, wanted, left, with_rows),
    ]
    return SourceReport(judged, facts, left_named, unnamed)


def _detect_provider(
    order: Order, endpoint: Endpoint, asker: CatalogReader, extensions: ResultRows
) -> DetectedProvider:
    rows = asker.ask("scope/provider_signs", **SIGN_PARAMETERS)
    sign_rows = [] if isinstance(rows, NotChecked) else [(kind, name) for kind, name in rows]
    return detect_provider(order, endpoint.host, sign_rows, [row[0] for row in extensions])


def _build_facts(about: list[Any], extensions: list[SourceExtension], provider: ProviderRules) -> SourceInfo:
    version, version_num, size, encoding, collate, ctype, locale_provider, locale = about
    return SourceInfo(
        server_version=version.split()[0],
        server_version_num=version_num,
        database_size_bytes=size,
        provider=provider.provider.value if provider.hosts else None,
        extensions=extensions,
        encoding=encoding,
        collate=collate,
        ctype=ctype,
        locale_provider=locale_provider,
        locale=locale,
    )


def _judge_reachable(endpoint: Endpoint, facts: SourceInfo, standby: bool) -> CheckResult:
    text = f"{endpoint.address} answers, PostgreSQL {facts.server_version}"
    if not standby:
        return passed_check(CheckName.SOURCE_REACHABLE, text)
    return warned_check(
        CheckName.SOURCE_REACHABLE,
        f"{text}; it is a standby: unlogged tables are empty there, and a long import may be cancelled by its replay"
        " (max_standby_streaming_delay, hot_standby_feedback); use the primary where that matters",
    )


def _ask_left(
    asker: CatalogReader, provider: ProviderRules, own: list[str], extensions: list[SkippedObject]
) -> tuple[ResultRows | NotChecked, list[SkippedObject], int]:
    """Kinds with counts for the check; each object, and how many more, for the report."""
    schemas = [
        SkippedObject(object=f"SCHEMA {name}", reason=f"it belongs to {provider.title}, with all in it") for name in own
    ]
    found = asker.ask("checks/unsupported", left=own)
    named, unnamed = ([], 0) if isinstance(found, NotChecked) else list_left(found)
    if isinstance(found, NotChecked):
        return found, [*schemas, *extensions], 0
    kinds: ResultRows = [("SCHEMA", len(own), own)] if own else []
    return [*kinds, *found], [*schemas, *extensions, *named], unnamed


def _ask_effects(asker: CatalogReader, own: list[str], extensions: ResultRows) -> list[str]:
    triggers = asker.ask("checks/side_effects")
    if not isinstance(triggers, NotChecked):
        triggers = [(title,) for schema, title in triggers if schema not in own]
    cron = asker.ask("checks/cron_jobs") if any(row[0] == "pg_cron" for row in extensions) else None
    return describe_effects(triggers, cron)


def _ask_collation_version(asker: CatalogReader, facts: SourceInfo) -> ResultRows | NotChecked | None:
    return asker.ask("checks/collation_version") if facts.server_version_num >= COLLATION_VERSIONS else None


def _with_rows(extensions: ResultRows, wanted: list[SourceExtension]) -> list[str]:
    names = {one.name for one in wanted}
    return [name for name, _, _, tables in extensions if tables and name in names]
