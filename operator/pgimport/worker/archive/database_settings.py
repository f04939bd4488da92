"""Reads settings and comment of a dumped database from the statements of `pg_dump --create`. Pure."""

from collections.abc import Iterable, Sequence

from pgimport.model.owner_comment import parse_owner_comment
from pgimport.model.result import DatabaseSetting
from pgimport.worker.archive.sql_tokens import SqlToken, scan_tokens
from pgimport.worker.archive.toc import TocEntry


def parse_settings(text: str, owner: str = "") -> list[DatabaseSetting]:
    """Returns the settings of the database, and those of its owner, from ALTER DATABASE and ALTER ROLE statements."""
    settings = []
    for statement in _split_statements(list(scan_tokens(text))):
        setting = _parse_setting(statement, owner)
        if setting is not None:
            settings.append(setting)
    return settings


def parse_comment(text: str) -> str | None:
    """Returns the comment of COMMENT ON DATABASE; None for another statement, or for a mark of ours."""
    match list(scan_tokens(text)):
        case [comment, on, database, _, is_, value, *_] if (
            comment.is_("comment") and on.is_("on") and database.is_("database") and is_.is_("is")
        ):
            return keep_comment(value.content)
    return None


def keep_comment(comment: str | None) -> str | None:
    """Returns the comment unless it is a mark that an older release of pgimport wrote on a preview."""
    return None if not comment or parse_owner_comment(comment) is not None else comment


def read_archive_settings(entries: Iterable[TocEntry]) -> tuple[list[DatabaseSetting], str | None]:
    """Returns settings and comment from the entries that pg_restore uses only with --create."""
    settings: list[DatabaseSetting] = []
    comment, owner = None, ""
    for entry in entries:
        if entry.kind == "DATABASE":
            owner = entry.owner
        elif entry.kind == "DATABASE PROPERTIES":
            settings += parse_settings(entry.definition, owner)
        elif entry.kind == "COMMENT" and entry.tag.startswith("DATABASE "):
            comment = parse_comment(entry.definition)
    return settings, comment


def _split_statements(tokens: Sequence[SqlToken]) -> list[list[SqlToken]]:
    statements: list[list[SqlToken]] = [[]]
    for token in tokens:
        if token.is_(";"):
            statements.append([])
        else:
            statements[-1].append(token)
    return statements


def _parse_setting(tokens: list[SqlToken], owner: str) -> DatabaseSetting | None:
    """Parses `ALTER DATABASE d SET x TO …` and `ALTER ROLE r IN DATABASE d SET x TO …`."""
    index = next((index for index, token in enumerate(tokens) if token.is_("set")), None)
    if index is None or len(tokens) < 2 or not tokens[0].is_("alter"):
        return None
    is_role = tokens[1].is_("role", "user")
    if not (is_role or tokens[1].is_("database")) or (is_role and tokens[2].text != owner):
        return None
    rest = tokens[index + 1 :]
    to = next((index for index, token in enumerate(rest) if token.is_("to", "=")), None)
    if to is None:
        return None
    values = [token.content if token.text == "''" and not token.quoted else token.text for token in rest[to + 1 :]]
    values = [value for value, token in zip(values, rest[to + 1 :], strict=True) if not token.is_(",")]
    name = "".join(token.text for token in rest[:to])
    return DatabaseSetting(name=name, value=_join_values(name, values), for_owner=is_role)


def _join_values(name: str, values: list[str]) -> str:
    """Returns the value as pg_db_role_setting has it: only a list of names has several parts."""
    if name.lower() == "search_path":
        return ", ".join('"' + value.replace('"', '""') + '"' for value in values)
    return "".join(values)
