"""Lists the settings of every session and client program, so that both servers write and read values alike.

Source of the list: pg_dump's `setup_connection`, and the settings that PostgreSQL's input and output functions read.
"""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from pgimport.worker.text import quote_text

# Settings that change the text of values and definitions, or how that text is read.
TEXT_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "datestyle": "ISO",
        "intervalstyle": "postgres",
        "timezone": "UTC",
        "extra_float_digits": "3",
        "bytea_output": "hex",
        "xmloption": "content",
        "lc_monetary": "C",
        "standard_conforming_strings": "on",
        "array_nulls": "on",  # otherwise NULL in the text of an array is read as a string
        "transform_null_equals": "off",  # otherwise `x = NULL` in a definition is read as `x IS NULL`
        "quote_all_identifiers": "off",
    }
)
# Of sessions and client programs that write into the shadow: a role or database can have another default.
WRITE_SETTINGS: Mapping[str, str] = MappingProxyType({"default_transaction_read_only": "off"})
# Time for which a session waits for a lock at the source: as long as it waits, other sessions may wait for it.
SOURCE_LOCK_SECONDS = 60
# A copy may take hours, so there are no other timeouts.
_NO_TIMEOUTS: Mapping[str, str] = MappingProxyType(
    {
        "statement_timeout": "0",
        "idle_in_transaction_session_timeout": "0",
        "idle_session_timeout": "0",
        "transaction_timeout": "0",
    }
)
# Row security must not hide rows. The server notices within a minute that this process is gone: a backend that is left
# in COPY keeps its locks, and blocks each DROP DATABASE.
_SESSION_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        **TEXT_SETTINGS,
        **WRITE_SETTINGS,
        **_NO_TIMEOUTS,
        "row_security": "off",
        "synchronize_seqscans": "off",
        "tcp_keepalives_idle": "30",
        "tcp_keepalives_interval": "10",
        "tcp_keepalives_count": "3",
    }
)
# Of the session that runs the SQL of spec.postImport.
_SCRIPT_SETTINGS: Mapping[str, str] = MappingProxyType(
    {**WRITE_SETTINGS, **_NO_TIMEOUTS, "lock_timeout": "0", "row_security": "off"}
)


@cache
def build_session_statement(lock_seconds: int = 0, search_path: str = "") -> str:
    """Builds one statement, and so one round trip. Skips parameters that the server does not know.

    `lock_seconds`: how long the session waits for a lock; 0: without limit.
    """
    return _build_statement({**_SESSION_SETTINGS, "lock_timeout": f"{lock_seconds}s", "search_path": search_path})


@cache
def build_script_statement() -> str:
    """Builds the statement that sets no more than the SQL of spec.postImport needs."""
    return _build_statement(_SCRIPT_SETTINGS)


def _build_statement(settings: Mapping[str, str]) -> str:
    values = ", ".join(f"('{name}', {quote_text(value)})" for name, value in settings.items())
    return (
        "SELECT pg_catalog.set_config(wanted.name, wanted.value, false)"  # noqa: S608 (constants)
        f" FROM (VALUES {values}) AS wanted (name, value)"
        " JOIN pg_catalog.pg_settings AS known ON pg_catalog.lower(known.name) = wanted.name"
    )


def format_options(settings: Mapping[str, str]) -> str:
    """Returns libpq's parameter `options` that sets these parameters when a client connects. Pure."""
    return " ".join(f"-c {name}={_escape(value)}" for name, value in settings.items())


def _escape(value: str) -> str:
    """Escapes what separates options: https://www.postgresql.org/docs/current/libpq-connect.html."""
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
