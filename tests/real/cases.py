"""The real inputs that are a script, and the outcome that each must have."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.real.imports import ImportPath, ImportResult
from tests.real.servers import CONTRIB_MAJORS, MAJORS
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
    arguments: tuple[str, ...] = ()  # of `pgimport run`
    only_live: bool = False  # a dump file does not contain what the case is about
    is_compared: bool = True  # the source can be read with an empty search_path
    has_filter: bool = False  # plain SQL cannot be filtered
    oldest: int = 15  # majors of the source on which the script runs
    newest: int = 18
    check: Check | None = None
    may_be_skipped: Mapping[str, int | None] = field(
        default_factory=dict
    )  # tables, with the row count that is then listed

    @property
    def name(self) -> str:
        return self.script.removesuffix(".sql")

    def has(self, path: ImportPath, source: int) -> bool:
        """Returns whether the case exists by this path from this major."""
        majors = CONTRIB_MAJORS if self.needs_contrib else MAJORS
        by_path = path.is_live or not self.only_live
        return (
            source in majors
            and self.oldest <= source <= self.newest
            and by_path
            and not (self.has_filter and path is ImportPath.PLAIN)
        )

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


def check_settings_of_roles(imported: ImportedCase) -> None:
    """The copy gets the settings that an owner may have. The others are listed by name, without their value."""
    assert "secret-of-the-application" not in imported.result.text
    for name in ("search_path", "TimeZone"):
        query = f"SELECT current_setting('{name}')"
        copied = imported.target.query(query, imported.copy_name)
        assert copied == imported.source.query(query, imported.source_name), name
    for name in ("app.token", "log_min_duration_statement"):
        assert name in imported.result.text


def check_no_secret(imported: ImportedCase) -> None:
    """No password of a skipped object is in the report."""
    assert "secret-of-away" not in imported.result.text


def check_rows_of_holds(imported: ImportedCase) -> None:
    """A table that depends on a refused object is listed first, with the number of its rows."""
    first = imported.result.skipped[0]
    assert (first.title, first.rows) == ("TABLE public.holds", 3)


def check_views_are_refused(imported: ImportedCase) -> None:
    """What needs an extension that the target does not have counts as refused, although the extension is skipped by
    design.
    """
    groups = {entry.title: entry.group for entry in imported.result.skipped}
    assert {groups[title] for title in groups if title.startswith("VIEW ")} == {"refused"}


def check_all_but_the_extension_are_refused(imported: ImportedCase) -> None:
    """Tables, views and functions that need an excluded extension are in one group, and a table has its row count."""
    skipped = imported.result.skipped
    assert {entry.title for entry in skipped if entry.group != "refused"} == {"EXTENSION citext"}
    assert [entry.rows for entry in skipped if entry.title == "TABLE public.emails"] == [2]


REFUSED_OF_EVERY_KIND = _skip(
    "FUNCTION public.positive(integer)",
    "FUNCTION public.fast(integer)",
    "CHECK CONSTRAINT public.t is_positive",
    "DEFAULT public.t n",
    "VIEW public.v",
    "VIEW public.on_v",
    "MATERIALIZED VIEW public.m",
    "INDEX public.t_fast",
    "INDEX public.t_partial",
    "STATISTICS public.t_expression",
    "RULE public.t r",
    "POLICY public.t p",
    "TRIGGER public.t g",
    "AGGREGATE public.fastest(integer)",
    "OPERATOR public.^^^",
    "CHECK CONSTRAINT public.natural_number natural_number_check",
    "FUNCTION public.calls_fast(integer)",
)

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
        may_be_skipped={"TABLE public.d": 0, "SEQUENCE public.d_id_seq": None},
    ),
    Case("extension-nothing-needs.sql", _skip("EXTENSION pg_stat_statements"), check=check_no_advice_to_drop),
    Case("fdw-without-tables.sql", _skip("EXTENSION postgres_fdw"), check=check_no_advice_to_drop),
    Case(
        "view-on-an-unavailable-extension.sql",
        _skip("EXTENSION dblink", "VIEW public.far", "VIEW public.far_and_near"),
        check=check_views_are_refused,
    ),
    Case(
        "excluded-extension.sql",
        _skip(
            "EXTENSION citext",
            "TABLE public.emails",
            "VIEW public.of_emails",
            "FUNCTION public.is_known(public.citext)",
        ),
        arguments=("--exclude-extension", "citext"),
        check=check_all_but_the_extension_are_refused,
    ),
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
    Case("partitioned-keys-of-other-kinds.sql"),
    Case("partitioned-exclusion-on-extension-operator.sql", oldest=17),
    Case(
        "sequences-of-skipped-tables.sql",
        _skip(
            "ACCESS METHOD heap2",
            "TABLE app.counted",
            "SEQUENCE app.counted_id_seq",
            "SEQUENCE app.counted_other_seq",
            "DEFAULT app.borrower id",
            "VIEW app.counts",
        ),
        needs_contrib=False,
    ),
    Case("refused-of-every-kind.sql", REFUSED_OF_EVERY_KIND, needs_contrib=False, check=check_words_of_the_server),
    Case(
        "text-search-objects.sql",
        _skip(
            "TEXT SEARCH TEMPLATE public.own",
            "TEXT SEARCH DICTIONARY public.of_own",
            "TEXT SEARCH CONFIGURATION public.with_own",
        ),
        needs_contrib=False,
    ),
    Case(
        "base-type-under-a-column.sql",
        _skip(
            "SHELL TYPE public.int_like",
            "FUNCTION public.int_like_in(cstring)",
            "FUNCTION public.int_like_out(public.int_like)",
            "TYPE public.int_like",
            "TABLE public.holds",
            "FK CONSTRAINT public.points_to points_to_id_fkey",
            "VIEW public.of_holds",
        ),
        needs_contrib=False,
        check=check_rows_of_holds,
    ),
    Case(
        "operators-and-casts.sql",
        _skip(
            "CAST CAST (xid AS integer)",
            "OPERATOR CLASS public.int_backwards",
            "OPERATOR FAMILY public.int_backwards",
            "INDEX public.numbers_backwards",
        ),
        needs_contrib=False,
    ),
    Case(
        "internal-functions-with-views.sql",
        _skip(
            *(f"FUNCTION public.absolute_value_of_a_number_{i}(integer)" for i in range(1, 81)),
            *(f"VIEW public.absolute_values_of_all_numbers_{i}" for i in range(1, 81)),
        ),
        needs_contrib=False,
    ),
    Case(
        "foreign-data-with-everything.sql",
        _skip(
            "EXTENSION postgres_fdw",
            "SERVER away",
            "USER MAPPING USER MAPPING public SERVER away",
            "FOREIGN TABLE public.remote",
            "VIEW public.remote_view",
            "VIEW public.on_remote_view",
        ),
        check=check_no_secret,
    ),
    Case("check-with-a-lookup.sql", needs_contrib=False),
    Case("domain-with-a-lookup.sql", needs_contrib=False),
    Case(
        "search-path-inside-functions.sql",
        _skip("INDEX app.prices_rate", "MATERIALIZED VIEW DATA app.in_euro"),
        needs_contrib=False,
        is_compared=False,
        newest=16,  # 17 itself restricts the search_path
        check=check_words_of_the_server,
    ),
    Case("search-path-of-rows.sql", needs_contrib=False),
    Case(
        "excluded-by-a-filter.sql",
        _skip(
            "TABLE public.audit",
            "SEQUENCE public.audit_id_seq",
            "SEQUENCE public.audit_other_seq",
            "VIEW public.audited",
            "FK CONSTRAINT public.points_at_audit points_at_audit_id_fkey",
        ),
        needs_contrib=False,
        arguments=("--exclude-table", "public.audit"),
        has_filter=True,
    ),
    Case(
        "excluded-schema-and-relations.sql",
        _skip(
            "SCHEMA hidden",
            "TYPE hidden.mood",
            "TYPE hidden.pair",
            "DOMAIN hidden.positive",
            "TABLE hidden.far",
            "SEQUENCE hidden.far_id_seq",
            "VIEW hidden.over_far",
            "FUNCTION hidden.next(integer)",
            "PROCEDURE hidden.nothing()",
            "AGGREGATE hidden.total(integer)",
            "COLLATION hidden.plain",
            "TEXT SEARCH DICTIONARY hidden.words",
            "DEFAULT public.kept next",
            "VIEW public.of_far",
            "FUNCTION public.of_mood(hidden.mood)",
            "SEQUENCE public.away_numbers",
            "VIEW public.away_kept",
            "VIEW public.on_away",
            "MATERIALIZED VIEW public.away_ids",
        ),
        needs_contrib=False,
        arguments=("--exclude-schema", "hidden", "--exclude-table", "away_*"),
        has_filter=True,
    ),
    Case("comments-everywhere.sql"),
    Case(
        "database-settings-of-roles.sql",
        _skip(
            "DATABASE SETTING app.token",
            "DATABASE SETTING log_min_duration_statement",
            "DATABASE SETTING work_mem",
        ),
        needs_contrib=False,
        only_live=True,
        check=check_settings_of_roles,
    ),
    Case(
        "settings-of-functions.sql",
        _skip("FUNCTION public.privileged(integer)", "VIEW public.of_privileged"),
        needs_contrib=False,
        check=check_words_of_the_server,
    ),
    Case(
        "untrusted-language.sql",
        _skip(
            "FUNCTION public.plown_handler()",
            "PROCEDURAL LANGUAGE plown",
            "FUNCTION public.in_plown()",
            "DEFAULT public.t id",
            "TRANSFORM TRANSFORM FOR integer LANGUAGE sql",
        ),
        needs_contrib=False,
    ),
    Case(
        "objects-by-design.sql",
        _skip("PUBLICATION news", "EVENT TRIGGER watch", "SUBSCRIPTION far"),
        needs_contrib=False,
        check=check_no_secret,
    ),
]
