"""The preflight of a dump file: the head of the file comes in, the same report as of a live source goes out.

Only as much is read as the table of contents needs; with a checksum to compare, the whole file is read once.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pgimport.model.order import Order
from pgimport.model.reasons import Failure, Reason
from pgimport.model.result import DumpFileInfo, SkippedObject, SourceExtension
from pgimport.worker.archive.selection import Exclusions, plan_restore
from pgimport.worker.archive.sql_tokens import parse_tokens
from pgimport.worker.archive.toc import NEWEST, TOC_FILE, ArchiveHeader, TocEntry, corrupt, parse_table_of_contents
from pgimport.worker.checks.check_results import SourceReport
from pgimport.worker.checks.dump_file_checks import FileContents, build_facts, judge_file
from pgimport.worker.engines.file.compression import CHUNK, DumpFormat, DumpStream, find_format
from pgimport.worker.engines.file.download import Download, open_download
from pgimport.worker.engines.file.plain_sql_lexer import CopyRows, PlainSqlLexer, PsqlCommand, SqlStatement
from pgimport.worker.engines.file.statement_rules import judge_statement
from pgimport.worker.engines.file.tar_reader import walk_members
from pgimport.worker.engines.file.whole_file import find_unpack_limit, read_to_the_end
from pgimport.worker.postgres.encodings import UTF8, find_codec
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.postgres.source import FileLocation
from pgimport.worker.scope.archive_scope import build_exclusion_rule, refuse_filter_for_plain_sql

PLAIN_HEAD = 64 * 1024 * 1024  # bytes of plain SQL that may come before its first rows
DEFINITION = 8192  # characters of one that are judged
_JUDGED = frozenset(
    {"AGGREGATE", "CAST", "DATABASE", "ENCODING", "EXTENSION", "FUNCTION", "POLICY", "PROCEDURE", "TYPE"}
)
_NEWEST = {15: (1, 14), 16: (1, 15)}  # archive versions by the major of pg_restore; newer ones read all of them
NAMED = 200  # left objects that are named
_VERSION = re.compile(r"(\d+)(?:\.(\d+))?")
_DUMPED_FROM = re.compile(rb"-- Dumped from database version (\S+)")
_DUMPED_BY = re.compile(rb"-- Dumped by pg_dump version (\S+)")
_LOCALE = re.compile(r"(LOCALE_PROVIDER|ICU_LOCALE|BUILTIN_LOCALE|LC_COLLATE|LC_CTYPE|LOCALE|ENCODING) = '?([^' ;]+)'?")
_PROVIDERS = {"icu": "i", "builtin": "b", "libc": "c"}


def check_file(order: Order, source: FileLocation) -> SourceReport:
    """Raises Stopped for what is no dump, or a newer one than can be restored."""
    with open_download(source, order.storage_limit_bytes) as download:
        stream = DumpStream(download, find_unpack_limit(order))
        contents = _read_contents(order, source, download, stream)
        if order.sha256 is not None:
            read_to_the_end(order, stream, download)
    return SourceReport(judge_file(order, contents), build_facts(order, contents), list(contents.left)[:NAMED])


def _read_contents(order: Order, source: FileLocation, download: Download, stream: DumpStream) -> FileContents:
    found = find_format(stream)
    file = DumpFileInfo(format="custom", compression=stream.compression, size_bytes=download.length)
    if found is DumpFormat.CUSTOM:
        header, entries = parse_table_of_contents(stream.read)
        return _of_archive(order, source, file, header, entries)
    if found is DumpFormat.PLAIN:
        refuse_filter_for_plain_sql(order)
        return _of_plain(source, file, stream)
    for member in walk_members(stream):
        if member.name == TOC_FILE:
            header, entries = parse_table_of_contents(member.read)
            kind = "tar" if member.path == TOC_FILE and stream.bytes_unpacked <= CHUNK * 4 else "directory"
            return _of_archive(order, source, file.model_copy(update={"format": kind}), header, entries)
    raise corrupt(f"the tar holds no {TOC_FILE}: it is neither a tar archive nor a directory of pg_dump")


def _of_archive(
    order: Order, source: FileLocation, file: DumpFileInfo, header: ArchiveHeader, entries: Iterable[TocEntry]
) -> FileContents:
    _refuse_newer(order, header)
    listed = [_slim(entry) for entry in entries]
    large = sum(entry.kind in ("BLOB", "BLOB METADATA") for entry in listed)
    settings = _read_settings(listed)
    return FileContents(
        address=source.address,
        file=file.model_copy(update={"client_version": _short(header.client_version)}),
        server_version=_short(header.server_version),
        server_version_num=_number(header.server_version),
        archive_version=f"{header.version[0]}.{header.version[1]}",
        extensions=[
            SourceExtension(name=entry.tag, version="", schema_name=_schema_of(entry.definition))
            for entry in listed
            if entry.kind == "EXTENSION" and entry.tag != "plpgsql"
        ],
        large_objects=large,
        left=plan_restore(listed, Exclusions(find_reason=build_exclusion_rule(order, listed))).skipped,
        encoding=settings.encoding,
        collate=settings.collate,
        ctype=settings.ctype,
        locale_provider=settings.provider,
        locale=settings.locale,
    )


def _refuse_newer(order: Order, header: ArchiveHeader) -> None:
    """The target's pg_restore reads it, and no other. Raises Stopped."""
    major = order.target.server_version_num // 10000
    newest = _NEWEST.get(major, NEWEST)
    if header.version > newest:
        wrote, reads = (".".join(str(part) for part in version) for version in (header.version, newest))
        raise ImportStopped(
            Failure(
                Reason.DUMP_UNSUPPORTED,
                f"the dump is an archive of version {wrote}, by pg_dump {_short(header.client_version)};"
                f" pg_restore {major} of the target reads up to {reads}: dump with pg_dump {major}, or choose a newer"
                " target",
            )
        )


def _slim(entry: TocEntry) -> TocEntry:
    """Without what no verdict needs: a preflight stays small whatever the archive holds."""
    definition = entry.definition[:DEFINITION] if entry.kind in _JUDGED else ""
    return replace(entry, definition=definition, copy_statement="")


@dataclass
class _Settings:
    """Of the database that was dumped, as far as the file tells."""

    encoding: str = "UTF8"
    collate: str = "C"
    ctype: str = "C"
    provider: str = "c"
    locale: str | None = None


def _read_settings(entries: Iterable[TocEntry]) -> _Settings:
    """From the entries DATABASE, which is there though nobody restores it, and ENCODING."""
    found = _Settings()
    for entry in entries:
        if entry.kind == "ENCODING":
            words = entry.definition.split("'")
            found.encoding = words[1] if len(words) > 1 else found.encoding
        if entry.kind == "DATABASE":
            told = dict(_LOCALE.findall(entry.definition))
            found.provider = _PROVIDERS.get(told.get("LOCALE_PROVIDER", "libc"), "c")
            found.collate = told.get("LC_COLLATE") or told.get("LOCALE") or found.collate
            found.ctype = told.get("LC_CTYPE") or told.get("LOCALE") or found.ctype
            found.locale = told.get("ICU_LOCALE") or told.get("BUILTIN_LOCALE")
            if found.provider != "c" and found.locale is None:
                found.locale = told.get("LOCALE")
    return found


def _of_plain(source: FileLocation, file: DumpFileInfo, stream: DumpStream) -> FileContents:
    """Extensions are made before any rows come."""
    lexer, extensions, left = PlainSqlLexer(stream), [], []
    encoding, codec = "UTF8", UTF8
    for item in lexer.items():
        if isinstance(item, CopyRows) or stream.bytes_unpacked > PLAIN_HEAD:
            break
        if isinstance(item, PsqlCommand):
            continue
        words = parse_tokens(item.text[:4096].decode(codec, "replace"))
        if words[:2] == ["create", "extension"]:
            extensions.append(_extension_of(item, words))
        elif words[:2] == ["set", "client_encoding"]:
            quoted = item.text.split(b"'")
            encoding = quoted[1].decode("ascii", "replace") if len(quoted) > 1 else encoding
            codec = find_codec(encoding)
        elif (verdict := judge_statement(item.text, 99, {"public"}, None, codec)).skipped is not None:
            left.append(verdict.skipped)
    head = b"\n".join(lexer.comments)
    version, client = _DUMPED_FROM.search(head), _DUMPED_BY.search(head)
    if version is None:
        raise corrupt("its head does not tell which server it was dumped from")
    server = version[1].decode("ascii", "replace")
    return FileContents(
        address=source.address,
        file=file.model_copy(
            update={"format": "plain", "client_version": client[1].decode("ascii", "replace") if client else None}
        ),
        server_version=server,
        server_version_num=_number(server),
        extensions=extensions,
        encoding=encoding,
        left=[one for one in left if isinstance(one, SkippedObject)],
    )


def _extension_of(item: SqlStatement, words: list[str]) -> SourceExtension:
    rest = words[5:] if words[2:5] == ["if", "not", "exists"] else words[2:]
    return SourceExtension(
        name=rest[0] if rest else "", version="", schema_name=_schema_of(item.text.decode("utf-8", "replace"))
    )


def _schema_of(definition: str) -> str | None:
    words = parse_tokens(definition)
    return words[words.index("schema") + 1] if "schema" in words[:-1] else None


def _short(version: str) -> str:
    return version.split(" ")[0]


def _number(version: str) -> int:
    match = _VERSION.match(version)
    if match is None:
        raise corrupt("it does not tell which server it was dumped from")
    return int(match[1]) * 10000 + int(match[2] or 0)
