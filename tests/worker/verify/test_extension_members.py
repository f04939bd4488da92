"""Members of extensions at both ends: what is listed, and what is not."""

from tests.support.postgres import PostgresServer

from pgimport.model.import_choices import SkipGroup
from pgimport.worker.verify.extension_members import ExtensionMember, Members, compare_members, read_members


def list_members(*members: ExtensionMember) -> Members:
    return {member.title: member for member in members}


def a_table(name: str, *, version: str = "1", registered: bool = False) -> ExtensionMember:
    return ExtensionMember("geo", version, f"TABLE app.{name}", "app", name, registered, None)


def test_a_table_of_a_skipped_schema_is_not_listed_again() -> None:
    source, copy = list_members(a_table("t"), a_table("added")), list_members(a_table("t"))
    comparison = compare_members(source, {}, copy, {"TABLE app.t": (1, 5)}, ())
    assert (comparison.skipped, comparison.not_compared) == ([], [])


def test_rows_that_one_end_may_not_read_are_named_as_not_compared() -> None:
    members = list_members(a_table("t"), a_table("u"))
    rows = {"TABLE app.t": None, "TABLE app.u": (1, 5)}
    comparison = compare_members(members, rows, members, {title: (1, 5) for title in members}, ())
    assert comparison.not_compared == ["rows in tables of extension geo (app.t): one end may not read them"]


def test_other_rows_of_a_registered_table_are_named_as_not_compared() -> None:
    members = list_members(a_table("t", registered=True))
    comparison = compare_members(members, {"TABLE app.t": (3, 9)}, members, {"TABLE app.t": (2, 7)}, ())
    assert comparison.skipped == []
    assert comparison.not_compared == [
        "rows of app.t: extension geo has rows of its own there, those of the target's version"
    ]


def test_rows_of_a_skipped_extension_that_something_needs_count_as_refused() -> None:
    members = list_members(a_table("t"))
    for unavailable, group in (((), SkipGroup.BY_DESIGN), (("geo",), SkipGroup.REFUSED)):
        comparison = compare_members(members, {"TABLE app.t": (3,)}, {}, {}, unavailable)
        assert [(item.rows, item.group) for item in comparison.skipped] == [(3, group)]


def test_titles_are_the_same_on_each_major(postgres16: PostgresServer, postgres18: PostgresServer) -> None:
    """Servers before 17 write json with its schema. Seen: a cast of hstore was listed as left out."""
    titles = []
    for server in (postgres16, postgres18):
        with server.database("members") as name:
            server.execute("CREATE EXTENSION vector; CREATE FUNCTION f(json, jsonb) RETURNS int RETURN 1;", name)
            server.execute("ALTER EXTENSION vector ADD FUNCTION f(json, jsonb)", name)
            with server.connect(name) as connection:
                titles.append({title for title in read_members(connection) if " public.f(" in title})
    assert titles == [{"FUNCTION public.f(json,pg_catalog.jsonb)"}] * 2
