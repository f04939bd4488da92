"""Builds the statements that create the entries of an archive, as pg_restore does. Pure.

The source of the rules is `pg_backup_archiver.c` (`_printTocEntry`, `_doSetFixedOutputState`, `_selectOutputSchema`).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pgimport.worker.archive.sql_tokens import scan_tokens
from pgimport.worker.archive.toc import ENCODING, TocEntry
from pgimport.worker.postgres.encodings import UTF8, find_client_encoding_codec
from pgimport.worker.text import quote_name, quote_text

SETTING_KINDS = frozenset({ENCODING, "STDSTRINGS", "SEARCHPATH"})
DEFAULT_ACCESS_METHOD = "heap"
_EMPTY_STRING = re.compile(r"(?<=\W)''(?=\W)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSettings:
    """How the definitions of one archive must be read."""

    client_encoding: str = "UTF8"
    codec: str = UTF8  # Python's name of client_encoding
    standard_conforming_strings: str = "on"
    search_path: str | None = ""  # None: an archive of before 2018, whose names need the search_path of their schema

    @property
    def session_settings(self) -> dict[str, str]:
        """The parameters of a session that creates these definitions."""
        return {
            "standard_conforming_strings": self.standard_conforming_strings,
            "search_path": self.search_path or "",
            "check_function_bodies": "off",
            "xmloption": "content",
            "client_min_messages": "warning",
            "escape_string_warning": "off",
            "row_security": "off",
            "default_table_access_method": DEFAULT_ACCESS_METHOD,
        }


def read_archive_settings(entries: Iterable[TocEntry]) -> ArchiveSettings:
    """Reads the first entries of an archive, which set parameters."""
    definitions = {entry.kind: entry.definition for entry in entries if entry.kind in SETTING_KINDS}
    encoding = definitions.get(ENCODING, "SET client_encoding = 'UTF8';")
    return ArchiveSettings(
        client_encoding=_find_strings(encoding)[-1],
        codec=find_client_encoding_codec(encoding),
        standard_conforming_strings=_find_strings(definitions.get("STDSTRINGS", "'on'"))[-1],
        search_path=_find_strings(definitions["SEARCHPATH"])[-1] if "SEARCHPATH" in definitions else None,
    )


def find_path_change(entries: Iterable[TocEntry], search_path: str) -> dict[int, str]:
    """Returns the entry by which pg_restore empties its search_path: dump id → definition that sets this search_path.

    pg_restore restores rows, and functions of generated columns and domains may need the search_path that the source's
    sessions have. All names in its statements are qualified.
    """
    changes = {}
    for entry in entries:
        if entry.kind == "SEARCHPATH" and _find_strings(entry.definition) == ["search_path", ""]:
            changes[entry.dump_id] = _EMPTY_STRING.sub(lambda _: quote_text(search_path), entry.definition)
    return changes


def _find_strings(definition: str) -> list[str]:
    return [token.content for token in scan_tokens(definition) if token.text == "''" and not token.quoted] or [""]


def build_statement(entry: TocEntry, definition: str, settings: ArchiveSettings) -> str:
    """Returns the SQL that creates an entry; empty if the entry creates nothing."""
    match entry.kind:
        case "SCHEMA":  # old definitions name an owner
            statement = "" if definition.startswith("--") else f"CREATE SCHEMA {quote_name(entry.tag)};"
        case "BLOB METADATA":  # the definition is a list of oids
            statement = "".join(
                f"SELECT pg_catalog.lo_create('{oid}');" for oid in definition.split() if oid.isdecimal()
            )
        case "TABLE" | "MATERIALIZED VIEW" if entry.access_method not in ("", DEFAULT_ACCESS_METHOD):
            method = quote_name(entry.access_method)
            statement = (
                f"SET default_table_access_method = {method};\n{_terminate(definition)}\n"
                f"SET default_table_access_method = {DEFAULT_ACCESS_METHOD};"
            )
        case _:
            statement = _terminate(definition)
    if settings.search_path is None and entry.schema and statement:
        schemas = quote_name(entry.schema) + (", pg_catalog" if entry.schema != "pg_catalog" else "")
        return f"SET search_path = {schemas};\n{statement}\nSET search_path = '';"
    return statement


def _terminate(definition: str) -> str:
    """Ends a definition, so that another statement can follow. A comment may be the last line of a view."""
    text = definition.strip()
    return text if not text or text.endswith(";") else f"{text}\n;"
