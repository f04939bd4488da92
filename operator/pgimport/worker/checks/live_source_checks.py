"""Reads what the checks of a live source need, and builds the whole report.

All queries run in one read-only transaction, in two round trips, whatever the number of tables. A second connection
shows whether the address leads to a pooler or to several servers. No setting of a session is changed: behind a pooler,
the change would also affect other clients.
"""

from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Any

from pgimport.model.order import Order
from pgimport.model.preflight_checks import CheckName
from pgimport.model.provider_rules import ProviderRules
from pgimport.model.result import SkippedObject, SourceExtension, SourceInfo
from pgimport.worker.checks.catalog_reader import CatalogReader, ResultRows
from pgimport.worker.checks.check_results import (
    CheckResult,
    NotChecked,
    SourceReport,
    join_sentences,
    passed_check,
    warned_check,
)
from pgimport.worker.checks.content_checks import (
    describe_side_effects,
    judge_encoding,
    judge_large_objects,
    judge_unsupported,
    list_skipped,
)
from pgimport.worker.checks.pooler_check import SessionProbe, judge_pooling, probing_sessions
from pgimport.worker.checks.privilege_checks import judge_privileges, judge_row_security
from pgimport.worker.checks.target_fit_checks import judge_extensions, judge_size, judge_version
from pgimport.worker.checks.value_checks import describe_reg_columns, describe_rowless_references
from pgimport.worker.memory import read_memory_limit
from pgimport.worker.postgres.endpoints import Connection, Endpoint, open_connection
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.postgres.source import open_source_connection
from pgimport.worker.scope.database_settings import build_live_properties
from pgimport.worker.scope.extension_needs import collect_needs
from pgimport.worker.scope.extensions import ExtensionContext, split_extensions
from pgimport.worker.scope.patterns import NameFilter, build_name_filter
from pgimport.worker.scope.provider import SIGN_PARAMETERS, DetectedProvider, detect_provider

DATABASE_COLLATION_VERSION = 150000  # server_version_num of the first server with pg_database.datcollversion
# Queries that need to know nothing of the source, and those that need to know the provider's own schemas.
FIRST_QUERIES = (
    "checks/source_facts",
    "scope/extensions",
    "scope/provider_signs",
    "scope/extension_needs",
    "scope/database_settings",
    "checks/collations",
    "checks/large_objects",
    "checks/side_effects",
)
QUERIES_BY_SCHEMA = ("checks/unsupported", "checks/privileges", "checks/row_level_security", "checks/reg_columns")


def check_source(order: Order, endpoint: Endpoint) -> SourceReport:
    """Checks a live source. Raises ImportStopped if it cannot be queried at all."""
    with ExitStack() as stack:
        connection = stack.enter_context(closing(open_source_connection(endpoint, open_connection)))
        with probing_sessions(connection, lambda: _open_second_connection(stack, endpoint)) as wait_for_probe:
            report = _check(order, endpoint, CatalogReader(connection), wait_for_probe)
        connection.execute("COMMIT")
    return report


def _open_second_connection(stack: ExitStack, endpoint: Endpoint) -> Connection | NotChecked:
    try:
        return stack.enter_context(closing(open_source_connection(endpoint, open_connection)))
    except ImportStopped as stopped:
        return NotChecked(stopped.failure.message)


def _check(
    order: Order, endpoint: Endpoint, reader: CatalogReader, wait_for_probe: Callable[[], SessionProbe]
) -> SourceReport:
    reader.read_ahead(FIRST_QUERIES, **SIGN_PARAMETERS)
    (row,) = reader.read_required("checks/source_facts")
    *properties, user, is_standby = row
    extension_rows = reader.read_required("scope/extensions")
    detected = _detect_provider(order, endpoint, reader, extension_rows)
    provider, own_schemas = detected.rules, detected.own_schemas
    with_version = ["checks/collation_version"] if properties[1] >= DATABASE_COLLATION_VERSION else []
    reader.read_ahead([*QUERIES_BY_SCHEMA, *with_version], skipped_schemas=own_schemas)
    installed = [
        SourceExtension(name=name, version=version, schema_name=schema) for name, version, schema, _ in extension_rows
    ]
    # Whether an object comes along, and whether its rows do.
    includes, includes_rows = (
        build_name_filter(order.filter, own_schemas, user, rows=only_rows) for only_rows in (False, True)
    )
    needs = collect_needs(reader.read_required("scope/extension_needs"), includes, own_schemas)
    split = split_extensions(ExtensionContext(order, provider, needs), installed)
    stored = build_live_properties(reader.read_required("scope/database_settings"))
    facts = _build_facts(properties, split.imported, provider).model_copy(
        update={"comment": stored.comment, "settings": stored.settings}
    )
    kinds, skipped, skipped_unnamed = _read_skipped(reader, provider, own_schemas, split.skipped_objects)
    skipped += stored.skipped
    with_rows = _list_extensions_with_rows(extension_rows, split.imported)
    collation_version = _read_collation_version(reader, facts)
    privilege_rows = reader.read("checks/privileges", skipped_schemas=own_schemas)
    row_security_rows = reader.read("checks/row_level_security", skipped_schemas=own_schemas)
    results = [
        _judge_reachable(endpoint, facts, is_standby),
        judge_pooling(endpoint, provider, wait_for_probe()),
        judge_version(order, facts.server_version, facts.server_version_num),
        judge_size(order, facts.database_size_bytes or 0, with_rows, read_memory_limit()),
        judge_privileges(privilege_rows, includes, user),
        judge_row_security(row_security_rows, includes_rows, user),
        judge_encoding(facts, collation_version, reader.read("checks/collations")),
        judge_large_objects(reader.read("checks/large_objects"), user),
        judge_unsupported(
            kinds,
            [
                *_read_side_effects(reader, own_schemas, extension_rows),
                *_read_value_notes(order, reader, own_schemas, (includes, includes_rows), skips_objects=bool(skipped)),
            ],
        ),
        judge_extensions(order, split, with_rows),
    ]
    return SourceReport(results, facts, skipped, skipped_unnamed)


def _detect_provider(
    order: Order, endpoint: Endpoint, reader: CatalogReader, extension_rows: ResultRows
) -> DetectedProvider:
    rows = reader.read("scope/provider_signs", **SIGN_PARAMETERS)
    sign_rows = [] if isinstance(rows, NotChecked) else [(kind, name) for kind, name in rows]
    return detect_provider(order, endpoint.host, sign_rows, [row[0] for row in extension_rows])


def _build_facts(properties: list[Any], extensions: list[SourceExtension], provider: ProviderRules) -> SourceInfo:
    """Builds the facts about the source. `properties`: the first eight columns of `source_facts.sql`."""
    version, version_num, size, encoding, collate, ctype, locale_provider, locale = properties
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


def _judge_reachable(endpoint: Endpoint, facts: SourceInfo, is_standby: bool) -> CheckResult:
    text = f"{endpoint.address} answers, PostgreSQL {facts.server_version}"
    if not is_standby:
        return passed_check(CheckName.SOURCE_REACHABLE, text)
    notes = [
        "It is a standby, where unlogged tables are empty and where replay may cancel a long import"
        " (max_standby_streaming_delay, hot_standby_feedback)",
        "If that matters, use the primary",
    ]
    return warned_check(CheckName.SOURCE_REACHABLE, join_sentences([text, *notes]))


def _read_skipped(
    reader: CatalogReader, provider: ProviderRules, own_schemas: list[str], extensions: list[SkippedObject]
) -> tuple[ResultRows | NotChecked, list[SkippedObject], int]:
    """Returns kinds with counts for the check, and for the report skipped objects and the number of further ones."""
    reason = f"it belongs to {provider.title}, with everything in it"
    skipped = [SkippedObject(object=f"SCHEMA {name}", reason=reason) for name in own_schemas] + extensions
    rows = reader.read("checks/unsupported", skipped_schemas=own_schemas)
    if isinstance(rows, NotChecked):
        return rows, skipped, 0
    unsupported, unnamed = list_skipped(rows)
    schema_kind: ResultRows = [("SCHEMA", len(own_schemas), own_schemas)] if own_schemas else []
    return [*schema_kind, *rows], [*skipped, *unsupported], unnamed


def _read_side_effects(reader: CatalogReader, own_schemas: list[str], extension_rows: ResultRows) -> list[str]:
    trigger_rows = reader.read("checks/side_effects")
    if not isinstance(trigger_rows, NotChecked):
        trigger_rows = [(title,) for schema, title in trigger_rows if schema not in own_schemas]
    has_cron = any(row[0] == "pg_cron" for row in extension_rows)
    return describe_side_effects(trigger_rows, reader.read("checks/cron_jobs") if has_cron else None)


def _read_value_notes(
    order: Order,
    reader: CatalogReader,
    own_schemas: list[str],
    filters: tuple[NameFilter, NameFilter],
    *,
    skips_objects: bool,
) -> list[str]:
    """Returns notes about rows that the copy may refuse.

    `filters` tell which relations are imported, and which with rows.
    """
    includes, includes_rows = filters
    reg_rows = reader.read("checks/reg_columns", skipped_schemas=own_schemas)
    has_filter = order.filter is not None
    notes = describe_reg_columns(reg_rows, includes_rows, skips_objects=skips_objects or has_filter)
    if order.filter is not None and order.filter.exclude_table_data:
        notes += describe_rowless_references(reader.read("checks/referenced_tables"), includes, includes_rows)
    return notes


def _read_collation_version(reader: CatalogReader, facts: SourceInfo) -> ResultRows | NotChecked | None:
    has_version = facts.server_version_num >= DATABASE_COLLATION_VERSION
    return reader.read("checks/collation_version") if has_version else None


def _list_extensions_with_rows(extension_rows: ResultRows, imported: list[SourceExtension]) -> list[str]:
    """Returns the imported extensions whose own tables contain rows of users."""
    names = {extension.name for extension in imported}
    return [name for name, _, _, tables in extension_rows if tables and name in names]
