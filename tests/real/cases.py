"""The real inputs that are a script, and the outcome that each must have."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.real.imports import ImportResult
from tests.support.postgres import PostgresServer

FOLDER = Path(__file__).parent / "cases"


@dataclass(frozen=True, slots=True)
class ImportedCase:
    """A case after its import: what ran, and where source and copy are."""

    result: ImportResult
    source: PostgresServer
    source_name: str
    target: PostgresServer
    copy_name: str


Check = Callable[[ImportedCase], None]


@dataclass(frozen=True, slots=True)
class Case:
    """A script that fills a database, and the right outcome of its import by every path.

    `skipped` are the objects that the report must list, no more and no less, apart from parts of them.
    """

    script: str
    skipped: frozenset[str] = frozenset()
    needs_contrib: bool = True
    only_live: bool = False  # a dump file does not contain what the case is about
    oldest: int = 15
    compares_definitions: bool = True
    check: Check | None = None
    may_be_skipped: Mapping[str, int] = field(default_factory=dict)  # tables, with the row count that is then listed

    @property
    def name(self) -> str:
        return self.script.removesuffix(".sql")

    @property
    def path(self) -> Path:
        return FOLDER / self.script


def _skip(*titles: str) -> frozenset[str]:
    return frozenset(titles)


def check_no_advice_to_drop(imported: ImportedCase) -> None:
    """No text tells a person to drop something in production."""
    assert "drop extension" not in imported.result.text.lower()


def check_words_of_the_server(imported: ImportedCase) -> None:
    """Each refused object comes with the server's SQLSTATE and text."""
    refused = imported.result.refused
    assert refused
    assert all(entry.sqlstate or "needs" in entry.reason for entry in refused), refused
    assert any(entry.sqlstate for entry in refused), refused


def check_settings(imported: ImportedCase) -> None:
    """A new session of the copy has the settings of a new session of the source."""
    for name in ("search_path", "TimeZone"):
        query = f"SELECT current_setting('{name}')"
        copied = imported.target.query(query, imported.copy_name)
        assert copied == imported.source.query(query, imported.source_name), name
    comment = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"
    assert imported.target.query(comment, imported.copy_name) == [("shop",)]


def check_comments(imported: ImportedCase) -> None:
    """Schemas that contain extensions keep their comments."""
    query = (
        "SELECT nspname::text, obj_description(oid, 'pg_namespace') FROM pg_namespace"
        " WHERE nspname IN ('public', 'ext') ORDER BY 1"
    )
    expected = [("ext", "extensions live here"), ("public", "My API")]
    assert imported.target.query(query, imported.copy_name) == expected


def check_unresolved_values(imported: ImportedCase) -> None:
    """Preflight or report name the table and the columns whose values cannot exist at the target."""
    assert "seen" in imported.result.text
    assert "who" in imported.result.text


CASES = [
    Case("partitioned-key-on-extension-type.sql"),
    Case(
        "identity-of-a-left-table.sql",
        _skip(
            "ACCESS METHOD heap2",
            "TABLE public.a",
            "SEQUENCE public.a_id_seq",
            "TABLE public.s",
            "SEQUENCE public.s_id_seq",
        ),
        needs_contrib=False,
    ),
    Case(
        "parser-under-a-generated-column.sql",
        _skip("TEXT SEARCH PARSER public.p", "TEXT SEARCH CONFIGURATION public.c"),
        needs_contrib=False,
        may_be_skipped={"TABLE public.d": 0},
    ),
    Case("extension-nothing-needs.sql", _skip("EXTENSION pg_stat_statements"), check=check_no_advice_to_drop),
    Case("fdw-without-tables.sql", _skip("EXTENSION postgres_fdw"), check=check_no_advice_to_drop),
    Case(
        "cast-between-system-types.sql",
        _skip("CAST CAST (timestamp with time zone AS interval)"),
        needs_contrib=False,
        check=check_words_of_the_server,
    ),
    Case(
        "leakproof-and-what-needs-it.sql",
        _skip("FUNCTION public.safe(integer)", "CHECK CONSTRAINT public.t t_id_check", "VIEW public.v"),
        needs_contrib=False,
        check=check_words_of_the_server,
    ),
    Case(
        "eighty-left-tables.sql",
        _skip("FUNCTION public.safe(integer)", "CHECK CONSTRAINT public.d d_check"),
        needs_contrib=False,
    ),
    Case("comments-on-schemas-of-extensions.sql", check=check_comments),
    Case("database-settings.sql", needs_contrib=False, only_live=True, check=check_settings),
    Case(
        "c-function-inside-an-index.sql",
        _skip("FUNCTION public.iu(regdictionary, text)", "FUNCTION public.f(text)", "INDEX public.a_f"),
        check=check_words_of_the_server,
    ),
]
