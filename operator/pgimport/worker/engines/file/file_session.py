"""Follows the settings that a file of plain SQL makes in psql's session, if they change what later parts mean."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pgimport.worker.archive.sql_tokens import scan_tokens
from pgimport.worker.engines.file.plain_executor import PlainExecutor
from pgimport.worker.engines.file.plain_statement import Statement
from pgimport.worker.engines.file.search_path import EMPTY_PATHS, TEMPORARY, SearchPath
from pgimport.worker.engines.file.statement_rules import find_configured
from pgimport.worker.postgres.encodings import UTF8, find_client_encoding_codec
from pgimport.worker.text import quote_name, quote_text

_PATH, _ENCODING = "search_path", "client_encoding"
_OTHER_NAMES = {"names": _ENCODING, "schema": _PATH, "time": "timezone"}  # as SET has for some settings
_NO_SETTINGS = ("all", "characteristics", "constraints", "transaction")  # words behind SET and RESET
_HEAD = 4096  # characters of a statement that are searched
_SHOW_PATH = (
    b"shown := pg_catalog.encode(pg_catalog.convert_to(pg_catalog.json_build_array("
    b"pg_catalog.current_setting('search_path'), pg_catalog.current_schemas(false))::text, 'UTF8'), 'hex');"
).decode()


@dataclass
class FileSession:
    """The settings of the session at the moment."""

    executor: PlainExecutor
    # name → statement that postponed statements need. The path is always there: each name depends on it.
    settings: dict[str, bytes] = field(default_factory=lambda: {_PATH: _build_reset(_PATH)})
    codec: str = UTF8
    # Settings of the open transaction only: name → statement that makes the setting after it, and SET LOCAL itself.
    _local: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    _path: SearchPath | None = None
    _is_empty: bool = False  # whether search_path is empty, so that new schemas do not matter
    _has_source_path: bool = False  # whether rows have the search_path of the source's sessions

    @property
    def path(self) -> SearchPath:
        """Where the server finds names without a schema. It is asked when the settings or schemas have changed."""
        if self._path is None:
            setting, schemas = json.loads(bytes.fromhex(self.executor.run_block(_SHOW_PATH)) or '["", []]')
            self._is_empty = setting in EMPTY_PATHS
            listed = [TEMPORARY if schema.startswith("pg_temp_") else schema for schema in schemas]
            # A schema that the file lacks is created when the first statement needs it.
            named = [token.text for token in scan_tokens(setting) if token.text and not token.is_(",")]
            usable = [schema for schema in listed or named if schema not in ("pg_catalog", "$user")]
            usable = usable or [schema for schema in named if schema not in ("pg_catalog", "$user")]
            self._path = SearchPath(tuple(usable) or ("public",), self.executor.content.names)
        return self._path

    def forget_path(self, *, schemas_only: bool = False) -> None:
        """Lets the server be asked again. `schemas_only`: only schemas have changed, not the setting."""
        if not (schemas_only and self._is_empty):
            self._path = None

    def use_source_path(self, line: int) -> None:
        """Sets the search_path of the source's sessions for rows, if the file has an empty one. Raises ImportStopped.

        pg_dump writes an empty one, and qualifies all names. Functions of generated columns and domains do not.
        """
        if self._is_empty and not self._has_source_path:
            self._has_source_path = True
            path = quote_text(self.executor.session.run.shadow_state.search_path_of_rows)
            text = f"SELECT pg_catalog.set_config('search_path', {path}, false);"
            self.executor.execute(Statement(text.encode(self.codec, "replace"), line, text, None))

    def use_own_path(self, line: int) -> None:
        """Sets the file's own search_path again, after rows. Raises ImportStopped."""
        if self._has_source_path:
            self._has_source_path = False
            self._set(_PATH, line)

    def note(self, statement: Statement, *, in_transaction: bool) -> None:
        """Remembers a statement that changes settings. Outside of a transaction, SET LOCAL has no effect."""
        words = [token.text for token in scan_tokens(statement.definition[:_HEAD])]
        name = _find_setting([word for word in words if word not in ("session", "local")])
        if statement.verb == "select" and "set_config" in words:
            name = find_configured(statement.definition)
        text = _remove_local(statement)
        if words[1:2] == ["all"]:
            self.settings.update({known: _build_reset(known) for known in self.settings})
            self._local.clear()
        elif name and text is None:
            self.settings[name] = statement.text
            self._local.pop(name, None)
        elif name and text is not None and in_transaction:
            previous = self.settings.get(name, _build_reset(name))
            self._local[name] = self._local.get(name, (previous, b""))[0], statement.text
            self.settings[name] = text.encode(self.codec)  # a postponed statement runs after the transaction
        if name == _ENCODING or words[1:2] == ["all"]:
            self.codec = self.executor.codec = find_client_encoding_codec(statement.definition)
        if name == _PATH or statement.verb in ("reset", "discard"):
            self.forget_path()

    def end_transaction(self) -> None:
        """Forgets the settings of the transaction that the file has committed."""
        for name, (previous, _) in self._local.items():
            self.settings[name] = previous
        self._local.clear()

    def save(self) -> Callable[[], None]:
        """Remembers the settings. Returns a function that restores them, after a ROLLBACK of the file."""
        settings, local = dict(self.settings), dict(self._local)

        def restore() -> None:
            self.settings.clear()
            self.settings.update(settings)
            self._local = dict(local)

        return restore

    def restore(self, line: int) -> None:
        """Makes the settings again, after statements that ran with others. Raises ImportStopped."""
        for name in self.settings:
            self._set(name, line)

    def _set(self, name: str, line: int) -> None:
        for text in self._local.get(name, (self.settings[name],)):
            self.executor.execute(Statement(text, line, text.decode("ascii", "replace"), None))


def _remove_local(statement: Statement) -> str | None:
    """Returns SET LOCAL or `set_config(…, true)` as the statement for the whole session, or None for others. Pure."""
    head = statement.definition[:_HEAD]
    tokens = [token for token in scan_tokens(head) if not token.is_(";")]
    is_call = statement.verb == "select" and len(tokens) > 2
    local = tokens[-2] if is_call else tokens[1] if len(tokens) > 1 else None
    if local is None or len(statement.definition) > _HEAD:
        return None
    if is_call and (local.is_("true") or local.content in ("true", "t", "on", "yes", "1")):
        return f"{head[: local.start]}false{head[local.end :]}"
    return head[: local.start] + head[local.end :] if local.is_("local") else None


def _find_setting(words: Sequence[str]) -> str:
    """Returns the name in `SET name = value;` or `RESET name;`, or an empty one. Pure."""
    if words[:1] not in (["set"], ["reset"]) or len(words) < 3 or words[1] in _NO_SETTINGS:
        return ""
    name = ".".join(words[1:4:2]) if words[2] == "." else words[1]
    return _OTHER_NAMES.get(name, name)


def _build_reset(name: str) -> bytes:
    return f"RESET {quote_name(name)};".encode()
