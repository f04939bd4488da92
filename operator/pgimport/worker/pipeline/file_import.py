"""A dump file's way into the shadow: a checked source comes in, a verified copy goes out.

gate → download, walked and counted on its way → pre-data → rows → post-data → ANALYZE → counts → materialised views
→ policies and row security → structure. A custom archive's rows are never written to a disk of ours; a tar's are,
for they are restored in parallel from there; plain SQL runs as it comes.
"""

from collections import Counter
from dataclasses import replace

import psycopg
from psycopg import sql

from pgimport.model.reasons import Failure
from pgimport.model.result import TableDifference, Verification
from pgimport.model.spec import Verify
from pgimport.worker.archive.selection import Exclusions, RestorePlan
from pgimport.worker.archive.toc import TocEntry
from pgimport.worker.checks.dump_file_reader import unpack_limit
from pgimport.worker.engines.file.archive_restore import restore_custom, restore_tar, run_last_entries
from pgimport.worker.engines.file.compression import DumpFormat, DumpStream, find_format
from pgimport.worker.engines.file.download import open_download
from pgimport.worker.engines.file.plain_restore import restore_plain, run_last_statements
from pgimport.worker.engines.file.restored_content import RestoredContent
from pgimport.worker.engines.pg_restore import ImportRun
from pgimport.worker.finish.finishing import analyze_tables, refresh_materialized_views
from pgimport.worker.finish.post_import import run_post_import
from pgimport.worker.postgres.endpoints import Connection
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.postgres.shadow import shadow_connection
from pgimport.worker.postgres.source import FileLocation
from pgimport.worker.report.progress import FileProgressMeter, PeriodicCall, Stage
from pgimport.worker.verify.structure import read_structure
from pgimport.worker.verify.verification import Findings, build_unverified

_LISTED = ("TABLE", "VIEW", "MATERIALIZED VIEW", "INDEX", "CONSTRAINT", "FK CONSTRAINT", "TRIGGER")


def import_file(run: ImportRun, source: FileLocation) -> tuple[Verification, Failure | None]:
    """Restore and verify. Raises Stopped."""
    run.meter.begin(Stage.SNAPSHOT)
    exclusions = _read_leave(run)
    with open_download(source, run.order.storage_limit_bytes) as download:
        stream = DumpStream(download, unpack_limit(run.order))
        found = find_format(stream)
        run.reporter.log(f"restoring a {found.value} dump from {source.address}", bytes=download.length)
        meter = FileProgressMeter(run.reporter, download.length)
        run = replace(run, meter=meter)
        meter.begin(Stage.ROWS)
        with PeriodicCall(lambda: meter.receive(download.taken)):
            if found is DumpFormat.CUSTOM:
                passed = restore_custom(run, stream, download, exclusions)
            elif found is DumpFormat.TAR:
                passed = restore_tar(run, stream, download, exclusions)
            else:
                passed = restore_plain(run, stream, download, exclusions)
        meter.receive(download.taken)
    return _finish(run, passed)


def _read_leave(run: ImportRun) -> Exclusions:
    with shadow_connection(run.shadow, "its schemas and roles were listed") as shadow:
        return Exclusions(
            present=frozenset(str(name) for _, name in shadow.execute(read_query("scope/target_schemas"))),
            roles=frozenset(str(name) for (name,) in shadow.execute(read_query("scope/target_roles"))),
            positions=True,
        )


def _finish(run: ImportRun, passed: RestoredContent) -> tuple[Verification, Failure | None]:
    analyze_tables(run)
    findings = Findings(notes=[f"left behind: {one.object}: {one.reason}" for one in passed.left])
    checked = run.order.verify is not Verify.NONE
    if checked:
        _verify_rows(run, passed, findings)
    findings.notes += refresh_materialized_views(run, passed.filled)
    run_last_entries(run, passed)
    run_last_statements(run, passed)
    if checked and passed.plan is not None:
        findings.faults += _find_missing(run, passed.plan)
        findings.compared = Counter(
            entry.kind.lower() for entry in passed.plan.main if entry.kind in _LISTED and not _is_state(entry)
        )
    elif checked:
        findings.not_compared.append("indexes, constraints, views and the like: plain SQL has no table of contents")
    if not checked:
        findings.notes += run_post_import(run)
        unverified = build_unverified()
        return unverified.model_copy(update={"notes": [*unverified.notes, *findings.notes]}), None
    if findings.good:
        findings.notes += run_post_import(run)
    return findings.to_verification(), None if findings.good else findings.to_failure()


def _verify_rows(run: ImportRun, passed: RestoredContent, findings: Findings) -> None:
    run.meter.begin(Stage.VERIFY, len(passed.rows))
    with shadow_connection(run.shadow, "its rows were counted") as shadow:
        for (schema, table), rows in passed.rows.items():
            statement = sql.SQL("SELECT pg_catalog.count(*) FROM {}{}")
            only = sql.SQL("" if _is_partitioned(shadow, schema, table) else "ONLY ")
            try:
                row = shadow.execute(statement.format(only, sql.Identifier(schema, table))).fetchone()
            except psycopg.errors.UndefinedTable:
                row = None
            found = int(row[0]) if row else None
            findings.tables += 1
            findings.rows += found or 0
            if found != rows:
                findings.unequal.append(TableDifference(table=f"{schema}.{table}", source_rows=rows, target_rows=found))
            run.meter.step()
        row = shadow.execute(read_query("verify/large_object_count")).fetchone()
        findings.large_objects = int(row[0]) if row else 0
    findings.sequences = passed.sequences
    findings.notes += _find_lacking(run, passed)
    if passed.uncounted:
        names = ", ".join(sorted(passed.uncounted)[:5])
        findings.not_compared.append(
            f"rows of {len(passed.uncounted)} tables ({names}): they are INSERT statements, which nobody counts"
        )
    findings.not_compared.append("values: a dump file tells nothing but its rows' number; see spec.source.sha256")


def _find_lacking(run: ImportRun, passed: RestoredContent) -> list[str]:
    """What a dump of a part lacks is not missed by anything in it: whoever reads the report must know."""
    with shadow_connection(run.shadow, "what it holds was counted") as shadow:
        row = shadow.execute(read_query("verify/content_totals")).fetchone()
    tables, keys = row or (0, 0)
    if not tables:
        return []
    lacking = [] if passed.rows or passed.uncounted else ["no rows of any table"]
    lacking += [] if keys else ["no indexes and no keys"]
    made = "as one made with --schema-only, --section or --data-only does"
    return [f"the dump holds {' and '.join(lacking)}, {made}"] if lacking else []


def _is_partitioned(shadow: Connection, schema: str, table: str) -> bool:
    row = shadow.execute(
        "SELECT c.relkind = 'p' FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n"
        " ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s",
        [schema, table],
    ).fetchone()
    return bool(row and row[0])


def _is_state(entry: TocEntry) -> bool:
    """A partition's trigger is its parent's; an entry of its own only says that it is disabled, or enabled."""
    return entry.kind == "TRIGGER" and entry.definition.lstrip().startswith("ALTER TABLE ")


def _find_missing(run: ImportRun, plan: RestorePlan) -> list[str]:
    """Entries of the kinds that may get lost, which are not there."""
    with shadow_connection(run.shadow, "its structure was listed") as shadow:
        items = read_structure(shadow)
    names = {(item.schema, f"{item.relation} {item.name}" if item.name else item.relation) for item in items}
    names |= {(item.schema, item.name) for item in items if item.kind == "index"}
    return [
        f"missing in the copy: {entry.title}"
        for entry in plan.main
        if entry.kind in _LISTED and (entry.schema, entry.tag) not in names and not _is_state(entry)
    ]
