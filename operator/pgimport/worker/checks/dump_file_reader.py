"""Reads the beginning of a dump file, and builds the same report as for a live source.

The preflight reads no further than the table of contents. With `spec.source.sha256` it reads the whole file.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from pgimport.model.order import Order
from pgimport.model.reasons import Failure, Reason
from pgimport.model.result import DatabaseSetting, DumpFileInfo, SkippedObject, SourceExtension
from pgimport.worker.archive.database_properties import (
    DEFAULT_ENCODING,
    DatabaseProperties,
    guess_properties,
    parse_create_database,
)
from pgimport.worker.archive.database_settings import parse_comment, parse_settings, read_archive_settings
from pgimport.worker.archive.money_columns import MoneyColumns
from pgimport.worker.archive.selection import Exclusions, plan_restore
from pgimport.worker.archive.sql_tokens import parse_tokens
from pgimport.worker.archive.toc import (
    ENCODING,
    NEWEST,
    TOC_FILE,
    ArchiveHeader,
    TocEntry,
    corrupt,
    format_version,
    parse_table_of_contents,
)
from pgimport.worker.checks.check_results import SourceReport
from pgimport.worker.checks.dump_file_checks import FileContents, build_facts, judge_file, split_file_extensions
from pgimport.worker.checks.plain_needs import PlainNeeds
from pgimport.worker.engines.file.download import Download
from pgimport.worker.engines.file.dump_opening import OpenedDump, open_dump, walk_archive
from pgimport.worker.engines.file.dump_stream import CHUNK, DumpStream
from pgimport.worker.engines.file.file_kinds import DumpFormat
from pgimport.worker.engines.file.local_file import open_file
from pgimport.worker.engines.file.plain_sql_lexer import CopyRows, PlainSqlLexer, PsqlCommand, SqlStatement
from pgimport.worker.engines.file.plain_statement import forecast_skipped, parse_statement
from pgimport.worker.engines.file.search_path import SearchPath
from pgimport.worker.engines.file.statement_subject import parse_subject
from pgimport.worker.engines.file.whole_file import find_unpack_limit, read_to_the_end
from pgimport.worker.postgres.encodings import UTF8, find_codec
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.postgres.source import DumpLocation
from pgimport.worker.scope.archive_scope import (
    build_exclusion_rule,
    find_extension_schema,
    refuse_filter_for_plain_sql,
)
from pgimport.worker.scope.database_settings import build_stored_properties
from pgimport.worker.scope.extension_needs import collect_archive_needs

MAX_PLAIN_HEAD = 64 * 1024 * 1024  # bytes of plain SQL that are read in search of the first rows
MAX_PACKED_FILES = 256 * 1024 * 1024  # bytes of a tar or zip that the preflight reads in search of a second dump
MAX_STATEMENT_HEAD = 4096  # bytes of a plain SQL statement that are parsed
MAX_DEFINITION = 8192  # characters of an entry's definition that are kept
MAX_SKIPPED = 200  # skipped objects that the report names
_KINDS_WITH_DEFINITION = frozenset(
    {
        "AGGREGATE",
        "CAST",
        "COMMENT",
        "DATABASE",
        "DATABASE PROPERTIES",
        "ENCODING",
        "EXTENSION",
        "FUNCTION",
        "POLICY",
        "PROCEDURE",
        "TYPE",
    }
)
_KINDS_WITH_COLUMNS = frozenset({"DOMAIN", "TABLE", "TYPE"})
# Major of pg_restore → newest archive version that it reads. A newer pg_restore reads all that this worker parses.
_NEWEST_READABLE = {15: (1, 14), 16: (1, 15)}
UNKNOWN_VERSION = "unknown"  # of a file whose comments a tool has removed
_VERSION = re.compile(r"(\d+)(?:\.(\d+))?")
_SERVER_VERSION = re.compile(rb"-- Dumped from database version (\S+)")
_CLIENT_VERSION = re.compile(rb"-- Dumped by pg_dump version (\S+)")


def check_file(order: Order, source: DumpLocation) -> SourceReport:
    """Checks a dump file. Raises ImportStopped if it is no dump, or the target's pg_restore cannot read it."""
    with open_file(source, order.storage_limit_bytes) as download:
        opened = open_dump(download, find_unpack_limit(order))
        contents = _read_contents(order, source, download, opened)
        # A tar or zip may contain a second dump. In a large one, the import itself notices that.
        is_small = download.length is not None and download.length <= MAX_PACKED_FILES
        if order.sha256 is not None or (opened.path is not None and is_small):
            read_to_the_end(order, opened.stream, download)
    skipped = [
        *(split_file_extensions(order, contents).skipped_objects if contents.file.format == "plain" else ()),
        *contents.stored.skipped,
        *contents.skipped,
    ]
    return SourceReport(judge_file(order, contents), build_facts(order, contents), skipped[:MAX_SKIPPED])


def _read_contents(order: Order, source: DumpLocation, download: Download, opened: OpenedDump) -> FileContents:
    stream, dump_format = opened.stream, opened.format
    file = DumpFileInfo(format="custom", compression=opened.compression, size_bytes=download.length, path=opened.path)
    if dump_format is DumpFormat.CUSTOM:
        header, entries = parse_table_of_contents(stream.read)
        return _build_archive_contents(order, source, file, header, entries)
    if dump_format is DumpFormat.PLAIN:
        refuse_filter_for_plain_sql(order)
        return _read_plain_contents(source, file, stream)
    for member in walk_archive(stream):
        if member.name == TOC_FILE:
            header, entries = parse_table_of_contents(member.read)
            # A tar by pg_dump begins with the table of contents. A packed directory archive may have it anywhere.
            is_tar = member.path == TOC_FILE and stream.bytes_unpacked <= CHUNK * 4
            file = file.model_copy(update={"format": "tar" if is_tar else "directory"})
            return _build_archive_contents(order, source, file, header, entries)
    raise corrupt(f"the tar contains no {TOC_FILE}: it is neither a tar archive nor a directory of pg_dump")


def _build_archive_contents(
    order: Order,
    source: DumpLocation,
    file: DumpFileInfo,
    header: ArchiveHeader,
    entries: Iterable[TocEntry],
) -> FileContents:
    """Describes an archive. Raises ImportStopped if the target's pg_restore cannot read its version."""
    _refuse_newer_archive(order, header)
    money_columns = MoneyColumns()
    listed = [_shorten_entry(entry) for entry in _collect_money_columns(entries, money_columns)]
    return FileContents(
        address=source.address,
        file=file.model_copy(update={"client_version": _first_word(header.client_version)}),
        server_version=_first_word(header.server_version),
        server_version_num=_parse_version_num(header.server_version),
        archive_version=format_version(header.version),
        extensions=[
            SourceExtension(name=entry.tag, version="", schema_name=find_extension_schema(entry.definition))
            for entry in listed
            if entry.kind == "EXTENSION" and entry.tag != "plpgsql"
        ],
        large_objects=sum(entry.kind in ("BLOB", "BLOB METADATA") for entry in listed),
        skipped=plan_restore(
            listed, Exclusions(find_reason=build_exclusion_rule(order, listed), forecast=True)
        ).skipped,
        properties=_parse_database_properties(listed),
        schemas=[entry.tag for entry in listed if entry.kind == "SCHEMA"],
        extension_needs=collect_archive_needs(listed),
        stored=build_stored_properties(*read_archive_settings(listed)),
        money_columns=money_columns.names,
    )


def _collect_money_columns(entries: Iterable[TocEntry], money_columns: MoneyColumns) -> Iterator[TocEntry]:
    """Yields the entries, and adds the columns that their definitions contain.

    Raises ImportStopped if rows begin with an OID, which no server reads since PostgreSQL 12.
    """
    for entry in entries:
        if entry.copy_statement.endswith(" WITH OIDS FROM stdin;\n"):
            message = f"the dump was made with --oids ({entry.title}), which no server reads since 12: dump without it"
            raise ImportStopped(Failure(Reason.DUMP_UNSUPPORTED, message))
        if entry.kind in _KINDS_WITH_COLUMNS:
            money_columns.add(entry.definition)
        yield entry


def _refuse_newer_archive(order: Order, header: ArchiveHeader) -> None:
    """Raises ImportStopped if the pg_restore of the target's major version cannot read the archive."""
    major = order.target.server_version_num // 10000
    newest = _NEWEST_READABLE.get(major, NEWEST)
    if header.version > newest:
        message = (
            f"pg_dump {_first_word(header.client_version)} wrote an archive of version"
            f" {format_version(header.version)}, but pg_restore {major} of the target reads only up to version"
            f" {format_version(newest)}. Dump with pg_dump {major}, or choose a newer target"
        )
        raise ImportStopped(Failure(Reason.DUMP_UNSUPPORTED, message))


def _shorten_entry(entry: TocEntry) -> TocEntry:
    """Removes what no check needs, so that a large archive needs little memory."""
    definition = entry.definition[:MAX_DEFINITION] if entry.kind in _KINDS_WITH_DEFINITION else ""
    return replace(entry, definition=definition, copy_statement="")


def _parse_database_properties(entries: Iterable[TocEntry]) -> DatabaseProperties:
    """Reads the entries ENCODING and DATABASE. Every archive has DATABASE, although no import restores it."""
    definitions = {entry.kind: entry.definition for entry in entries if entry.kind in (ENCODING, "DATABASE")}
    client_encoding = _find_quoted(definitions.get(ENCODING, "")) or DEFAULT_ENCODING
    return parse_create_database(definitions.get("DATABASE", ""), client_encoding)


def _find_quoted(text: str) -> str | None:
    """Returns the first text in single quotes: `UTF8` of `SET client_encoding = 'UTF8';`."""
    parts = text.split("'")
    return parts[1] if len(parts) > 1 else None


def _read_plain_contents(source: DumpLocation, file: DumpFileInfo, stream: DumpStream) -> FileContents:
    """Reads the statements before the first rows. All CREATE EXTENSION statements are among them."""
    lexer = PlainSqlLexer(stream)
    extensions: list[SourceExtension] = []
    skipped: list[SkippedObject] = []
    schemas: list[str] = []
    settings: list[DatabaseSetting] = []
    comment: str | None = None
    properties, encoding, codec = guess_properties(DEFAULT_ENCODING), DEFAULT_ENCODING, UTF8
    money_columns, needs = MoneyColumns(), PlainNeeds()
    for item in lexer.items():
        if isinstance(item, CopyRows) or stream.bytes_unpacked > MAX_PLAIN_HEAD:
            break
        if isinstance(item, PsqlCommand):
            continue
        text = item.text[:MAX_STATEMENT_HEAD].decode(codec, "replace")
        needs.add(parse_statement(item, codec, SearchPath()))
        tokens = parse_tokens(text)
        money_columns.add(text)
        if tokens[:2] == ["create", "extension"]:
            extensions.append(_parse_extension(item, tokens))
        elif tokens[:2] == ["set", "client_encoding"]:
            encoding = _find_quoted(item.text.decode("ascii", "replace")) or encoding
            codec = find_codec(encoding)
            if not properties.locale_known:  # `pg_dump --create` sets the encoding in each of its two databases
                properties = guess_properties(encoding)
        elif tokens[:2] == ["create", "schema"]:
            subject = parse_subject(text)
            schemas += [subject.tag] if subject is not None else []
        elif tokens[:2] in (["alter", "database"], ["alter", "role"]):
            settings += parse_settings(text)
        elif tokens[:3] == ["comment", "on", "database"]:
            comment = parse_comment(text)
        elif tokens[:2] == ["create", "database"]:
            properties = parse_create_database(text, encoding)
        elif (forecast := forecast_skipped(item, codec)) is not None:
            skipped.append(forecast)
    head = b"\n".join(lexer.comments)
    version, client = _SERVER_VERSION.search(head), _CLIENT_VERSION.search(head)
    if version is None and lexer.comments:
        raise corrupt("its first comments do not contain the version of the dumped server")
    server_version = version[1].decode("ascii", "replace") if version else UNKNOWN_VERSION
    client_version = client[1].decode("ascii", "replace") if client else None
    return FileContents(
        address=source.address,
        file=file.model_copy(update={"format": "plain", "client_version": client_version}),
        server_version=server_version,
        server_version_num=_parse_version_num(server_version) if version else 0,
        extensions=extensions,
        extension_needs=needs.build(extensions),
        properties=properties,
        schemas=schemas,
        stored=build_stored_properties(settings, comment),
        money_columns=money_columns.names,
        skipped=skipped,
    )


def _parse_extension(statement: SqlStatement, tokens: list[str]) -> SourceExtension:
    rest = tokens[5:] if tokens[2:5] == ["if", "not", "exists"] else tokens[2:]
    return SourceExtension(
        name=rest[0] if rest else "",
        version="",
        schema_name=find_extension_schema(statement.text.decode("utf-8", "replace")),
    )


def _first_word(version: str) -> str:
    """Returns `16.4` of `16.4 (Debian 16.4-1.pgdg120+1)`."""
    return version.split(" ")[0]


def _parse_version_num(version: str) -> int:
    """Returns the version as server_version_num does: 160004 for `16.4`. Raises ImportStopped."""
    match = _VERSION.match(version)
    if match is None:
        raise corrupt("it does not contain the version of the dumped server")
    return int(match[1]) * 10000 + int(match[2] or 0)
