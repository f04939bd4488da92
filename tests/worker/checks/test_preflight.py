"""The report on a source, from real servers: who is reached, how it is asked, what is found."""

import dataclasses
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.postgres import PostgresServer, run_postgres
from tests.support.tcp_proxies import TcpProxy, run_pooler, run_slow_proxy
from tests.worker.conftest import Bench

from pgimport.model.import_choices import Provider
from pgimport.model.preflight_checks import CheckName
from pgimport.model.project_spec import AllowedSources
from pgimport.model.reasons import Reason
from pgimport.model.result import CheckStatus, PreflightReport, WorkerResult, build_termination_message
from pgimport.worker.checks.catalog_reader import BEGIN, CatalogReader, run_statements
from pgimport.worker.checks.check_results import NotChecked
from pgimport.worker.checks.preflight import run_preflight
from pgimport.worker.report.reporter import Reporter

ALL_CHECKS = [name.value for name in CheckName]
ROUND_TRIPS = 30  # two log-ins and all questions, whatever the source holds
MEMORY_LIMIT = 100 * 2**20
READER = "reader"
SECRET = "a-readers-password"


@contextmanager
def reader(server: PostgresServer, *databases: str) -> Iterator[str]:
    """A role that may connect and nothing else, but for what it is granted; its password is SECRET."""
    server.execute(f"CREATE ROLE {READER} LOGIN PASSWORD '{SECRET}'")
    try:
        yield READER
    finally:
        for database in databases:
            server.execute(f"DROP OWNED BY {READER}", database)
        server.execute(f"DROP ROLE {READER}")


def report_of(bench: Bench, **changes: object) -> PreflightReport:
    report = bench.preflight(**changes).preflight
    assert report is not None
    return report


def details(report: PreflightReport) -> dict[str, tuple[str, str]]:
    return {check.name: (check.status.value, check.detail) for check in report.checks}


def through(bench: Bench, server: PostgresServer, line: TcpProxy, dbname: str, **changes: str) -> None:
    """The bench's source, behind what stands at this port."""
    bench.source_url = dataclasses.replace(server, port=line.port).url(dbname, **changes)


def test_a_good_source_passes_every_check(bench: Bench, postgres16: PostgresServer) -> None:
    with postgres16.database("fine"):
        postgres16.execute("CREATE EXTENSION vector", "fine")
        bench.source_url = postgres16.url("fine")
        result = bench.preflight(storage_limit_bytes=10**9)
    report = result.preflight
    assert report is not None
    assert [(check.name, check.status) for check in report.checks] == [(name, CheckStatus.PASS) for name in ALL_CHECKS]
    assert (result.ok, report.ok, result.failure, report.skipped) == (True, True, None, [])
    assert report.source is not None
    assert report.source.server_version_num // 10000 == 16
    assert [(e.name, e.schema_name) for e in report.source.extensions] == [("vector", "public")]
    assert (report.source.encoding, report.source.collate, report.source.locale_provider) == ("UTF8", "C", "c")
    assert report.source.provider is None
    assert postgres16.superuser_password not in bench.out.getvalue()


def test_a_newer_server_is_asked_the_same(bench: Bench, postgres18: PostgresServer) -> None:
    with postgres18.database("fine18"):
        bench.source_url = postgres18.url("fine18")
        report = report_of(bench)
    assert [(check.name, check.status) for check in report.checks] == [(name, CheckStatus.PASS) for name in ALL_CHECKS]


# --- reaching it ---


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
    assert [(check.name, check.status) for check in result.preflight.checks] == [
        (CheckName.SOURCE_REACHABLE, CheckStatus.FAIL)
    ]


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
    assert failure.message.startswith("the source 127.0.0.1:1/d: Connection refused")


def test_T22_localhost_as_a_source_is_refused_in_words(bench: Bench) -> None:
    bench.source_url = "postgresql://u:p@localhost/shop"
    failure = bench.preflight(sources=AllowedSources()).failure
    assert failure is not None
    assert failure.reason is Reason.SOURCE_ADDRESS_FORBIDDEN
    assert "localhost" in failure.message


@pytest.mark.slow
def test_T22_a_source_that_sleeps_is_tried_once_more(bench: Bench, postgres16: PostgresServer) -> None:
    with run_slow_proxy(postgres16, 0, sleeps_at=1) as line:
        through(bench, postgres16, line, "postgres")
        bench.source_url += "&connect_timeout=2"
        report = report_of(bench)
    assert (report.ok, line.connections) == (True, 3)


def test_T18_a_host_without_ipv4_gets_the_providers_advice(bench: Bench) -> None:
    bench.source_url = "postgresql://u:p@db.abcdefghijklmnopqrst.supabase.co:1/postgres?sslmode=disable"
    failure = elsewhere(bench, "127.0.0.1").failure
    assert failure is not None
    assert failure.reason is Reason.SOURCE_UNREACHABLE
    assert "only an IPv6 address" in failure.message
    assert "….pooler.supabase.com:5432" in failure.message


def elsewhere(bench: Bench, address: str) -> WorkerResult:
    """A preflight for which every name leads to this address."""
    return run_preflight(bench.order(), bench.environment, Reporter(bench.out), lambda _host, _port: [address])


# --- poolers and replicas ---


def test_T16_a_pooled_url_is_named_with_the_one_to_use(bench: Bench, postgres16: PostgresServer) -> None:
    bench.source_url = postgres16.url("postgres", host="ep-cool-1-pooler.eu.aws.neon.tech")
    result = elsewhere(bench, postgres16.host)
    assert result.failure is not None
    assert result.failure.reason is Reason.SOURCE_POOLED
    assert "use the same URL with the host ep-cool-1.eu.aws.neon.tech (without -pooler)" in result.failure.message
    assert result.preflight is not None
    assert [check.name for check in result.preflight.checks] == ALL_CHECKS


def test_T16_a_transaction_pooler_is_found_by_its_behaviour(bench: Bench, postgres16: PostgresServer) -> None:
    with run_pooler(postgres16, "postgres", transactions=True) as line:
        through(bench, postgres16, line, "postgres")
        result = bench.preflight()
    assert result.failure is not None
    assert result.failure.reason is Reason.SOURCE_POOLED
    assert "use the URL of the database server itself" in result.failure.message


def test_T16_a_session_pooler_works_with_a_warning(bench: Bench, postgres16: PostgresServer) -> None:
    with run_pooler(postgres16, "postgres", transactions=False) as line:
        through(bench, postgres16, line, "postgres")
        report = report_of(bench)
    assert report.ok
    assert details(report)[CheckName.SOURCE_NOT_POOLED][0] == "warn"


def test_T16_nothing_is_set_for_the_next_client_of_a_pooler(bench: Bench, postgres16: PostgresServer) -> None:
    with run_pooler(postgres16, "postgres", transactions=True, servers=2) as line:
        through(bench, postgres16, line, "postgres")
        bench.preflight()
        behind = dataclasses.replace(postgres16, port=line.port)
        for setting, value in (("search_path", '"$user", public'), ("default_transaction_read_only", "off")):
            assert behind.query(f"SHOW {setting}") == [(value,)]


def test_T20_an_address_of_several_servers_is_refused(
    bench: Bench, postgres16: PostgresServer, postgres18: PostgresServer
) -> None:
    """The first connection leads to one server, the second to another, as a load balancer of readers does."""
    with run_slow_proxy(postgres16, 0, others=[postgres18]) as line:
        postgres18.execute(f"ALTER ROLE postgres PASSWORD '{postgres16.superuser_password}'")
        try:
            through(bench, postgres16, line, "postgres")
            result = bench.preflight()
        finally:
            with postgres18.connect(password=postgres16.superuser_password) as back:
                back.execute(f"ALTER ROLE postgres PASSWORD '{postgres18.superuser_password}'")
    assert result.failure is not None
    assert result.failure.reason is Reason.SOURCE_POOLED
    assert "leads to several servers" in result.failure.message


def test_T20_a_standby_is_told(bench: Bench) -> None:
    with run_postgres(16, hot_standby="on", wal_level="replica") as primary, standby_of(primary) as replica:
        bench.source_url = replica.url("postgres")
        report = report_of(bench)
    assert report.ok
    status, detail = details(report)[CheckName.SOURCE_REACHABLE]
    assert (status, "it is a standby" in detail) == ("warn", True)
    assert details(report)[CheckName.SOURCE_NOT_POOLED][0] == "pass"


@contextmanager
def standby_of(primary: PostgresServer) -> Iterator[PostgresServer]:
    """The same server again, as a standby of its own files: it stays in recovery and answers readers."""
    ((data,),) = primary.query("SHOW data_directory")
    files = Path(data)
    program = primary.bin / "pg_ctl"
    user, group = (files.stat().st_uid, files.stat().st_gid) if os.geteuid() == 0 else (None, None)

    def control(*arguments: str) -> None:
        subprocess.run(
            [program, "-D", data, "-w", *arguments],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"LC_ALL": "C"},
            cwd=files,
            user=user,
            group=group,
        )

    control("stop", "-m", "fast")
    (files / "standby.signal").touch()
    options = (
        f"-p {primary.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_prepared_transactions=5"
    )
    control("start", "-o", options, "-l", str(files / "standby.log"))
    try:
        yield primary
    finally:
        control("stop", "-m", "fast")


# --- what it may read, what it leaves ---


def test_T2_T5_a_role_that_may_read_little_gets_a_whole_report(bench: Bench, postgres16: PostgresServer) -> None:
    with postgres16.database("closed"), reader(postgres16, "closed"):
        postgres16.execute(
            """
            CREATE SCHEMA shop; CREATE TABLE shop.orders (id int); CREATE SEQUENCE shop.ids;
            CREATE TABLE shown (id int); GRANT SELECT ON shown TO reader;
            CREATE TABLE secured (id int); GRANT SELECT ON secured TO reader;
            ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
            SELECT lo_create(4711);
            """,
            "closed",
        )
        bench.source_url = postgres16.url("closed", READER, SECRET)
        result = bench.preflight()
        assert result.preflight is not None
        found = details(result.preflight)
        assert found["source_privileges"] == (
            "fail",
            "reader may not read 1 table (shop.orders) and 1 sequence (shop.ids); their owner cures it:"
            ' GRANT USAGE ON SCHEMA "shop" TO "reader"; GRANT SELECT ON TABLE "shop"."orders" TO "reader";'
            ' GRANT SELECT ON SEQUENCE "shop"."ids" TO "reader";',
        )
        assert found["row_level_security"][0] == "fail"
        assert found["large_objects"][0] == "fail"
        assert [name for name, (status, _) in found.items() if status == "warn"] == []
        assert result.failure is not None
        assert result.failure.reason is Reason.SOURCE_PERMISSION_DENIED
        assert "shop.orders" in result.failure.message  # the first that failed speaks

        cures = [detail.partition("cures it: ")[2] for _, detail in found.values()]
        postgres16.execute(" ".join([*cures, "ALTER ROLE reader BYPASSRLS;", large_object_cure(found)]), "closed")
        assert bench.preflight().ok


def large_object_cure(found: dict[str, tuple[str, str]]) -> str:
    return found["large_objects"][1].partition("for each: ")[2]


EVERYTHING_THAT_STAYS = """
CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER watcher ON ddl_command_start EXECUTE FUNCTION watch();
CREATE PUBLICATION everything FOR ALL TABLES;
CREATE SUBSCRIPTION nothing CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p WITH (connect = false, slot_name = NONE);
CREATE FOREIGN DATA WRAPPER wrapper;
CREATE SERVER far FOREIGN DATA WRAPPER wrapper;
CREATE USER MAPPING FOR CURRENT_USER SERVER far;
CREATE FOREIGN TABLE away (id int) SERVER far;
CREATE VIEW reads_away AS SELECT id FROM away;
CREATE VIEW reads_reader AS SELECT id FROM reads_away;
CREATE MATERIALIZED VIEW holds_away AS SELECT id FROM away WITH NO DATA;
CREATE FUNCTION in_c(internal) RETURNS internal LANGUAGE internal AS 'array_agg_finalfn';
CREATE FUNCTION tight() RETURNS int LEAKPROOF LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION strong() RETURNS int LANGUAGE sql SET log_statement = 'none' AS 'SELECT 1';
CREATE FUNCTION weak() RETURNS int LANGUAGE sql SET work_mem = '1MB' AS 'SELECT 1';
CREATE AGGREGATE hoard (anynonarray) (sfunc = array_agg_transfn, stype = internal, finalfunc = array_agg_finalfn,
    finalfunc_extra);
CREATE TYPE ghost;
CREATE TYPE base;
CREATE FUNCTION base_in(cstring) RETURNS base LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION base_out(base) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE base (INPUT = base_in, OUTPUT = base_out, LIKE = text);
CREATE CAST (base AS text) WITHOUT FUNCTION;
CREATE OPERATOR FAMILY family USING btree;
CREATE OPERATOR CLASS class FOR TYPE int USING btree FAMILY family AS OPERATOR 1 <, FUNCTION 1 btint4cmp(int, int);
CREATE ACCESS METHOD method TYPE INDEX HANDLER bthandler;
CREATE TEXT SEARCH PARSER parser (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end,
    LEXTYPES = prsd_lextype);
CREATE TEXT SEARCH TEMPLATE template (LEXIZE = dsimple_lexize);
CREATE TABLE owned (id int);
CREATE POLICY ours ON owned TO postgres USING (true);
CREATE POLICY open ON owned USING (true);
CREATE TYPE mood AS ENUM ('fine'); CREATE DOMAIN short AS text; CREATE TYPE pair AS (a int, b base);
"""
REACHES_OUT = """
CREATE TABLE mailed (id int);
CREATE FUNCTION send() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN PERFORM net.http_post(''https://x''); RETURN NEW; END';
CREATE TRIGGER sends AFTER INSERT ON mailed EXECUTE FUNCTION send();
"""


def test_everything_that_stays_behind_is_named(bench: Bench, postgres16: PostgresServer) -> None:
    with postgres16.database("odd"):
        postgres16.execute(EVERYTHING_THAT_STAYS, "odd")
        bench.source_url = postgres16.url("odd")
        report = report_of(bench)
        postgres16.execute("DROP SUBSCRIPTION nothing", "odd")
    assert report.ok
    assert sorted(one.object for one in report.skipped) == sorted(
        [
            "ACCESS METHOD method",
            "AGGREGATE with an internal state public.hoard",
            "BASE TYPE public.base",
            "CAST without a function public.base to text",
            "EVENT TRIGGER watcher",
            "FOREIGN DATA WRAPPER wrapper",
            "FOREIGN TABLE public.away",
            "FUNCTION in C public.base_in",
            "FUNCTION in C public.base_out",
            "FUNCTION in C public.in_c",
            "FUNCTION with a privileged setting public.strong",
            "LEAKPROOF FUNCTION public.tight",
            "MATERIALIZED VIEW public.holds_away",
            "OPERATOR CLASS public.class",
            "OPERATOR FAMILY public.family",
            "POLICY that names roles ours on public.owned",
            "PUBLICATION everything",
            "SERVER far",
            "SHELL TYPE public.ghost",
            "SUBSCRIPTION nothing",
            "TEXT SEARCH PARSER public.parser",
            "TEXT SEARCH TEMPLATE public.template",
            "USER MAPPING of postgres for far",
            "VIEW public.reads_away",
            "VIEW public.reads_reader",
        ]
    )
    assert all(one.reason for one in report.skipped)
    status, detail = details(report)[CheckName.UNSUPPORTED_OBJECTS]
    assert status == "warn"
    assert "1 EVENT TRIGGER (watcher)" in detail


def test_T3_roles_that_the_target_lacks_do_not_stop_an_import(bench: Bench, postgres16: PostgresServer) -> None:
    with postgres16.database("granted"), reader(postgres16, "granted"):
        postgres16.execute(
            "CREATE TABLE t (id int); GRANT SELECT ON t TO reader; ALTER TABLE t ENABLE ROW LEVEL SECURITY;"
            "CREATE POLICY theirs ON t TO reader USING (true); ALTER TABLE t OWNER TO reader",
            "granted",
        )
        bench.source_url = postgres16.url("granted")
        report = report_of(bench)
    assert report.ok
    ((named, why),) = [(one.object, one.reason) for one in report.skipped]
    assert named == "POLICY that names roles theirs on public.t"
    assert "never widened to everybody" in why


def test_names_without_an_encoding_are_read(bench: Bench, postgres16: PostgresServer) -> None:
    with postgres16.connect() as connection:
        connection.execute("CREATE DATABASE bytes TEMPLATE template0 ENCODING 'SQL_ASCII'")
    try:
        with postgres16.connect("bytes", client_encoding="latin1") as inside:
            inside.execute('CREATE TABLE "größe" (id int)')
            inside.execute('CREATE PUBLICATION "é"')
        bench.source_url = postgres16.url("bytes")
        report = report_of(bench)
    finally:
        postgres16.execute("DROP DATABASE bytes WITH (FORCE)")
    assert report.ok
    assert report.source is not None
    assert report.source.encoding == "SQL_ASCII"
    assert details(report)["encoding_and_collation"][0] == "warn"
    assert [one.object for one in report.skipped] == ["PUBLICATION é"]


def test_T38_triggers_that_reach_out_are_told(bench: Bench, postgres16: PostgresServer) -> None:
    with postgres16.database("mail"):
        postgres16.execute(REACHES_OUT, "mail")
        bench.source_url = postgres16.url("mail")
        detail = details(report_of(bench))[CheckName.UNSUPPORTED_OBJECTS]
    assert detail[0] == "warn"
    assert "may call other services from the preview: triggers public.mailed: sends" in detail[1]


def test_a_providers_own_schemas_stay_behind_as_a_whole(bench: Bench, postgres16: PostgresServer) -> None:
    with postgres16.database("supa"), reader(postgres16, "supa"):
        postgres16.execute(
            "CREATE SCHEMA auth; CREATE TABLE auth.users (id int); CREATE POLICY p ON auth.users TO postgres", "supa"
        )
        bench.source_url = postgres16.url("supa", READER, SECRET)
        assert not bench.preflight().ok
        report = report_of(bench, provider=Provider.SUPABASE)
    assert report.ok
    assert report.source is not None
    assert report.source.provider == "supabase"
    assert [(one.object, one.reason) for one in report.skipped] == [
        ("SCHEMA auth", "it belongs to Supabase, with all in it")
    ]


def test_a_question_that_is_refused_is_unknown_and_the_next_is_answered(postgres16: PostgresServer) -> None:
    with postgres16.connect() as connection:
        run_statements(connection, BEGIN)
        asker = CatalogReader(connection)
        refused = asker.ask("checks/cron_jobs")
        assert isinstance(refused, NotChecked)
        assert "42P01" in refused.why
        assert asker.ask("checks/collations") == []


# --- how it asks ---


def test_T2_T10_only_reads_are_made_and_none_of_passwords(bench: Bench) -> None:
    with run_postgres(16, log_statement="all", log_line_prefix="%u:", max_prepared_transactions="0") as server:
        ((data,),) = server.query("SHOW data_directory")
        server.execute(f"CREATE TABLE t (id int); CREATE ROLE {READER} LOGIN PASSWORD '{SECRET}'")
        server.execute(f"GRANT CONNECT ON DATABASE postgres TO {READER}; GRANT SELECT ON t TO {READER}")
        before = server.query("SELECT pg_current_wal_insert_lsn()")
        bench.source_url = server.url("postgres", READER, SECRET)
        assert bench.preflight(dry_run=True).ok
        assert server.query("SELECT pg_current_wal_insert_lsn()") == before
        log = (Path(data).parent / "log").read_text().split(f"{READER}:LOG:  statement: ")[1:]
    said = [re.sub(r"^\s*--.*\n", "", text, flags=re.MULTILINE).lstrip() for text in log]
    assert len(said) > 10
    allowed = ("BEGIN", "SELECT", "SAVEPOINT question; ", "COMMIT")
    assert [text for text in said if not text.startswith(allowed)] == []
    assert not any("pg_authid" in text or "pg_shadow" in text for text in said)


@pytest.mark.thorough
def test_5000_tables_are_few_round_trips_and_little_memory(bench: Bench, postgres16: PostgresServer) -> None:
    with postgres16.database("many"):
        for start in range(0, 5000, 500):
            postgres16.execute(
                f"""DO $$ BEGIN FOR at IN {start}..{start + 499} LOOP EXECUTE
                format('CREATE TABLE t%s (id int PRIMARY KEY, note text); CREATE SEQUENCE s%s', at, at);
                END LOOP; END $$""",
                "many",
            )
        postgres16.execute("ANALYZE", "many")
        with run_slow_proxy(postgres16, 0.01) as line:
            through(bench, postgres16, line, "many")
            began = time.monotonic()
            message, peak = run_alone(bench)
            took = time.monotonic() - began
        print(
            f"5000 tables at 20 ms: {line.round_trips} round trips, {took:.2f} s with the interpreter's start,"
            f" {peak / 2**20:.0f} MiB"
        )
    assert message["ok"]
    assert line.round_trips <= ROUND_TRIPS
    assert peak < MEMORY_LIMIT


# The kernel's own number: what a parent is told of a child's peak holds the parent's from before.
WORKER_THAT_TELLS_ITS_PEAK = """
import sys
from pgimport.worker.main import main
main(["preflight"])
print(open("/proc/self/status").read(), file=sys.stderr)
"""


def run_alone(bench: Bench) -> tuple[dict[str, object], int]:
    """The worker as its container runs it: its message, and the most memory that it held, in bytes."""
    environment = {
        **bench.environ,
        "PGIMPORT_ORDER": json.dumps(bench.order().to_json()),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    done = subprocess.run(
        [sys.executable, "-c", WORKER_THAT_TELLS_ITS_PEAK], env=environment, check=True, capture_output=True, text=True
    )
    peak = re.search(r"^VmHWM:\s+(\d+) kB", done.stderr, re.MULTILINE)
    assert peak is not None
    return json.loads(bench.environment.termination_message.read_text()), int(peak[1]) * 1024


@pytest.mark.slow
def test_hundreds_of_left_objects_fit_into_the_message_and_little_memory(
    bench: Bench, postgres16: PostgresServer
) -> None:
    with postgres16.database("crowd"), reader(postgres16, "crowd"):
        postgres16.execute("CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w", "crowd")
        postgres16.execute(
            """DO $$ BEGIN FOR at IN 1..1000 LOOP EXECUTE format('CREATE FOREIGN TABLE
            a_rather_long_name_of_a_foreign_table_%s (id int) SERVER s; CREATE TABLE t%s (id int)', at, at);
            END LOOP; END $$""",
            "crowd",
        )
        bench.source_url = postgres16.url("crowd", READER, SECRET)
        message, peak = run_alone(bench)
        result = bench.preflight()
    report = PreflightReport.model_validate(message["preflight"])
    assert len(report.skipped) + (report.more or 0) == 1002
    assert [check.name for check in report.checks] == ALL_CHECKS
    assert len(build_termination_message(result).encode()) <= 4000
    assert peak < MEMORY_LIMIT
