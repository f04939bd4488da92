"""A dump file as the source of an import.

The rows of a custom archive are not stored. The files of a tar are stored in scratch and restored in parallel. Plain
SQL runs while it is downloaded.
"""

from dataclasses import replace

from pgimport.worker.archive.selection import Exclusions
from pgimport.worker.engines.configuration_rows import describe_kept_rows
from pgimport.worker.engines.file.custom_restore import restore_custom
from pgimport.worker.engines.file.dump_opening import open_dump
from pgimport.worker.engines.file.file_kinds import DumpFormat
from pgimport.worker.engines.file.local_file import open_file
from pgimport.worker.engines.file.plain_restore import restore_plain, run_deferred_statements
from pgimport.worker.engines.file.restored_content import RestoredContent
from pgimport.worker.engines.file.tar_restore import restore_tar
from pgimport.worker.engines.file.whole_file import find_unpack_limit
from pgimport.worker.engines.pg_restore import PgRestore
from pgimport.worker.pipeline.source import Copied
from pgimport.worker.postgres.source import DumpLocation
from pgimport.worker.postgres.text_settings import describe_file_money, find_monetary_locale, read_text_settings
from pgimport.worker.report.periodic_call import PeriodicCall
from pgimport.worker.report.progress_meter import FileProgressMeter, Stage
from pgimport.worker.run import ImportRun
from pgimport.worker.scope.live_scope import SourceScope, read_exclusions
from pgimport.worker.verify.file_objects import FileObject
from pgimport.worker.verify.findings import Findings
from pgimport.worker.verify.large_objects import count_large_objects
from pgimport.worker.verify.restored_file import (
    FileRows,
    add_row_count,
    compare_file_rows,
    describe_partial_dump,
)
from pgimport.worker.verify.restored_structure import compare_file_objects


class FileSource:
    """Implements `Source` over a download."""

    def __init__(self, run: ImportRun, pg_restore: PgRestore, location: DumpLocation) -> None:
        self._run, self._pg_restore, self._location = run, pg_restore, location
        self._content = RestoredContent()

    def copy(self) -> Copied:
        exclusions = self._read_exclusions()
        with self._run.shadow_sessions.session("its locale was read") as shadow:
            monetary_locale = find_monetary_locale(shadow)
        self._run.shadow_sessions.client_settings["lc_monetary"] = monetary_locale
        with open_file(self._location, self._run.order.storage_limit_bytes) as download:
            opened = open_dump(download, find_unpack_limit(self._run.order))
            stream, dump_format = opened.stream, opened.format
            self._run.reporter.log(
                f"restoring a {dump_format.value} dump from {self._location.address}", bytes=download.length
            )
            meter = FileProgressMeter(self._run.reporter, download.length)
            run = replace(self._run, meter=meter)
            run.target_watch.on_work = meter.report_work
            meter.begin(Stage.ROWS)
            with PeriodicCall(lambda: meter.receive(download.bytes_read)):
                match dump_format:
                    case DumpFormat.CUSTOM:
                        self._content = restore_custom(run, self._pg_restore, stream, download, exclusions)
                    case DumpFormat.TAR:
                        self._content = restore_tar(run, self._pg_restore, stream, download, exclusions)
                    case DumpFormat.PLAIN:
                        self._content = restore_plain(run, stream, download, exclusions)
            meter.receive(download.bytes_read)
        self._run = run
        with run.shadow_sessions.session("its columns of type money were listed") as shadow:
            notes = describe_file_money(read_text_settings(shadow), monetary_locale)
        notes += [*self._content.notes, *describe_kept_rows(self._content.configuration_rows)]
        views = self._content.populated_views
        return Copied(skipped=self._content.skipped, notes=notes, populated_views=views)

    def compare_rows(self, findings: Findings) -> None:
        content, run = self._content, self._run
        run.meter.begin(Stage.VERIFY, len(content.row_counts))
        with run.shadow_sessions.session("its rows were counted") as shadow:
            staged_rows = {rows.table.name: rows.staged for rows in content.configuration_rows}
            for name in staged_rows.keys() & content.row_counts.keys():
                add_row_count(".".join(name), content.row_counts.pop(name), staged_rows[name], findings)
            file_rows = FileRows(content.row_counts, content.uncounted_tables, content.row_change)
            compare_file_rows(shadow, file_rows, findings, run.meter.step)
            findings.large_objects = count_large_objects(shadow)
            findings.notes += describe_partial_dump(
                shadow, findings.skipped, has_rows=bool(content.row_counts or content.uncounted_tables)
            )
        findings.sequences = content.sequence_count
        findings.not_compared.append("values: a dump file tells nothing but its rows' number; see spec.source.sha256")

    def restore_row_security(self) -> None:
        content = self._content
        if content.restore is not None:
            content.restore.create_row_security()
        run_deferred_statements(self._run, content)

    def compare_definitions(self, findings: Findings) -> None:
        content = self._content
        plan = content.plan
        entries = [*plan.restored_entries, *plan.row_security_entries] if plan else []
        objects = [
            FileObject(entry.kind, entry.schema, entry.tag, entry.definition)
            for entry in entries
            if plan is not None and not plan.is_skipped(entry)
        ]
        objects += [
            FileObject(item.kind, item.schema, item.tag, item.definition)
            for item in content.created.values()
            if item.is_exact
        ]
        not_valid = {title.partition("CONSTRAINT ")[2] for title in content.not_valid}
        not_valid |= {f"{schema}.{table} {name}" for schema, table, name in (plan.not_valid if plan else ())}
        with self._run.shadow_sessions.session("its structure was compared with the dump") as shadow:
            compare_file_objects(shadow, objects, findings, not_valid=not_valid, from_archive=plan is not None)

    def _read_exclusions(self) -> Exclusions:
        with self._run.shadow_sessions.session("its schemas and roles were listed") as shadow:
            return read_exclusions(shadow, SourceScope(), with_sequence_values=True)
