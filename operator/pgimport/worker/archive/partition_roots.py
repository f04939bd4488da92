"""Finds the partitions of a dump whose rows must be loaded through a partitioned table above them. Pure.

PostgreSQL hashes an enum value by its OID, which differs in the copy. This also applies to arrays, rows and ranges of
enums. So a row can belong to another partition in the copy, and a COPY into the partition of the source fails. pg_dump
itself loads rows through the root only if the partition key is a plain enum.
"""

from collections.abc import Iterable

from pgimport.worker.archive.sql_tokens import SqlToken, scan_tokens, split_columns, split_items
from pgimport.worker.archive.toc import TocEntry
from pgimport.worker.archive.trim import ObjectName
from pgimport.worker.text import quote_name

# Types whose hashes are the same in every database, as pg_dump writes them, without their modifiers.
_STABLE_TYPES = frozenset(
    {
        "bigint",
        "boolean",
        "bytea",
        "character",
        "character varying",
        "cidr",
        "date",
        "double precision",
        "inet",
        "integer",
        "interval",
        "jsonb",
        "macaddr",
        "macaddr8",
        "name",
        "numeric",
        "pg_lsn",
        "real",
        "smallint",
        "text",
        "time with time zone",
        "time without time zone",
        "timestamp",
        "timestamp with time zone",
        "timestamp without time zone",
        "uuid",
        "xid8",
    }
)
_AFTER_TYPE = ("(", "not", "default", "generated", "constraint", "storage", "compression")


class PartitionRoots:
    """Collects partitioned tables and partitions from the definitions of a dump."""

    def __init__(self) -> None:
        self._parents: dict[ObjectName, ObjectName] = {}
        self._columns: dict[ObjectName, tuple[str, ...]] = {}
        self._unstable: set[ObjectName] = set()  # partitioned by a hash that may differ in the copy

    def add(self, definition: str, default_schema: str = "public") -> None:
        """Reads one statement and ignores all but CREATE TABLE and ALTER TABLE … ATTACH PARTITION.

        `default_schema`: that of names without one.
        """
        tokens = list(scan_tokens(definition))
        if len(tokens) > 2 and tokens[0].is_("create") and any(token.is_("table") for token in tokens[1:3]):
            self._add_table(tokens, default_schema)
        elif len(tokens) > 2 and tokens[0].is_("alter") and tokens[1].is_("table"):
            attach = _find(tokens, "attach", "partition")
            if attach is not None:
                begin = _skip_words(tokens, 2, "if", "exists", "only")
                parent = _read_name(tokens, begin, default_schema)
                self._parents[_read_name(tokens, attach + 2, default_schema)] = parent

    def find_root(self, table: ObjectName) -> ObjectName | None:
        """Returns the highest table above a partition whose hashes may differ in the copy, or None."""
        root, seen = None, {table}
        while (parent := self._parents.get(table)) is not None and parent not in seen:
            table = parent
            seen.add(table)
            root = table if table in self._unstable else root
        return root

    def find_parent(self, table: ObjectName) -> ObjectName | None:
        """Returns the table that a partition is attached to."""
        return self._parents.get(table)

    def find_columns(self, table: ObjectName) -> tuple[str, ...]:
        """Returns the columns of a table in their order. Returns no columns if its definition does not list them."""
        return self._columns.get(table, ())

    def _add_table(self, tokens: list[SqlToken], default_schema: str) -> None:
        begin = next(index for index, token in enumerate(tokens) if token.is_("table")) + 1
        begin = _skip_words(tokens, begin, "if", "not", "exists")
        name = _read_name(tokens, begin, default_schema)
        partition_of = _find(tokens, "partition", "of")
        if partition_of is not None:
            self._parents[name] = _read_name(tokens, partition_of + 2, default_schema)
        columns = list(split_columns(tokens[begin:]))
        if partition_of is None:
            self._columns[name] = tuple(item[0].text for item in columns)
        key = _find(tokens, "partition", "by", "hash")
        if key is not None and not _is_stable(split_items(tokens[key + 3 :]), columns):
            self._unstable.add(name)


def redirect_rows(statement: str, root: ObjectName, verb: str, columns: Iterable[str] = ()) -> str:
    """Returns the COPY or INSERT of a partition, changed to write to `root`. `verb` is `COPY` or `INSERT INTO`.

    `columns` are those of the partition, whose order can differ from the root's. Without them, a statement that names
    no columns stays unchanged.
    """
    opening = next((token for token in scan_tokens(statement) if token.is_("(", "values", "overriding", "from")), None)
    names = ", ".join(quote_name(column) for column in columns)
    if opening is None or not (opening.is_("(") or names):
        return statement
    listed = "" if opening.is_("(") else f"({names}) "
    return f"{verb} {quote_name(*root)} {listed}{statement[opening.start :]}"


def find_root_copies(entries: Iterable[TocEntry]) -> dict[int, str]:
    """Returns the COPY statements that must be changed in a table of contents, by dump id.

    `entries` are the objects that exist in the copy, and the rows to restore.
    """
    listed = list(entries)
    roots = _collect_roots(listed)
    changes = find_detached_copies(listed)
    for entry in listed:
        root = roots.find_root((entry.schema, entry.tag)) if entry.kind == "TABLE DATA" else None
        if root is not None and entry.copy_statement and _find_copied(entry) != root:
            changes[entry.dump_id] = redirect_rows(entry.copy_statement, root, "COPY")
    return changes


def find_detached_copies(entries: Iterable[TocEntry]) -> dict[int, str]:
    """Returns the COPY statements of partitions that the target did not attach to the named table, by dump id.

    With `--load-via-partition-root`, pg_dump names the highest partitioned table. Such a partition is a table of its
    own in the copy, so its rows are copied into itself.
    """
    listed = list(entries)
    roots, changes = _collect_roots(listed), dict[int, str]()
    for entry in listed:
        if entry.kind != "TABLE DATA" or not entry.copy_statement:
            continue
        table: ObjectName | None = (entry.schema, entry.tag)
        copied = _find_copied(entry)
        while table is not None and table != copied:
            table = roots.find_parent(table)
        if table is None:
            changes[entry.dump_id] = redirect_rows(entry.copy_statement, (entry.schema, entry.tag), "COPY")
    return changes


def _collect_roots(entries: Iterable[TocEntry]) -> PartitionRoots:
    roots = PartitionRoots()
    for entry in entries:
        if entry.kind in ("TABLE", "TABLE ATTACH"):
            roots.add(entry.definition)
    return roots


def _find_copied(entry: TocEntry) -> ObjectName:
    """Returns the table that an entry's COPY names: pg_dump itself may name the root."""
    return _read_name(list(scan_tokens(entry.copy_statement)), 1, entry.schema)


def _is_stable(key: Iterable[list[SqlToken]], columns: list[list[SqlToken]]) -> bool:
    """Tells whether each part is a column of a stable type, with the default collation and operator class."""
    types = {item[0].text: item[1:] for item in columns if item}
    return all(len(item) == 1 and _is_stable_type(types.get(item[0].text, [])) for item in key)


def _is_stable_type(tokens: list[SqlToken]) -> bool:
    words: list[str] = []
    for token in tokens:
        if token.is_(*_AFTER_TYPE):
            break
        words.append("" if token.quoted else token.text)
    return " ".join(words) in _STABLE_TYPES and not any(token.is_("collate") for token in tokens)


def _find(tokens: list[SqlToken], *words: str) -> int | None:
    """Returns the index of the first of these consecutive keywords outside of parentheses, or None."""
    depth = 0
    for index, token in enumerate(tokens):
        depth += token.is_("(") - token.is_(")")
        following = tokens[index : index + len(words)]
        if depth == 0 and len(following) == len(words) and all(map(SqlToken.is_, following, words)):
            return index
    return None


def _skip_words(tokens: list[SqlToken], index: int, *words: str) -> int:
    """Returns the index of the first token that is none of these words."""
    while index < len(tokens) and tokens[index].is_(*words):
        index += 1
    return index


def _read_name(tokens: list[SqlToken], index: int, default_schema: str = "public") -> ObjectName:
    """Returns schema and name. A name without a schema counts as one of `default_schema`."""
    if len(tokens) > index + 2 and tokens[index + 1].is_("."):
        return tokens[index].text, tokens[index + 2].text
    return (default_schema, tokens[index].text) if len(tokens) > index else ("", "")
