"""Hostile tables of contents and definitions: limited in number and size, and read in linear time.

Each text would take minutes to hours if its cost grew with the square of its length. Seen before: 20,000 comments
without an end took 5 s, 80,000 took 80 s; a chain of 1,000 functions ended in a RecursionError; a dependency of 5,000
digits in a ValueError.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from tests.worker.archive.entries import entry

from pgimport.model.import_choices import SkipGroup
from pgimport.model.reasons import Reason
from pgimport.worker.archive import toc
from pgimport.worker.archive.call_order import order_by_calls
from pgimport.worker.archive.entry_names import find_containers
from pgimport.worker.archive.restore_plan import SkippedEntry
from pgimport.worker.archive.selection import Exclusions, plan_restore
from pgimport.worker.archive.sql_tokens import parse_tokens, scan_tokens
from pgimport.worker.archive.toc import TocEntry, parse_table_of_contents
from pgimport.worker.archive.trim import find_mentions, trim_table
from pgimport.worker.engines.file.plain_sql_lexer import PlainSqlLexer, SqlStatement
from pgimport.worker.postgres.errors import ImportStopped

pytestmark = pytest.mark.isolation


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Fails if the block takes more of the processor's time."""
    begin = time.process_time()
    yield
    assert time.process_time() - begin < seconds


def format_integer(value: int) -> bytes:
    return bytes([value < 0]) + abs(value).to_bytes(4, "little")


def format_text(text: str | None) -> bytes:
    return format_integer(-1) if text is None else format_integer(len(text)) + text.encode()


def build_entry(dump_id: int, dependencies: tuple[str, ...] = (), definition: str = "") -> bytes:
    texts = ["0", "0", f"t{dump_id}", "TABLE"]
    first = format_integer(dump_id) + format_integer(0) + b"".join(map(format_text, texts)) + format_integer(2)
    texts = [definition, "", "", "public", "", "heap", "owner", "false", *dependencies]
    return first + b"".join(map(format_text, texts)) + format_text(None) + b"\1" + bytes(8)


def build_archive(count: int, *entries: bytes) -> bytes:
    times = b"".join(map(format_integer, range(7)))
    texts = b"".join(map(format_text, ["shop", "17.5", "17.5"]))
    return b"PGDMP\1\x0e\0\4\x08\1" + format_integer(0) + times + texts + format_integer(count) + b"".join(entries)


def parse(content: bytes) -> list[TocEntry]:
    view, at = memoryview(content), 0

    def read(count: int) -> bytes:
        nonlocal at
        at += count
        return bytes(view[at - count : at])

    return list(parse_table_of_contents(read)[1])


def test_many_entries_and_dependencies_are_parsed_in_linear_time() -> None:
    content = build_archive(10_001, *map(build_entry, range(10_000)), build_entry(9, tuple(map(str, range(30_000)))))
    with limited(5):
        entries = parse(content)
    assert len(entries) == 10_001
    assert len(entries[-1].dependencies) == 30_000


@pytest.mark.parametrize(
    ("content", "reason", "words"),
    [
        pytest.param(build_archive(2**31), Reason.DUMP_UNSUPPORTED, "2147483648 entries", id="entries"),
        pytest.param(build_archive(1, build_entry(1, ("9" * 5000,))), Reason.DUMP_CORRUPT, "a number must be", id="id"),
        pytest.param(
            build_archive(1, format_integer(1) * 2 + format_integer(2**31)), Reason.DUMP_CORRUPT, "a text of", id="text"
        ),
    ],
)
def test_a_table_of_contents_beyond_a_limit_is_refused(content: bytes, reason: Reason, words: str) -> None:
    with limited(1), pytest.raises(ImportStopped, match=words) as stopped:
        parse(content)
    assert stopped.value.failure.reason is reason


def test_all_texts_and_dependencies_together_have_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toc, "MAX_TEXTS", 10_000)
    monkeypatch.setattr(toc, "MAX_DEPENDENCIES", 100)
    with pytest.raises(ImportStopped, match="more than 10000 bytes of texts"):
        parse(build_archive(3, *(build_entry(number, (), "x" * 4000) for number in range(3))))
    with pytest.raises(ImportStopped, match="more than 100 dependencies"):
        parse(build_archive(2, build_entry(1, ("1",) * 60), build_entry(2, ("1",) * 60)))


@pytest.mark.parametrize(
    "definition",
    [
        pytest.param("/*" * 200_000, id="comments without an end"),
        pytest.param("".join(f"$a{n}$ " for n in range(60_000)), id="dollar quotes without an end"),
        pytest.param("".join(f"$a{n}$b$a{n}$ " for n in range(60_000)), id="dollar quotes"),
        pytest.param("E'\\" * 60_000, id="escapes"),
        pytest.param("'" + "''" * 200_000, id="quotes"),
        pytest.param('"' + '""' * 200_000, id="quoted names"),
        pytest.param("(" * 200_000, id="parentheses"),
        pytest.param("a.b." * 30_000, id="names"),
    ],
)
def test_a_definition_is_scanned_in_linear_time(definition: str) -> None:
    with limited(5):
        find_mentions(scan_tokens(definition))


@pytest.mark.parametrize(
    "items",
    [
        pytest.param("a int" + ", CHECK (a > 0)" * 20_000, id="CHECKs without names"),
        pytest.param(", ".join(f"c{n} int CHECK (c{n} > 0)" for n in range(20_000)), id="columns with CHECKs"),
    ],
)
def test_a_table_is_trimmed_in_linear_time(items: str) -> None:
    with limited(20):
        _, parts = trim_table(f"CREATE TABLE t ({items});", lambda _: True)
    assert len({part.name for part in parts}) == 20_000


def test_quotes_within_quotes_are_searched_to_a_depth() -> None:
    names = range(20_000)
    nested = " ".join(f"$q{n}$ public.f{n}" for n in names) + " ".join(f"$q{n}$" for n in reversed(names))
    with limited(5):
        mentions = find_mentions(scan_tokens(nested))
    assert ("public", "f3") in mentions
    assert ("public", "f19999") not in mentions


def test_quotes_and_comments_are_scanned_as_before() -> None:
    assert parse_tokens("a /* b */ $x$ c $y$ d $x$ -- e\n f $1 /* g") == ["a", "''", "f", "$", "1", "/", "*", "g"]
    assert [token.content for token in scan_tokens("$$a$$ $f$ $$b$$ $f$ 'it''s' E'\\''")] == [
        "a",
        " $$b$$ ",
        "it's",
        "\\'",
    ]


def test_a_chain_of_calls_is_sorted_in_linear_time() -> None:
    """The archive's order stays beyond a depth, and near callees come first."""
    count = 5_000
    body = "CREATE FUNCTION public.f{}() RETURNS int LANGUAGE sql AS $$SELECT public.f{}()$$;"
    entries = [
        replace(
            entry(
                "FUNCTION", f"f{number}()", schema="public", dump_id=number, definition=body.format(number, number + 1)
            ),
            dependencies=tuple(range(max(1, number - 50), number)),
        )
        for number in range(1, count)
    ]
    with limited(10):
        assert sorted(item.dump_id for item in order_by_calls(entries)) == list(range(1, count))


def test_columns_of_many_domains_are_searched_once() -> None:
    domains = [entry("DOMAIN", f"d{number}", dump_id=number) for number in range(1, 3_000)]
    columns = ",\n".join(f"c{number} public.d{number}" for number in range(1, 3_000))
    table = entry("TABLE", "t", *domains, definition=f"CREATE TABLE public.t ({columns}[]);")
    with limited(5):
        assert find_containers([*domains, table]) == {2_999}


class Stream:
    """A plain SQL dump in chunks of 256 KiB."""

    def __init__(self, content: bytes) -> None:
        self._content, self.bytes_unpacked = content, 0

    def read_some(self) -> bytes:
        chunk = self._content[self.bytes_unpacked : self.bytes_unpacked + 256 * 1024]
        self.bytes_unpacked += len(chunk)
        return chunk


END = b"\n-- PostgreSQL database dump complete\n"
STATEMENTS: dict[str, Callable[[], bytes]] = {
    "a rule of many semicolons": lambda: b"CREATE RULE r AS ON INSERT TO t DO (" + b"SELECT 1;" * 100_000 + b");",
    "an atomic body of many semicolons": lambda: (
        b"CREATE FUNCTION f()\nBEGIN ATOMIC\n" + b"SELECT 1;\n" * 100_000 + b"END;"
    ),
    "a function with much white space": lambda: b"CREATE FUNCTION f()" + b"\n" * 1_000_000 + b";",
    "many comments": lambda: b"--\n" * 150_000 + b"SELECT 1;",
    "comments in comments": lambda: b"/*" * 300_000 + b"*/" * 300_000 + b"SELECT 1;",
    "many dollar quotes": lambda: b"SELECT " + b" ".join(b"$a%d$$a%d$" % (n, n) for n in range(100_000)) + b";",
    "deep dollar quotes": lambda: (
        b"SELECT "
        + b"".join(b"$a%d$" % n for n in range(100_000))
        + b"".join(b"$a%d$" % n for n in range(99_999, -1, -1))
        + b";"
    ),
    "many quotes": lambda: b"SELECT " + b"''" * 150_000 + b";",
    "a long line": lambda: b"--" + b"x" * 20_000_000 + b"\nSELECT 1;",
}


@pytest.mark.thorough
@pytest.mark.parametrize("build", STATEMENTS.values(), ids=STATEMENTS.keys())
def test_plain_sql_is_split_in_linear_time(build: Callable[[], bytes]) -> None:
    statement = build()
    with limited(8):
        items = list(PlainSqlLexer(Stream(statement + END)).items())  # type: ignore[arg-type]
    assert len(items) == 1
    assert isinstance(items[0], SqlStatement)
    assert statement.endswith(items[0].text)
    assert len(items[0].comments) <= 65536


def test_refused_objects_are_skipped_in_linear_time() -> None:
    """Before, each refused object searched the whole archive: 100,000 of them took hours."""
    types = [entry("TYPE", f"t{number}") for number in range(3_000)]
    views = [entry("VIEW", f"v{number}", types[number]) for number in range(3_000)]
    plan = plan_restore([*types, *views], Exclusions())
    refusal = "it is refused"
    with limited(5):
        withdrawn = [plan.skip_with_dependents(SkippedEntry(item, refusal, SkipGroup.REFUSED)) for item in types]
    assert [len(items) for items in withdrawn] == [2] * 3_000
    assert len(plan.skipped) == 6_000
