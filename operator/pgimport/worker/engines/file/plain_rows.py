"""Passes the rows of plain SQL to psql, or counts them if the target does not have their table."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from pgimport.model.reasons import Failure, Reason
from pgimport.worker.archive.entry_names import TABLE_ATTACH
from pgimport.worker.archive.partition_roots import redirect_rows
from pgimport.worker.archive.sql_tokens import scan_tokens
from pgimport.worker.archive.trim import ObjectName
from pgimport.worker.engines.configuration_rows import ConfigurationStaging
from pgimport.worker.engines.file.file_session import FileSession
from pgimport.worker.engines.file.plain_executor import PlainExecutor
from pgimport.worker.engines.file.plain_sql_lexer import CopyRows, SqlStatement, find_copy_options
from pgimport.worker.engines.file.plain_statement import Statement, parse_statement
from pgimport.worker.engines.file.restored_content import RestoredContent, find_copy_target
from pgimport.worker.engines.file.search_path import TEMPORARY, SearchPath
from pgimport.worker.engines.file.statement_subject import Subject
from pgimport.worker.engines.file.waiting_constraints import WaitingConstraints
from pgimport.worker.postgres.errors import ImportStopped

_HEAD = 4096  # bytes of a COPY or an INSERT in which its table's name is searched
# Options of COPY with which a line is not always a row that the table gets.
_OTHER_ROWS = frozenset({"csv", "header", "on_error", "where"})
# Words behind a table's name and columns, in a COPY or an INSERT.
_ENDS_OF_COLUMNS = ("from", "values", "overriding", "default", "select", "with")
_MAX_INSERT_HEADS = 10_000  # different beginnings of INSERT statements that are remembered


@dataclass(frozen=True, slots=True)
class RowTarget:
    """The table of a COPY or an INSERT. `missing`: SQLSTATE of the reason why the target does not have it.

    It is empty for a table that is skipped by design.
    """

    subject: Subject
    missing: str | None
    head: bytes | None = None  # what an INSERT begins with instead, because its rows go through another table
    counted: bool = True  # whether each line of the COPY is a row that arrives


@dataclass
class PlainRows:
    """Takes the statements and lines of a dump that contain rows."""

    executor: PlainExecutor
    content: RestoredContent
    staging: ConfigurationStaging
    session: FileSession
    constraints: WaitingConstraints
    copied: RowTarget | None = None  # the table of the last COPY
    inserts: dict[bytes, RowTarget] = field(default_factory=dict)  # beginning of an INSERT → its table

    @property
    def has_rows(self) -> bool:
        """Whether a table has got rows already."""
        return bool(self.content.row_counts or self.content.uncounted_tables)

    def take_copy(self, statement: Statement, *, is_skipped: bool) -> None:
        """Begins a COPY. Raises ImportStopped."""
        assert statement.subject is not None  # noqa: S101 (COPY has one)
        if any(token.is_("oids") for token in list(scan_tokens(statement.definition[:_HEAD]))[-6:]):
            raise ImportStopped(_refuse_oids(statement.line))
        if is_skipped:
            self.copied = RowTarget(statement.subject, "")
            return
        subject = statement.subject
        self.executor.settle()  # so that all partitions before it are known
        text = self.staging.redirect((subject.schema, subject.tag), statement.definition)
        if (root := self._find_root(statement, subject)) is not None:
            text = redirect_rows(text, root, "COPY")
            subject = Subject(subject.kind, *(find_copy_target(text) or (subject.schema, subject.tag)))
        is_counted = _OTHER_ROWS.isdisjoint(find_copy_options(text) or ())
        self.copied = RowTarget(subject, self._probe(text, subject, statement.line), counted=is_counted)
        if self.copied.missing is None:
            self.session.use_source_path(statement.line)
            self.executor.execute(replace(statement, text=text.encode(self.executor.codec), definition=text))

    def _find_root(self, statement: Statement, subject: Subject) -> ObjectName | None:
        """Returns the table that a COPY must name instead, or None.

        It is a table above a partition whose hashes may differ, or a partition that the target did not attach to the
        table through which pg_dump loads its rows.
        """
        roots, partition = self.content.partition_roots, statement.partition
        if partition is not None and self._is_detached(partition):
            return roots.find_root(partition) or partition
        return roots.find_root((subject.schema, subject.tag))

    def _is_detached(self, partition: ObjectName) -> bool:
        """Returns whether the target refused to attach a partition or a table above it."""
        titles = {item.object for item in self.content.skipped if item.object.startswith(TABLE_ATTACH)}
        table: ObjectName | None = partition
        while table is not None:
            if Subject(TABLE_ATTACH, *table).title in titles:
                return True
            table = self.content.partition_roots.find_parent(table)
        return False

    def take_rows(self, item: CopyRows) -> None:
        """Passes on or counts rows of the last COPY."""
        assert self.copied is not None  # noqa: S101 (rows follow a COPY)
        subject = self.copied.subject
        if self.copied.missing is not None:
            self.executor.add_skipped_rows(subject, item.newlines, self.copied.missing)
            return
        self.executor.session.write(item.text, newlines=item.newlines + int(item.last))
        if subject.schema == TEMPORARY:
            return
        if self.copied.counted:
            self.content.row_counts[subject.schema, subject.tag] += item.newlines
        else:
            self.content.uncounted_tables.add((subject.schema, subject.tag))

    def take_insert(self, item: SqlStatement, path: SearchPath, skipped_schemas: Collection[str]) -> None:
        """Passes on or counts the rows of an INSERT. Raises ImportStopped."""
        codec = self.executor.codec
        end = item.text.find(b" VALUES", 0, _HEAD)
        head = item.text[: end + 7 if end > 0 else _HEAD]
        table = self.inserts.get(head)
        if table is None:
            text = head.decode(codec, "replace")
            parsed = parse_statement(SqlStatement(head, item.line, b""), codec, path)
            subject = parsed.subject or Subject("TABLE DATA", "", "")
            missing = "" if subject.schema in skipped_schemas else self._probe(text, subject, item.line)
            table = RowTarget(subject, missing, self._redirect_insert(text, subject))
            if len(self.inserts) >= _MAX_INSERT_HEADS:
                self.inserts.clear()
            self.inserts[head] = table
        if table.missing is not None:
            rows = count_inserted_rows(item.text.decode(codec, "replace"))
            self.executor.add_skipped_rows(table.subject, rows, table.missing)
            return
        if table.subject.schema != TEMPORARY:
            self.content.uncounted_tables.add((table.subject.schema, table.subject.tag))
        statement = item.text if table.head is None else table.head + item.text[len(head) :]
        self.session.use_source_path(item.line)
        definition = statement[:512].decode(codec, "replace")
        self.executor.execute(Statement(statement, item.line, definition, table.subject))

    def _redirect_insert(self, head: str, subject: Subject) -> bytes | None:
        """Returns the beginning of an INSERT into the root of a partition, or None if it stays as it is."""
        roots, table = self.content.partition_roots, (subject.schema, subject.tag)
        if (root := roots.find_root(table)) is None:
            return None
        return redirect_rows(head, root, "INSERT INTO", roots.find_columns(table)).encode(self.executor.codec)

    def take_waiting_constraints(self) -> list[Statement]:
        """Returns the statements that add the constraints that wait. Further rows make them wait once more."""
        self.inserts.clear()
        return self.constraints.take()

    def _probe(self, statement: str, subject: Subject, line: int) -> str | None:
        """Returns the SQLSTATE of the reason why the target cannot take rows, or None. Then their constraints wait.

        Rows that follow a COPY that failed would be read as SQL.
        """
        tokens = list(scan_tokens(statement))
        begin = next((token for token in tokens if token.is_("copy", "into")), None)
        end = next((token for token in tokens if token.is_(*_ENDS_OF_COLUMNS)), None)
        if begin is None or end is None:
            return None
        opening = next((token for token in tokens if token.is_("(") and token.start < end.start), None)
        closing = statement.rfind(")", 0, end.start)
        if opening is not None and closing < opening.start:  # COPY (query) TO …, which no dump contains
            return None
        columns = statement[opening.start + 1 : closing] if opening else ""
        alias = next((token for token in tokens if token.is_("as") and token.start < (opening or end).start), None)
        name = statement[begin.end : (alias or opening or end).start]
        self.session.use_own_path(line)
        missing = self.executor.settle(f"SELECT {columns} FROM {name} WHERE false")  # noqa: S608 (the dump's own text)
        if missing is not None and not (self.content.created or self.content.skipped):
            raise ImportStopped(_refuse_rows_without_tables(subject))
        if missing is None:
            self.constraints.release(name.strip(), line)
        return missing


def count_inserted_rows(statement: str) -> int:
    """Returns the number of rows of `INSERT INTO t VALUES (…), (…);`. Pure."""
    tokens = scan_tokens(statement)
    for token in tokens:
        if token.is_("values"):
            break
    else:
        return 1
    depth = rows = 0
    for token in tokens:
        rows += depth == 0 and token.is_("(")
        depth += token.is_("(") - token.is_(")")
    return max(rows, 1)


def _refuse_oids(line: int) -> Failure:
    return Failure(
        Reason.DUMP_UNSUPPORTED,
        f"the rows in line {line} of the dump contain OIDs, which PostgreSQL 12 removed: dump again without --oids",
    )


def _refuse_rows_without_tables(subject: Subject) -> Failure:
    return Failure(
        Reason.DUMP_UNSUPPORTED,
        f"the dump has rows of {subject.schema}.{subject.tag} but does not create the table:"
        " dump again without --data-only, or put a dump with --schema-only in front of it",
    )
