"""Checks with two connections whether an address leads to a pooler or to several servers.

A server sends the PID of its backend to each client. A pooler sends an invented PID. A pooler in transaction mode
serves two clients with one backend, or one client with two backends; comparing PIDs shows this. An import needs
sessions of its own, because its settings must not reach other clients. All must be on one server, because they share
a snapshot.
"""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from pgimport.model.preflight_checks import CheckName
from pgimport.model.provider_rules import SESSION, TRANSACTION, ProviderRules
from pgimport.model.providers import find_pooler
from pgimport.model.reasons import Failure, Reason
from pgimport.worker.checks.catalog_reader import BEGIN, run_statements
from pgimport.worker.checks.check_results import CheckResult, NotChecked, failed_check, passed_check, warned_check
from pgimport.worker.postgres.endpoints import Connection, Endpoint
from pgimport.worker.postgres.errors import ImportStopped, first_line, translate_source_error
from pgimport.worker.postgres.queries import read_query

_BACKEND_PID = "SELECT pg_catalog.pg_backend_pid()"
_PID_AND_SNAPSHOT = "SELECT pg_catalog.pg_backend_pid(), pg_catalog.pg_export_snapshot()"
PROBES = 3  # queries on each connection
_SERVER_URL = "the URL of the database server itself"
_SNAPSHOT_ID = re.compile(r"[0-9A-Fa-f-]{1,64}")
_NO_SUCH_SNAPSHOT = ("22023", "42704")  # invalid_parameter_value, undefined_object


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionProbe:
    """PIDs of the backends that served two connections at the same time."""

    announced_pid: int  # PID that the first connection got when it connected
    first_pids: frozenset[int]  # pg_backend_pid() on the first connection, outside and inside a transaction
    second_pids: frozenset[int] | NotChecked  # the same on the second connection
    snapshot_shared: bool | NotChecked  # whether the first connection could use the second one's snapshot

    @property
    def is_transaction_pooled(self) -> bool:
        second_pids = frozenset[int]() if isinstance(self.second_pids, NotChecked) else self.second_pids
        return len(self.first_pids) > 1 or len(second_pids) > 1 or bool(self.first_pids & second_pids)

    @property
    def is_proxied(self) -> bool:
        """True if the PID that the client got is not the backend's."""
        return self.announced_pid not in self.first_pids


@contextmanager
def probing_sessions(
    connection: Connection, open_second: Callable[[], Connection | NotChecked]
) -> Iterator[Callable[[], SessionProbe]]:
    """Begins the read-only transaction of the block's queries, and yields a function that returns the probe.

    Opens and probes the second connection while the block runs. If the first connection leads to a pooler or proxy,
    does so before the block. Raises ImportStopped.
    """
    announced_pid = connection.info.backend_pid
    try:
        pid = _read_backend_pid(connection)
    except psycopg.Error as error:
        raise _translate_begin_error(error) from error
    if pid != announced_pid:
        probe = _probe_in_turn(connection, open_second(), pid)
        yield lambda: probe
        return
    try:
        pid_in_transaction, snapshot = _begin_and_export(connection)
    except psycopg.Error as error:
        raise _translate_begin_error(error) from error
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="second-session") as executor:
        second = executor.submit(lambda: _probe_second(open_second(), snapshot))

        def wait_for_probe() -> SessionProbe:
            second_pids, snapshot_shared = second.result()
            return SessionProbe(
                announced_pid=announced_pid,
                first_pids=frozenset({pid, pid_in_transaction}),
                second_pids=second_pids,
                snapshot_shared=snapshot_shared,
            )

        yield wait_for_probe


def _translate_begin_error(error: psycopg.Error) -> ImportStopped:
    return ImportStopped(translate_source_error(error, "a read-only transaction was begun"))


def _begin_and_export(connection: Connection) -> tuple[int, str | NotChecked]:
    """Begins a transaction with the settings of all queries. Returns the backend's PID and the snapshot's id."""
    try:
        ((pid, snapshot),) = run_statements(connection, BEGIN, _read_settings(), _PID_AND_SNAPSHOT)
    except psycopg.Error as error:
        if connection.closed or error.sqlstate is None:
            raise
        run_statements(connection, "ROLLBACK")
        ((pid,),) = run_statements(connection, BEGIN, _read_settings(), _BACKEND_PID)
        return int(pid), NotChecked(first_line(error))
    return int(pid), _check_snapshot_id(snapshot)


def _check_snapshot_id(snapshot: str) -> str | NotChecked:
    invalid = NotChecked("the source returned an invalid snapshot identifier")
    return snapshot if _SNAPSHOT_ID.fullmatch(snapshot) else invalid


def _probe_second(
    second: Connection | NotChecked, snapshot: str | NotChecked
) -> tuple[frozenset[int] | NotChecked, bool | NotChecked]:
    """Returns the second connection's PIDs, and whether it could use the first one's snapshot."""
    if isinstance(second, NotChecked):
        return second, second
    try:
        shared = snapshot if isinstance(snapshot, NotChecked) else _import_snapshot(second, snapshot)
        return frozenset({_read_backend_pid(second)}), shared
    except psycopg.Error as error:
        not_checked = NotChecked(first_line(error))
        return not_checked, not_checked


def _probe_in_turn(connection: Connection, second: Connection | NotChecked, pid: int) -> SessionProbe:
    """Probes both connections through a pooler or proxy, before any of them holds a transaction.

    Leaves the first in the read-only transaction of later queries. Raises ImportStopped.
    """
    first_pids = {pid}
    try:
        second_pids, snapshot = _export_snapshot(second, connection, first_pids)
        snapshot_shared = snapshot if isinstance(snapshot, NotChecked) else _import_snapshot(connection, snapshot)
        begin = [] if snapshot_shared is True else [BEGIN]
        ((pid,),) = run_statements(connection, *begin, _read_settings(), _BACKEND_PID)
    except psycopg.Error as error:
        # A pooler in statement mode refuses transactions, and one with a single backend cannot serve both connections.
        message = f"a pooler in front of the source refused a transaction: {first_line(error)}. Use {_SERVER_URL}"
        raise ImportStopped(Failure(Reason.SOURCE_POOLED, message)) from error
    return SessionProbe(
        announced_pid=connection.info.backend_pid,
        first_pids=frozenset({*first_pids, pid}),
        second_pids=second_pids,
        snapshot_shared=snapshot_shared,
    )


def _read_settings() -> bytes:
    return read_query("checks/settings").rstrip().rstrip(b";")


def _read_backend_pid(connection: Connection) -> int:
    ((pid,),) = run_statements(connection, _BACKEND_PID)
    return int(pid)


def _export_snapshot(
    second: Connection | NotChecked, connection: Connection, first_pids: set[int]
) -> tuple[frozenset[int] | NotChecked, str | NotChecked]:
    """Returns the second connection's PIDs and its snapshot. Adds to `first_pids`.

    Queries both connections in turn. One query on each is not enough: by chance, a pooler with other clients may serve
    the two queries with two backends.
    """
    if isinstance(second, NotChecked):
        return second, second
    second_pids = set[int]()
    try:
        for _ in range(PROBES):
            second_pids.add(_read_backend_pid(second))
            first_pids.add(_read_backend_pid(connection))
        run_statements(second, BEGIN, _read_settings())
        ((pid, snapshot),) = run_statements(second, _PID_AND_SNAPSHOT)
    except psycopg.Error as error:
        not_checked = NotChecked(first_line(error))
        return not_checked, not_checked
    return frozenset({*second_pids, int(pid)}), _check_snapshot_id(snapshot)


def _import_snapshot(connection: Connection, snapshot: str) -> bool | NotChecked:
    """Says whether the connection can use the snapshot. If it can, its transaction stays open."""
    try:
        run_statements(connection, BEGIN, f"SET TRANSACTION SNAPSHOT '{snapshot}'")
    except psycopg.Error as error:
        run_statements(connection, "ROLLBACK")
        return False if error.sqlstate in _NO_SUCH_SNAPSHOT else NotChecked(first_line(error))
    return True


def judge_pooling(endpoint: Endpoint, provider: ProviderRules, probe: SessionProbe) -> CheckResult:
    """Judges the address first, because the rule of a known pooler contains the URL to use. Then judges the probe."""
    pooler = find_pooler(endpoint.host, endpoint.port)
    if pooler is not None and pooler.mode == TRANSACTION:
        return _fail(f"{endpoint.host}:{endpoint.port} is the transaction pooler of {pooler.title}", pooler.instead)
    instead = pooler.instead if pooler else _SERVER_URL
    if probe.is_transaction_pooled:
        return _fail("the address leads to a pooler in transaction mode: sessions share one backend", instead)
    if probe.snapshot_shared is False:
        return _fail(
            "the address leads to several servers: the second connection's snapshot is unknown to the first",
            "the URL of one server (the writer, or one replica), not of a load balancer",
        )
    if warning := _find_warning(provider, probe, pooler.title if pooler and pooler.mode == SESSION else None, instead):
        return warned_check(CheckName.SOURCE_NOT_POOLED, warning)
    return passed_check(
        CheckName.SOURCE_NOT_POOLED,
        f"direct host of {provider.title}" if provider.proxied else "connections lead to the server itself",
    )


def _find_warning(provider: ProviderRules, probe: SessionProbe, session_pooler: str | None, instead: str) -> str | None:
    """Returns a warning or None.

    `session_pooler`: title of the provider whose pooler in session mode has this address.
    """
    if isinstance(probe.second_pids, NotChecked):
        return f"an import needs several connections, but the second one failed: {probe.second_pids.reason}"
    if isinstance(probe.snapshot_shared, NotChecked):
        return f"snapshot sharing between connections could not be checked: {probe.snapshot_shared.reason}"
    if session_pooler is not None:
        return f"this is the pooler of {session_pooler} in session mode. It works, but better use {instead}"
    if probe.is_proxied and not provider.proxied:
        return f"the address leads to a pooler or proxy. It works in session mode, but better use {instead}"
    return None


def _fail(message: str, instead: str) -> CheckResult:
    return failed_check(
        CheckName.SOURCE_NOT_POOLED,
        Reason.SOURCE_POOLED,
        f"{message}. An import needs sessions of its own",
        f"Use {instead}",
    )
