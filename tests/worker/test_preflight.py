"""The report on a source: real servers where a connection matters, plain facts where only judging does."""

import pytest
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench

from pgimport.model.reasons import Reason
from pgimport.model.result import CheckStatus, Extension, SourceFacts
from pgimport.model.spec import Sources
from pgimport.worker.preflight import EXTENSIONS, REACHABLE, SIZE, VERSION, format_bytes, judge_facts


def test_a_good_source_passes_every_check(bench: Bench, postgres16: PostgresServer) -> None:
    with postgres16.database("fine"):
        postgres16.execute("CREATE EXTENSION vector", "fine")
        bench.source_url = postgres16.url("fine")
        result = bench.preflight(storage_limit_bytes=10**9)
    report = result.preflight
    assert report is not None
    assert [(check.name, check.status) for check in report.checks] == [
        (name, CheckStatus.PASS) for name in (REACHABLE, VERSION, SIZE, EXTENSIONS)
    ]
    assert (result.ok, report.ok, result.failure) == (True, True, None)
    assert report.source is not None
    assert report.source.server_version_num // 10000 == 16
    assert [(e.name, e.schema_name) for e in report.source.extensions] == [("vector", "public")]
    assert (report.source.encoding, report.source.collate, report.source.locale_provider) == ("UTF8", "C", "c")
    assert postgres16.superuser_password not in bench.out.getvalue()


@pytest.mark.parametrize(
    ("change", "expected", "words"),
    [
        pytest.param({"password": "wrong"}, Reason.SOURCE_AUTH_FAILED, "password authentication", id="wrong password"),
        pytest.param({"user": "nobody", "password": "x"}, Reason.SOURCE_AUTH_FAILED, "nobody", id="unknown user"),
        pytest.param({"dbname": "nope"}, Reason.SOURCE_DATABASE_NOT_FOUND, '"nope" does not exist', id="no database"),
        pytest.param({"host": "nowhere.invalid"}, Reason.SOURCE_UNREACHABLE, "cannot be resolved", id="unknown host"),
    ],
)
def test_a_source_that_lets_nobody_in_is_told_from_one_that_is_away(
    bench: Bench, postgres16: PostgresServer, change: dict[str, str], expected: Reason, words: str
) -> None:
    bench.source_url = postgres16.url(**{"dbname": "postgres", **change})
    result = bench.preflight()
    assert result.failure is not None
    assert (result.failure.reason, result.ok) == (expected, False)
    assert words in result.failure.message
    assert result.preflight is not None
    assert [(check.name, check.status) for check in result.preflight.checks] == [(REACHABLE, CheckStatus.FAIL)]


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        pytest.param("?sslmode=require", Reason.SOURCE_TLS_FAILED, id="no TLS there"),
        pytest.param("?sslmode=nonsense", Reason.SOURCE_URL_INVALID, id="a URL that says nonsense"),
    ],
)
def test_a_url_may_ask_for_what_there_is_not(
    bench: Bench, postgres16: PostgresServer, ending: str, expected: Reason
) -> None:
    bench.source_url = postgres16.url("postgres").replace("?sslmode=disable", ending)
    failure = bench.preflight().failure
    assert failure is not None
    assert failure.reason is expected


def test_a_closed_port_is_unreachable(bench: Bench, postgres16: PostgresServer) -> None:
    bench.source_url = "postgresql://u:p@127.0.0.1:1/d?sslmode=disable"
    failure = bench.preflight().failure
    assert failure is not None
    assert failure.reason is Reason.SOURCE_UNREACHABLE
    assert failure.message == "the source 127.0.0.1:1/d: Connection refused"


def test_the_loopback_is_forbidden_unless_the_project_names_it(bench: Bench) -> None:
    failure = bench.preflight(sources=Sources()).failure
    assert failure is not None
    assert failure.reason is Reason.SOURCE_ADDRESS_FORBIDDEN


def facts(version: int = 160014, size: int = 100, extensions: tuple[str, ...] = ()) -> SourceFacts:
    return SourceFacts(
        server_version=f"{version // 10000}.{version % 10000}",
        server_version_num=version,
        database_size_bytes=size,
        extensions=[Extension(name=name, version="1.0", schema_name="public") for name in extensions],
    )


@pytest.mark.parametrize(
    ("source", "order", "check", "status", "reason", "words"),
    [
        (facts(version=180004), {"target_version_num": 180004}, VERSION, "pass", None, "18.4"),
        (facts(version=180004), {"target_version_num": 170011}, VERSION, "fail", Reason.SOURCE_NEWER_THAN_TARGET, "18"),
        (facts(version=140020), {}, VERSION, "pass", None, "14.20"),
        (facts(version=130020), {}, VERSION, "fail", Reason.SOURCE_VERSION_UNSUPPORTED, "13.20"),
        (facts(size=10**15), {}, SIZE, "pass", None, "no limit"),
        (facts(size=80), {"storage_limit_bytes": 100}, SIZE, "pass", None, "80 bytes"),
        (facts(size=81), {"storage_limit_bytes": 100}, SIZE, "warn", None, "more than 80 %"),
        (facts(size=100), {"storage_limit_bytes": 100}, SIZE, "warn", None, "more than 80 %"),
        (facts(size=101), {"storage_limit_bytes": 100}, SIZE, "fail", Reason.SOURCE_TOO_LARGE, "101 bytes"),
        (facts(), {}, EXTENSIONS, "pass", None, "uses none"),
        (facts(extensions=("vector", "plpgsql")), {}, EXTENSIONS, "pass", None, "vector"),
        (facts(extensions=("postgis",)), {}, EXTENSIONS, "fail", Reason.EXTENSION_NOT_ALLOWED, "project: postgis"),
        (facts(extensions=("citext",)), {}, EXTENSIONS, "fail", Reason.EXTENSION_NOT_ALLOWED, "server: citext"),
    ],
    ids=[
        "same major", "newer than target", "oldest major", "too old", "no limit", "80 %", "over 80 %", "at the limit",
        "over the limit", "no extension", "allowed extension", "forbidden extension", "not creatable",
    ],
)  # fmt: skip
def test_facts_are_judged(
    bench: Bench, source: SourceFacts, order: dict[str, int], check: str, status: str, reason: Reason | None, words: str
) -> None:
    found = {item.check.name: item for item in judge_facts(bench.order(**order), source)}
    assert found[check].check.status == status
    assert words in found[check].check.detail
    failure = found[check].failure
    assert (failure.reason if failure else None) is reason


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (1610612736, "1.5 GiB")]
)
def test_bytes_are_written_for_people(count: int, text: str) -> None:
    assert format_bytes(count) == text
