import psycopg
import pytest
from tests.chaos.database_proxies import is_write, name_statement, run_source_proxy, run_target_proxy
from tests.chaos.import_phases import Phase, PhaseTrigger
from tests.chaos.write_counter import Side, WriteCounter, WritePoint
from tests.support.postgres import ADMIN, LOOPBACK, PostgresServer


@pytest.mark.parametrize(
    ("statement", "name", "writes"),
    [
        ('CREATE DATABASE "shop" TEMPLATE template0', "CREATE DATABASE", True),
        ("-- Renames the shadow.\nALTER DATABASE x RENAME TO y", "ALTER DATABASE", True),
        ("COMMIT;", "COMMIT", True),
        ("select 1", "SELECT 1", False),
        ("BEGIN", "BEGIN", False),
        ("", "", False),
    ],
)
def test_writes_are_recognised_and_named(statement: str, name: str, writes: bool) -> None:
    assert (name_statement(statement), is_write(statement)) == (name, writes)


def _connect(server: PostgresServer, port: int, user: str) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(
        host=LOOPBACK,
        port=port,
        user=user,
        password=server.password_of(user),
        dbname="postgres",
        sslmode="disable",
        autocommit=True,
    )


def test_the_target_proxy_counts_the_writes_of_the_admin(postgres16: PostgresServer) -> None:
    counter = WriteCounter()
    server = (postgres16.host, postgres16.port)
    with run_target_proxy(counter, PhaseTrigger(), LOOPBACK, server, ADMIN) as proxy:
        counter.begin()
        with _connect(postgres16, proxy.port, ADMIN) as connection:
            connection.execute("CREATE ROLE chaos_counted")
            assert connection.execute("SELECT 1").fetchone() == (1,)
            connection.execute("DROP ROLE chaos_counted")
        with _connect(postgres16, proxy.port, "postgres") as connection:
            connection.execute("CREATE TEMPORARY TABLE not_counted (id int)")
        assert counter.end() == ["CREATE ROLE", "DROP ROLE"]


@pytest.mark.parametrize(("side", "is_created"), [(Side.BEFORE, False), (Side.AFTER, True)])
def test_the_connection_is_cut_at_a_write(postgres16: PostgresServer, side: Side, is_created: bool) -> None:
    counter = WriteCounter()
    server = (postgres16.host, postgres16.port)
    with run_target_proxy(counter, PhaseTrigger(), LOOPBACK, server, ADMIN) as proxy:
        counter.begin(WritePoint(1, side))
        with pytest.raises(psycopg.OperationalError), _connect(postgres16, proxy.port, ADMIN) as connection:
            connection.execute("CREATE ROLE chaos_role")
        assert counter.struck_write == "CREATE ROLE"
    assert bool(postgres16.query("SELECT FROM pg_roles WHERE rolname = 'chaos_role'")) is is_created
    if is_created:
        postgres16.execute("DROP ROLE chaos_role")


def test_the_source_proxy_reports_a_connection(postgres16: PostgresServer) -> None:
    trigger = PhaseTrigger()
    trigger.arm(Phase.PREFLIGHT, lambda: None)
    with run_source_proxy(trigger, LOOPBACK, (postgres16.host, postgres16.port)) as proxy:
        with _connect(postgres16, proxy.port, "postgres") as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert trigger.reached is Phase.PREFLIGHT


def test_open_connections_are_cut_and_new_ones_are_forwarded(postgres16: PostgresServer) -> None:
    with run_source_proxy(PhaseTrigger(), LOOPBACK, (postgres16.host, postgres16.port)) as proxy:
        connection = _connect(postgres16, proxy.port, "postgres")
        proxy.cut()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        with _connect(postgres16, proxy.port, "postgres") as second:
            assert second.execute("SELECT 2").fetchone() == (2,)
        connection.close()
