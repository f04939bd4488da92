"""Restores users' rows of extensions' configuration tables, such as `spatial_ref_sys` of PostGIS.

CREATE EXTENSION creates such a table with the extension's own rows. A dump contains the rows that users added, which
`pg_extension.extcondition` selects. A COPY of them fails if the target's version of the extension has one of these
rows already. So the rows are first restored into staging tables, and then inserted where their key is free.

https://www.postgresql.org/docs/current/extend-extensions.html#EXTEND-EXTENSIONS-CONFIG-TABLES
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import psycopg
from psycopg import sql

from pgimport.model.import_choices import SkipGroup
from pgimport.model.result import SkippedObject
from pgimport.worker.archive.sql_tokens import scan_tokens
from pgimport.worker.archive.toc import TocEntry
from pgimport.worker.postgres.endpoints import Connection
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.postgres.server_errors import describe_message
from pgimport.worker.run import ImportRun

TableName = tuple[str, str]  # schema and table

_RAISE_SEQUENCE = sql.SQL(
    "SELECT pg_catalog.setval({}::pg_catalog.regclass, r.last)"
    " FROM (SELECT pg_catalog.max({})::bigint AS last FROM {}) AS r, {} AS s WHERE r.last >= s.last_value"
)
_LOWER_SEQUENCE = sql.SQL(
    "SELECT pg_catalog.setval({}::pg_catalog.regclass, r.last)"
    " FROM (SELECT pg_catalog.min({})::bigint AS last FROM {}) AS r, {} AS s WHERE r.last <= s.last_value"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationTable:
    """A configuration table in the shadow, and the staging table that takes its rows first."""

    name: TableName
    extension: str
    condition: str | None  # WHERE clause that selects users' rows; None: all rows
    replaceable: bool  # whether the attempt's role may read and delete rows
    watched: bool = False  # whether its extension has an event trigger
    staging: TableName
    columns: tuple[tuple[str, str], ...]  # name and type

    @property
    def title(self) -> str:
        return ".".join(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationRows:
    """The result for one configuration table."""

    table: ConfigurationTable
    staged: int  # rows that the dump contains
    inserted: int
    refusal: psycopg.Error | None = None  # the target's error; nothing was inserted then
    sequence_refusals: tuple[str, ...] = ()  # texts about sequences that the target does not let set

    @property
    def kept(self) -> int:
        """The number of rows that were not inserted, because the extension has a row of its own with the same key."""
        return 0 if self.refusal else self.staged - self.inserted


@dataclass(slots=True)
class ConfigurationStaging:
    """The staging tables of one import."""

    tables: dict[TableName, ConfigurationTable] = field(default_factory=dict)
    schema: str = ""
    redirected: dict[TableName, tuple[str, ...]] = field(default_factory=dict)  # columns of COPYs, in their order

    def list_redirected(self, *, watched: bool) -> list[tuple[ConfigurationTable, tuple[str, ...]]]:
        """Returns tables that got rows, with the columns of these, in the order of the dump."""
        tables = [(self.tables[name], columns) for name, columns in self.redirected.items()]
        return [(table, columns) for table, columns in tables if table.watched is watched]

    def redirect(self, table: TableName, copy_statement: str) -> str:
        """Returns the COPY statement of a table, with the staging table as its target if there is one."""
        staged = self.tables.get(table)
        tokens = list(scan_tokens(copy_statement))
        opening = next((index for index, token in enumerate(tokens) if token.is_("(")), None)
        closing = next((index for index, token in enumerate(tokens) if token.is_(")")), None)
        if staged is None or opening is None or closing is None:
            return copy_statement
        columns = tuple(token.text for token in tokens[opening + 1 : closing] if not token.is_(","))
        known = self.redirected.setdefault(table, columns)
        self.redirected[table] = known + tuple(column for column in columns if column not in known)
        target = sql.Identifier(*staged.staging).as_string()
        return f"COPY {target} {copy_statement[tokens[opening].start :]}"

    def redirect_entries(self, entries: Iterable[TocEntry]) -> dict[int, str]:
        """Returns the COPY statements to change in an archive's table of contents, by dump id."""
        changes: dict[int, str] = {}
        for entry in entries:
            if entry.kind == "TABLE DATA" and entry.copy_statement and (entry.schema, entry.tag) in self.tables:
                changes[entry.dump_id] = self.redirect((entry.schema, entry.tag), entry.copy_statement)
        return changes


def open_staging(run: ImportRun) -> ConfigurationStaging:
    """Creates a staging table for each configuration table in the shadow. Raises ImportStopped."""
    # No schema of the source can have this name: the name of the shadow is derived from the attempt.
    staging = ConfigurationStaging(schema=run.shadow.dbname)
    with run.shadow_sessions.session("tables of extensions were listed") as shadow:
        rows = shadow.execute(read_query("engines/configuration_tables")).fetchall()
        for number, (schema, name, extension, condition, replaceable, watched, names, types) in enumerate(rows):
            staging.tables[schema, name] = ConfigurationTable(
                name=(schema, name),
                extension=extension,
                condition=condition,
                replaceable=replaceable,
                watched=watched,
                staging=(staging.schema, str(number)),
                columns=tuple(zip(names, types, strict=True)),
            )
        if staging.tables:
            shadow.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(staging.schema)))
        for table in staging.tables.values():
            shadow.execute(_build_staging_table(table))
    return staging


def move_rows(run: ImportRun, staging: ConfigurationStaging) -> list[ConfigurationRows]:
    """Moves staged rows into the configuration tables, before indexes and constraints that may need them.

    A table whose rows the target refuses is in the result with its refusal. Leaves out the tables of extensions with an
    event trigger, for `finish_rows`. Raises ImportStopped.
    """
    tables = staging.list_redirected(watched=False)
    if not tables:
        return []
    with run.shadow_sessions.own_session("rows in tables of extensions were restored") as shadow:
        return _move_rows(shadow, tables)


def finish_rows(run: ImportRun, staging: ConfigurationStaging) -> list[ConfigurationRows]:
    """Drops the staging tables, and moves the rows that `move_rows` left out. Raises ImportStopped.

    Runs after the constraints. An event trigger of `periods` refuses each DROP while a constraint or trigger is missing
    that its rows name. So the rows wait in temporary tables, which end with the session, while staging tables are
    dropped.
    """
    if not staging.tables:
        return []
    tables = staging.list_redirected(watched=True)
    waiting = [(replace(table, staging=("pg_temp", table.staging[1])), columns) for table, columns in tables]
    with run.shadow_sessions.own_session("rows in tables of extensions were restored") as shadow:
        for (table, _), (copy, _) in zip(tables, waiting, strict=True):
            names = sql.Identifier(copy.staging[1]), sql.Identifier(*table.staging)
            shadow.execute(sql.SQL("CREATE TEMPORARY TABLE {} AS TABLE {}").format(*names))
        shadow.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(staging.schema)))
        return _move_rows(shadow, waiting)


def _move_rows(
    shadow: Connection, tables: Sequence[tuple[ConfigurationTable, tuple[str, ...]]]
) -> list[ConfigurationRows]:
    # The tables can refer to each other. The dump lists a table after those that it refers to.
    refusals = {table.name: _delete_replaced_rows(shadow, table) for table, _ in reversed(tables)}
    return [_move_table(shadow, table, columns, refusals[table.name]) for table, columns in tables]


def describe_kept_rows(results: Sequence[ConfigurationRows]) -> list[str]:
    """Returns notes on tables in which rows of the extension took precedence, and on sequences. Pure."""
    notes = [
        f"{result.kept} of {result.staged} rows of {result.table.title} were not restored: the target's version of"
        f" extension {result.table.extension} already has rows with these keys"
        for result in results
        if result.kept
    ]
    return notes + [text for result in results for text in result.sequence_refusals]


def list_refused_rows(results: Iterable[ConfigurationRows]) -> list[SkippedObject]:
    """Returns the tables whose rows the target refused. Pure."""
    return [
        SkippedObject(
            object=f"TABLE DATA {result.table.title}",
            reason=f"{describe_message(result.refusal)}; the table belongs to extension {result.table.extension}",
            group=SkipGroup.REFUSED,
            rows=result.staged,
            sqlstate=result.refusal.sqlstate,
        )
        for result in results
        if result.refusal is not None
    ]


def _build_staging_table(table: ConfigurationTable) -> sql.Composed:
    columns = [sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(type_)) for name, type_ in table.columns]
    return sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(*table.staging), sql.SQL(", ").join(columns))


def _delete_replaced_rows(shadow: Connection, table: ConfigurationTable) -> psycopg.Error | None:
    """Deletes the rows that the dump replaces: those that count as users' rows, although CREATE EXTENSION made them."""
    if not table.replaceable:
        return None
    statement = sql.SQL("DELETE FROM ONLY {} {}").format(sql.Identifier(*table.name), sql.SQL(table.condition or ""))
    return _execute(shadow, statement)[1]


def _move_table(
    shadow: Connection, table: ConfigurationTable, columns: tuple[str, ...], refusal: psycopg.Error | None
) -> ConfigurationRows:
    row = shadow.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*table.staging))).fetchone()
    staged, inserted = row[0] if row else 0, 0
    if not staged:
        return ConfigurationRows(table=table, staged=0, inserted=0)
    if refusal is None:
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        insert = "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} ON CONFLICT DO NOTHING"
        inserted, refusal = _execute(
            shadow,
            sql.SQL(insert).format(sql.Identifier(*table.name), names, names, sql.Identifier(*table.staging)),
        )
    return ConfigurationRows(
        table=table,
        staged=staged,
        inserted=inserted,
        refusal=refusal,
        sequence_refusals=tuple(_advance_sequences(shadow, table)) if refusal is None else (),
    )


def _advance_sequences(shadow: Connection, table: ConfigurationTable) -> Iterator[str]:
    """Sets the sequences of the table's columns beyond its rows: no dump contains the value of each of them.

    Yields a text for each that the target does not let set.
    """
    schema, name = table.name
    names = {"schema": schema, "name": name}
    for sequence_schema, sequence, column, descends in shadow.execute(read_query("engines/owned_sequences"), names):
        identifier = sql.Identifier(sequence_schema, sequence)
        refusal = _execute(
            shadow,
            (_LOWER_SEQUENCE if descends else _RAISE_SEQUENCE).format(
                sql.Literal(identifier.as_string()), sql.Identifier(column), sql.Identifier(*table.name), identifier
            ),
        )[1]
        if refusal is not None:
            yield (
                f"the sequence {sequence_schema}.{sequence} of extension {table.extension} may be behind the rows of"
                f" {table.title}: {describe_message(refusal)}"
            )


def _execute(shadow: Connection, statement: sql.Composed) -> tuple[int, psycopg.Error | None]:
    """Returns the number of rows, or the target's refusal. Raises psycopg.OperationalError for a lost connection."""
    try:
        return shadow.execute(statement).rowcount, None
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        return 0, error
