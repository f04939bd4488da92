"""Tests the preflight of live sources with real servers: connection errors, poolers, queries and the report."""

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
from pgimport.model.result import CheckStatus, PreflightReport, WorkerResult
from pgimport.model.termination_message import build_termination_message
from pgimport.worker.checks.catalog_reader import BEGIN, CatalogReader, run_statements
from pgimport.worker.checks.check_results import NotChecked
from pgimport.worker.checks.live_source_checks import FIRST_QUERIES, QUERIES_BY_SCHEMA
from pgimport.worker.checks.preflight import run_preflight
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.report.reporter import Reporter
from pgimport.worker.scope.provider import SIGN_PARAMETERS

ALL_CHECKS = [name.value for name in CheckName]
ROUND_TRIPS = 30  # at most, for two log-ins and all queries, whatever the number of tables
MEMORY_LIMIT = 100 * 2**20
READER = "reader"
SECRET = "a-readers-password"


@contextmanager
def reader_role(server: PostgresServer, *databases: str) -> Iterator[str]:
    """Creates a role with the password SECRET that may only connect, and drops it with its grants."""
    server.execute(f"CREATE ROLE {READER} LOGIN PASSWORD '{SECRET}'")
    try:
        yield READER
    finally:
        for database in databases:
            server.execute(f"DROP OWNED BY {READER}", database)
        server.execute(f"DROP ROLE {READER}")


def preflight_report(bench: Bench, **changes: object) -> PreflightReport:
    report = bench.preflight(**changes).preflight
    assert report is not None
    return report


def checks_by_name(report: PreflightReport) -> dict[str, tuple[str, str]]:
    return {check.name: (check.status.value, check.detail) for check in report.checks}


def set_proxied_source(bench: Bench, server: PostgresServer, proxy: TcpProxy, dbname: str, **changes: str) -> None:
    """Sets the source to this proxy or pooler of the server."""
    bench.source_url = dataclasses.replace(server, port=proxy.port).url(dbname, **changes)


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
    assert [(extension.name, extension.schema_name) for extension in report.source.extensions] == [("vector", "public")]
    assert (report.source.encoding, report.source.collate, report.source.locale_provider) == ("UTF8", "C", "c")
    assert report.source.provider is None
    assert postgres16.superuser_password not in bench.out.getvalue()


def test_a_good_source_of_a_newer_version_passes_every_check(bench: Bench, postgres18: PostgresServer) -> None:
    with postgres18.database("fine18"):
        bench.source_url = postgres18.url("fine18")
        report = preflight_report(bench)
    assert [(check.name, check.status) for check in report.checks] == [(name, CheckStatus.PASS) for name in ALL_CHECKS]


# --- connection errors ---


@pytest.mark.parametrize(
    ("change", "expected", "text"),
    [
        pytest.param({"password": "wrong"}, Reason.SOURCE_AUTH_FAILED, "password authentication", id="wrong password"),
        pytest.param({"user": "nobody", "password": "x"}, Reason.SOURCE_AUTH_FAILED, "nobody", id="unknown user"),
        pytest.param({"dbname": "nope"}, Reason.SOURCE_DATABASE_NOT_FOUND, '"nope" does not exist', id="no database"),
        pytest.param({"host": "nowhere.invalid"}, Reason.SOURCE_UNREACHABLE, "cannot be resolved", id="unknown host"),
    ],
)
def test_a_refused_login_and_an_unreachable_source_have_different_reasons(
    bench: Bench, postgres16: PostgresServer, change: dict[str, str], expected: Reason, text: str
) -> None:
    bench.source_url = postgres16.url(**{"dbname": "postgres", **change})
    result = bench.preflight()
    assert result.failure is not None
    assert (result.failure.reason, result.ok) == (expected, False)
    assert text in result.failure.message
    assert result.preflight is not None
    assert [(check.name, check.status) for check in result.preflight.checks] == [
        (CheckName.SOURCE_REACHABLE, CheckStatus.FAIL)
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param("?sslmode=require", Reason.SOURCE_TLS_FAILED, id="server without TLS"),
        pytest.param("?sslmode=nonsense", Reason.SOURCE_URL_INVALID, id="unknown sslmode"),
    ],
)
def test_an_sslmode_that_cannot_be_met_is_a_failure(
    bench: Bench, postgres16: PostgresServer, query: str, expected: Reason
) -> None:
    bench.source_url = postgres16.url("postgres").replace("?sslmode=disable", query)
    failure = bench.preflight().failure
    assert failure is not None
    assert failure.reason is expected


def test_a_closed_port_is_unreachable(bench: Bench, postgres16: PostgresServer) -> None:
    bench.source_url = "postgresql://u:p@127.0.0.1:1/d?sslmode=disable"
    failure = bench.preflight().failure
    assert failure is not None
    assert failure.reason is Reason.SOURCE_UNREACHABLE
    assert failure.message.startswith("the source 127.0.0.1:1/d: Connection refused")


def test_T22_localhost_as_a_source_is_refused_by_name(bench: Bench) -> None:
    bench.source_url = "postgresql://u:p@localhost/shop"
    failure = bench.preflight(sources=AllowedSources()).failure
    assert failure is not None
    assert failure.reason is Reason.SOURCE_ADDRESS_FORBIDDEN
    assert "localhost" in failure.message


@pytest.mark.slow
def test_T22_a_connection_that_times_out_is_tried_once_more(bench: Bench, postgres16: PostgresServer) -> None:
    with run_slow_proxy(postgres16, 0, sleeps_at=1) as proxy:
        set_proxied_source(bench, postgres16, proxy, "postgres")
        bench.source_url += "&connect_timeout=2"
        report = preflight_report(bench)
    assert (report.ok, proxy.connections) == (True, 3)


def test_T18_a_host_without_ipv4_gets_the_providers_advice(bench: Bench) -> None:
    bench.source_url = "postgresql://u:p@db.abcdefghijklmnopqrst.supabase.co:1/postgres?sslmode=disable"
    failure = preflight_at(bench, "127.0.0.1").failure
    assert failure is not None
    assert failure.reason is Reason.SOURCE_UNREACHABLE
    assert "only an IPv6 address" in failure.message
    assert "….pooler.supabase.com:5432" in failure.message


def preflight_at(bench: Bench, address: str) -> WorkerResult:
    """Runs a preflight that resolves every host name to this address."""
    return run_preflight(bench.order(), bench.environment, Reporter(bench.out), lambda _host, _port: [address])


# --- poolers and replicas ---


def test_T16_a_known_pooler_is_refused_with_the_url_to_use(bench: Bench, postgres16: PostgresServer) -> None:
    bench.source_url = postgres16.url("postgres", host="ep-cool-1-pooler.eu.aws.neon.tech")
    result = preflight_at(bench, postgres16.host)
    assert result.failure is not None
    assert result.failure.reason is Reason.SOURCE_POOLED
    assert "Use the same URL with the host ep-cool-1.eu.aws.neon.tech (without -pooler)" in result.failure.message
    assert result.preflight is not None
    assert [check.name for check in result.preflight.checks] == ALL_CHECKS


def test_T16_a_transaction_pooler_is_detected_by_its_behaviour(bench: Bench, postgres16: PostgresServer) -> None:
    with run_pooler(postgres16, "postgres", transactions=True) as proxy:
        set_proxied_source(bench, postgres16, proxy, "postgres")
        result = bench.preflight()
    assert result.failure is not None
    assert result.failure.reason is Reason.SOURCE_POOLED
    assert "Use the URL of the database server itself" in result.failure.message


def test_T16_a_session_pooler_works_with_a_warning(bench: Bench, postgres16: PostgresServer) -> None:
    with run_pooler(postgres16, "postgres", transactions=False) as proxy:
        set_proxied_source(bench, postgres16, proxy, "postgres")
        report = preflight_report(bench)
    assert report.ok
    assert checks_by_name(report)[CheckName.SOURCE_NOT_POOLED][0] == "warn"


def test_T16_no_setting_stays_for_the_next_client_of_a_pooler(bench: Bench, postgres16: PostgresServer) -> None:
    with run_pooler(postgres16, "postgres", transactions=True, servers=2) as proxy:
        set_proxied_source(bench, postgres16, proxy, "postgres")
        bench.preflight()
        pooled_server = dataclasses.replace(postgres16, port=proxy.port)
        for setting, value in (("search_path", '"$user", public'), ("default_transaction_read_only", "off")):
            assert pooled_server.query(f"SHOW {setting}") == [(value,)]


def test_T20_an_address_of_several_servers_is_refused(
    bench: Bench, postgres16: PostgresServer, postgres18: PostgresServer
) -> None:
    """The two connections lead to different servers, as behind a load balancer of replicas."""
    with run_slow_proxy(postgres16, 0, others=[postgres18]) as proxy:
        postgres18.execute(f"ALTER ROLE postgres PASSWORD '{postgres16.superuser_password}'")
        try:
            set_proxied_source(bench, postgres16, proxy, "postgres")
            result = bench.preflight()
        finally:
            with postgres18.connect(password=postgres16.superuser_password) as connection:
                connection.execute(f"ALTER ROLE postgres PASSWORD '{postgres18.superuser_password}'")
    assert result.failure is not None
    assert result.failure.reason is Reason.SOURCE_POOLED
    assert "leads to several servers" in result.failure.message


def test_T20_a_standby_is_a_warning(bench: Bench) -> None:
    with run_postgres(16, hot_standby="on", wal_level="replica") as primary, standby_of(primary) as replica:
        bench.source_url = replica.url("postgres")
        report = preflight_report(bench)
    assert report.ok
    status, detail = checks_by_name(report)[CheckName.SOURCE_REACHABLE]
    assert (status, "It is a standby" in detail) == ("warn", True)
    assert checks_by_name(report)[CheckName.SOURCE_NOT_POOLED][0] == "pass"


@contextmanager
def standby_of(primary: PostgresServer) -> Iterator[PostgresServer]:
    """Restarts the server as a standby of its own data directory: it stays in recovery and accepts queries."""
    ((data,),) = primary.query("SHOW data_directory")
    data_directory = Path(data)
    program = primary.bin / "pg_ctl"
    user, group = (data_directory.stat().st_uid, data_directory.stat().st_gid) if os.geteuid() == 0 else (None, None)

    def control(*arguments: str) -> None:
        subprocess.run(
            [program, "-D", data, "-w", *arguments],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"LC_ALL": "C"},
            cwd=data_directory,
            user=user,
            group=group,
        )

    control("stop", "-m", "fast")
    (data_directory / "standby.signal").touch()
    options = (
        f"-p {primary.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_prepared_transactions=5"
    )
    control("start", "-o", options, "-l", str(data_directory / "standby.log"))
    try:
        yield primary
    finally:
        control("stop", "-m", "fast")


# --- privileges and skipped objects ---


def test_T2_T5_a_role_with_few_privileges_gets_all_checks(bench: Bench, postgres16: PostgresServer) -> None:
    with postgres16.database("closed"), reader_role(postgres16, "closed"):
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
        checks = checks_by_name(result.preflight)
        assert checks["source_privileges"] == (
            "fail",
            "reader cannot read 1 table (shop.orders) and 1 sequence (shop.ids)."
            " Ask the owners of these schemas and objects, or a superuser, to run:"
            ' GRANT USAGE ON SCHEMA "shop" TO "reader"; GRANT SELECT ON TABLE "shop"."orders" TO "reader";'
            ' GRANT SELECT ON SEQUENCE "shop"."ids" TO "reader";',
        )
        assert checks["row_level_security"][0] == "fail"
        assert checks["large_objects"][0] == "fail"
        assert [name for name, (status, _) in checks.items() if status == "warn"] == []
        assert result.failure is not None
        assert result.failure.reason is Reason.SOURCE_PERMISSION_DENIED
        assert "shop.orders" in result.failure.message  # the first failed check is the failure

        grants = [detail.partition(" to run: ")[2] for _, detail in checks.values()]
        postgres16.execute(" ".join([*grants, "ALTER ROLE reader BYPASSRLS;", large_object_grant(checks)]), "closed")
        assert bench.preflight().ok


def large_object_grant(checks: dict[str, tuple[str, str]]) -> str:
    return checks["large_objects"][1].partition("for each: ")[2]


SKIPPED_OBJECTS = """
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
CALLING_TRIGGER = """
CREATE TABLE mailed (id int);
CREATE FUNCTION send() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN PERFORM net.http_post(''https://x''); RETURN NEW; END';
CREATE TRIGGER sends AFTER INSERT ON mailed EXECUTE FUNCTION send();
"""


def test_all_skipped_objects_are_named(bench: Bench, postgres16: PostgresServer) -> None:
    with postgres16.database("odd"):
        postgres16.execute(SKIPPED_OBJECTS, "odd")
        bench.source_url = postgres16.url("odd")
        report = preflight_report(bench)
        postgres16.execute("DROP SUBSCRIPTION nothing", "odd")
    assert report.ok
    assert sorted(item.object for item in report.skipped) == sorted(
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
    assert all(item.reason for item in report.skipped)
    status, detail = checks_by_name(report)[CheckName.UNSUPPORTED_OBJECTS]
    assert status == "warn"
    assert "1 EVENT TRIGGER (watcher)" in detail


def test_T3_roles_that_the_target_lacks_do_not_stop_an_import(bench: Bench, postgres16: PostgresServer) -> None:
    with postgres16.database("granted"), reader_role(postgres16, "granted"):
        postgres16.execute(
            "CREATE TABLE t (id int); GRANT SELECT ON t TO reader; ALTER TABLE t ENABLE ROW LEVEL SECURITY;"
            "CREATE POLICY theirs ON t TO reader USING (true); ALTER TABLE t OWNER TO reader",
            "granted",
        )
        bench.source_url = postgres16.url("granted")
        report = preflight_report(bench)
    assert report.ok
    ((name, reason),) = [(item.object, item.reason) for item in report.skipped]
    assert name == "POLICY that names roles theirs on public.t"
    assert "never be widened to everybody" in reason


def test_row_security_counts_only_where_rows_are_copied(bench: Bench, postgres16: PostgresServer) -> None:
    """Not on the temporary table of another session, and on a member of an extension only if it holds users' rows."""
    with postgres16.database("secured"), reader_role(postgres16, "secured"):
        postgres16.execute(
            "CREATE TABLE member (id int); ALTER TABLE member ENABLE ROW LEVEL SECURITY;"
            "CREATE TABLE jobs (id int); ALTER TABLE jobs ENABLE ROW LEVEL SECURITY; GRANT SELECT ON jobs TO reader;"
            "ALTER EXTENSION plpgsql ADD TABLE member; ALTER EXTENSION plpgsql ADD TABLE jobs",
            "secured",
        )
        bench.source_url = postgres16.url("secured", READER, SECRET)
        with postgres16.connect("secured") as other:
            other.execute("CREATE TEMP TABLE session (id int)")
            other.execute("ALTER TABLE session ENABLE ROW LEVEL SECURITY")
            others_only = checks_by_name(preflight_report(bench))
            other.execute("UPDATE pg_extension SET extconfig = ARRAY['jobs'::regclass] WHERE extname = 'plpgsql'")
            with_rows = checks_by_name(preflight_report(bench))
    assert others_only[CheckName.ROW_LEVEL_SECURITY][0] == "pass"
    assert with_rows[CheckName.ROW_LEVEL_SECURITY][0] == "fail"
    assert "jobs" in with_rows[CheckName.ROW_LEVEL_SECURITY][1]


def test_names_in_sql_ascii_are_read(bench: Bench, postgres16: PostgresServer) -> None:
    with postgres16.connect() as connection:
        connection.execute("CREATE DATABASE bytes TEMPLATE template0 ENCODING 'SQL_ASCII'")
    try:
        with postgres16.connect("bytes", client_encoding="latin1") as connection:
            connection.execute('CREATE TABLE "größe" (id int)')
            connection.execute('CREATE PUBLICATION "é"')
        bench.source_url = postgres16.url("bytes")
        report = preflight_report(bench)
    finally:
        postgres16.execute("DROP DATABASE bytes WITH (FORCE)")
    assert report.ok
    assert report.source is not None
    assert report.source.encoding == "SQL_ASCII"
    assert checks_by_name(report)["encoding_and_collation"][0] == "warn"
    assert [item.object for item in report.skipped] == ["PUBLICATION é"]


def test_T38_triggers_that_call_other_services_are_named(bench: Bench, postgres16: PostgresServer) -> None:
    with postgres16.database("mail"):
        postgres16.execute(CALLING_TRIGGER, "mail")
        bench.source_url = postgres16.url("mail")
        detail = checks_by_name(preflight_report(bench))[CheckName.UNSUPPORTED_OBJECTS]
    assert detail[0] == "warn"
    assert "may call other services from the preview: public.mailed: sends" in detail[1]


def test_a_providers_own_schemas_are_skipped_as_a_whole(bench: Bench, postgres16: PostgresServer) -> None:
    with postgres16.database("supa"), reader_role(postgres16, "supa"):
        postgres16.execute(
            "CREATE SCHEMA auth; CREATE TABLE auth.users (id int); CREATE POLICY p ON auth.users TO postgres", "supa"
        )
        bench.source_url = postgres16.url("supa", READER, SECRET)
        assert not bench.preflight().ok
        report = preflight_report(bench, provider=Provider.SUPABASE)
    assert report.ok
    assert report.source is not None
    assert report.source.provider == "supabase"
    assert [(item.object, item.reason) for item in report.skipped] == [
        ("SCHEMA auth", "it belongs to Supabase, with everything in it")
    ]


def test_queries_of_one_message_return_what_each_returns_alone(postgres16: PostgresServer) -> None:
    values = {**SIGN_PARAMETERS, "skipped_schemas": ["pg_catalog"]}
    with postgres16.connect() as connection:
        run_statements(connection, BEGIN)
        together, alone = CatalogReader(connection), CatalogReader(connection)
        together.read_ahead([*FIRST_QUERIES, *QUERIES_BY_SCHEMA], **values)
        for name in (*FIRST_QUERIES, *QUERIES_BY_SCHEMA):
            needed = {key: value for key, value in values.items() if f"%({key})s".encode() in read_query(name)}
            assert together.read(name) == alone.read(name, **needed), name


def test_a_query_that_is_refused_among_others_is_the_only_one_not_checked(postgres16: PostgresServer) -> None:
    with postgres16.connect() as connection:
        run_statements(connection, BEGIN)
        catalog = CatalogReader(connection)
        catalog.read_ahead(["checks/collations", "checks/cron_jobs", "checks/source_facts"])
        assert isinstance(catalog.read("checks/cron_jobs"), NotChecked)
        assert catalog.read("checks/collations") == []
        assert len(catalog.read_required("checks/source_facts")) == 1


def test_a_refused_query_is_not_checked_and_the_next_one_runs(postgres16: PostgresServer) -> None:
    with postgres16.connect() as connection:
        run_statements(connection, BEGIN)
        catalog = CatalogReader(connection)
        refused = catalog.read("checks/cron_jobs")
        assert isinstance(refused, NotChecked)
        assert "42P01" in refused.reason
        assert catalog.read("checks/collations") == []


# --- queries ---


SAVEPOINT_STATEMENTS = ("SAVEPOINT before_query", "RELEASE before_query")


def test_T2_T10_statements_only_read_and_never_read_passwords(bench: Bench) -> None:
    with run_postgres(16, log_statement="all", log_line_prefix="%u:", max_prepared_transactions="0") as server:
        ((data,),) = server.query("SHOW data_directory")
        server.execute(f"CREATE TABLE t (id int); CREATE ROLE {READER} LOGIN PASSWORD '{SECRET}'")
        server.execute(f"GRANT CONNECT ON DATABASE postgres TO {READER}; GRANT SELECT ON t TO {READER}")
        before = server.query("SELECT pg_current_wal_insert_lsn()")
        bench.source_url = server.url("postgres", READER, SECRET)
        assert bench.preflight(dry_run=True).ok
        assert server.query("SELECT pg_current_wal_insert_lsn()") == before
        log = (Path(data).parent / "log").read_text().split(f"{READER}:LOG:  statement: ")[1:]
    messages = [re.sub(r"--.*", "", text) for text in log]
    statements = [text.strip() for message in messages for text in re.split(r";\s", message)]
    assert len(statements) > 20
    allowed = ("BEGIN", "SELECT", "WITH", "COMMIT", "SET TRANSACTION SNAPSHOT", *SAVEPOINT_STATEMENTS)
    assert [text for text in statements if not text.startswith(allowed)] == []
    assert not any("pg_authid" in text or "pg_shadow" in text for text in statements)


@pytest.mark.thorough
def test_5000_tables_need_few_round_trips_and_little_memory(bench: Bench, postgres16: PostgresServer) -> None:
    with postgres16.database("many"):
        for start in range(0, 5000, 500):
            postgres16.execute(
                f"""DO $$ BEGIN FOR at IN {start}..{start + 499} LOOP EXECUTE
                format('CREATE TABLE t%s (id int PRIMARY KEY, note text); CREATE SEQUENCE s%s', at, at);
                END LOOP; END $$""",
                "many",
            )
        postgres16.execute("ANALYZE", "many")
        with run_slow_proxy(postgres16, 0.01) as proxy:
            set_proxied_source(bench, postgres16, proxy, "many")
            start_time = time.monotonic()
            message, peak = run_worker_process(bench)
            duration = time.monotonic() - start_time
        print(
            f"5000 tables at 20 ms: {proxy.round_trips} round trips, {duration:.2f} s with the interpreter's start,"
            f" {peak / 2**20:.0f} MiB"
        )
    assert message["ok"]
    assert proxy.round_trips <= ROUND_TRIPS
    assert peak < MEMORY_LIMIT


# Reads /proc: the peak that getrusage reports of a child includes its parent's memory before exec.
WORKER_THAT_PRINTS_ITS_PEAK = """
import sys
from pgimport.worker.main import main
main(["preflight"])
print(open("/proc/self/status").read(), file=sys.stderr)
"""


def run_worker_process(bench: Bench) -> tuple[dict[str, object], int]:
    """Runs the worker in its own process. Returns its message and its peak memory in bytes."""
    environment = {
        **bench.environ,
        "PGIMPORT_ORDER": json.dumps(bench.order().to_json()),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    process = subprocess.run(
        [sys.executable, "-c", WORKER_THAT_PRINTS_ITS_PEAK], env=environment, check=True, capture_output=True, text=True
    )
    peak = re.search(r"^VmHWM:\s+(\d+) kB", process.stderr, re.MULTILINE)
    assert peak is not None
    return json.loads(bench.environment.termination_message.read_text()), int(peak[1]) * 1024


@pytest.mark.slow
def test_a_thousand_skipped_objects_fit_into_the_message_and_little_memory(
    bench: Bench, postgres16: PostgresServer
) -> None:
    with postgres16.database("crowd"), reader_role(postgres16, "crowd"):
        postgres16.execute("CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w", "crowd")
        postgres16.execute(
            """DO $$ BEGIN FOR at IN 1..1000 LOOP EXECUTE format('CREATE FOREIGN TABLE
            a_rather_long_name_of_a_foreign_table_%s (id int) SERVER s; CREATE TABLE t%s (id int)', at, at);
            END LOOP; END $$""",
            "crowd",
        )
        bench.source_url = postgres16.url("crowd", READER, SECRET)
        message, peak = run_worker_process(bench)
        result = bench.preflight()
    report = PreflightReport.model_validate(message["preflight"])
    assert len(report.skipped) + (report.more or 0) == 1002
    assert [check.name for check in report.checks] == ALL_CHECKS
    assert len(build_termination_message(result).encode()) <= 4000
    assert peak < MEMORY_LIMIT


def test_a_ca_without_a_certificate_is_named(bench: Bench) -> None:
    """Before, the message was OpenSSL's: `NO_CERTIFICATE_OR_CRL_FOUND`."""
    bench.source_url = bench.source_url.replace("sslmode=disable", "sslmode=verify-full")
    (bench.home / "ca").write_text("no certificate")
    failure = bench.preflight().failure
    assert failure is not None
    assert failure.reason is Reason.SOURCE_TLS_FAILED
    assert failure.message == "the secret of spec.source.caSecretRef does not hold a PEM certificate"
