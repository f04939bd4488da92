"""A server that is gone is noticed while rows are sent to it. A server that does not read for a while is not gone."""

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from tests.support.postgres import PostgresServer
from tests.support.tcp_proxies import TcpProxy, run_slow_proxy
from tests.worker.conftest import Bench

from pgimport.model.reasons import Reason, RetryClassification
from pgimport.model.result import WorkerResult
from pgimport.worker.postgres import endpoints

pytestmark = [pytest.mark.isolation, pytest.mark.thorough]

SOURCE = "dead_peers"
TIMEOUT_SECONDS = 3
LOCKED_SECONDS = 9
# In the copy, each row takes an advisory lock: another session can stop the COPY with it.
TABLE = """
CREATE FUNCTION locked(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
    IF i % 1000 = 0 AND pg_catalog.current_database() <> 'dead_peers' THEN
        PERFORM pg_catalog.pg_advisory_xact_lock_shared(42);
    END IF;
    RETURN i;
END $$;
CREATE TABLE orders (i int, t text, g int GENERATED ALWAYS AS (locked(i)) STORED);
INSERT INTO orders SELECT i, repeat('x', 500) FROM generate_series(1, 60000) AS i;
"""
COPYING = "SELECT FROM pg_stat_progress_copy WHERE datname = %s AND command = 'COPY FROM' AND bytes_processed > 0"


@pytest.fixture(autouse=True)
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(endpoints.SEND_TIMEOUT, "tcp_user_timeout", TIMEOUT_SECONDS * 1000)


@pytest.fixture(params=["UTF8", "LATIN1"], ids=["asyncpg", "libpq"])
def source(request: pytest.FixtureRequest, postgres16: PostgresServer) -> Iterator[PostgresServer]:
    postgres16.execute(f"CREATE DATABASE {SOURCE} TEMPLATE template0 ENCODING {request.param} LOCALE 'C'")
    postgres16.execute(TABLE, SOURCE)
    yield postgres16
    postgres16.execute(f"DROP DATABASE {SOURCE} WITH (FORCE)")


@pytest.fixture
def encoding(source: PostgresServer) -> str:
    ((name,),) = source.query("SHOW server_encoding", SOURCE)
    return str(name)


def run_in_thread(bench: Bench, engine: str) -> tuple[threading.Thread, list[WorkerResult]]:
    results: list[WorkerResult] = []
    thread = threading.Thread(target=lambda: results.append(bench.run(engine=engine, jobs=1)))
    thread.start()
    return thread, results


def wait_for_copy(bench: Bench, target: PostgresServer) -> None:
    deadline = time.monotonic() + 60
    with target.connect() as connection:
        while connection.execute(COPYING, [bench.names.database]).fetchone() is None:
            assert time.monotonic() < deadline, "no COPY runs"
            time.sleep(0.02)


@pytest.mark.parametrize("engine", ["relay", "dump"])
def test_a_target_that_a_lock_stops_is_not_dead(
    bench: Bench, source: PostgresServer, postgres18: PostgresServer, encoding: str, engine: str
) -> None:
    """The lock lasts three times as long as TCP_USER_TIMEOUT, towards which probes of a closed window count."""
    bench.source_url = source.url(SOURCE)
    with bench.shadow(encoding=encoding) as shadow, postgres18.connect(shadow) as holder:
        holder.execute("SELECT pg_advisory_lock(42)")
        thread, results = run_in_thread(bench, engine)
        wait_for_copy(bench, postgres18)
        time.sleep(LOCKED_SECONDS)
        is_running = thread.is_alive()
        holder.execute("SELECT pg_advisory_unlock(42)")
        thread.join(60)
        (result,) = results
    assert is_running
    assert result.ok, result.failure


@contextmanager
def black_hole(proxy: TcpProxy) -> Iterator[None]:
    """Drops all packets to the proxy, without a word to the sender."""
    rule = ["INPUT", "--destination", "127.0.0.1", "--protocol", "tcp", "--dport", str(proxy.port), "--jump", "DROP"]
    subprocess.run(["iptables", "--wait", "--insert", *rule], check=True)
    try:
        yield
    finally:
        subprocess.run(["iptables", "--wait", "--delete", *rule], check=True)


@pytest.mark.skipif(shutil.which("iptables") is None, reason="only iptables can drop packets")
@pytest.mark.parametrize("engine", ["relay", "dump"])
def test_a_target_that_is_gone_is_noticed_while_rows_are_sent(
    bench: Bench, source: PostgresServer, postgres18: PostgresServer, encoding: str, engine: str
) -> None:
    """Before, a stream noticed it after 15 minutes, when Linux stopped to send again."""
    bench.source_url = source.url(SOURCE)
    with run_slow_proxy(postgres18, 0.02) as proxy, bench.shadow(encoding=encoding):
        bench.target = replace(postgres18, port=proxy.port)
        thread, results = run_in_thread(bench, engine)
        wait_for_copy(bench, postgres18)
        with black_hole(proxy):
            began = time.monotonic()
            thread.join(90)
            took = time.monotonic() - began
        bench.target = postgres18
        (result,) = results
    assert result.failure is not None
    failure = result.failure.to_failure()
    assert failure.reason is Reason.TARGET_LOST, failure
    assert failure.classification is RetryClassification.TRANSIENT
    assert took < TIMEOUT_SECONDS + 25
