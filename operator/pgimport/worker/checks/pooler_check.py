"""Is there a pooler, or more than one server, behind the address? Two connections come in, a verdict goes out.

A server tells each client which process serves it. A pooler makes that number up; one that pools transactions shows
it by serving two clients with one process, or one client with two. An import needs sessions of its own, all at one
server: what it sets must not reach others, and its snapshot must be known to all of them.
"""

import re
from dataclasses import dataclass

import psycopg

from pgimport.model.preflight_checks import CheckName
from pgimport.model.providers import SESSION, TRANSACTION, ProviderRules, find_pooler
from pgimport.model.reasons import Failure, Reason
from pgimport.worker.checks.catalog_reader import BEGIN, run_statements
from pgimport.worker.checks.check_results import CheckResult, NotChecked, failed_check, passed_check, warned_check
from pgimport.worker.postgres.endpoints import Connection, Endpoint
from pgimport.worker.postgres.errors import ImportStopped, first_line, translate_source_error
from pgimport.worker.postgres.queries import read_query

_OWN_PID = "SELECT pg_catalog.pg_backend_pid()"
_OWN_SNAPSHOT = "SELECT pg_catalog.pg_backend_pid(), pg_catalog.pg_export_snapshot()"
PROBES = 3  # of each connection
_SERVER_ITSELF = "the URL of the database server itself"
_SNAPSHOT = re.compile(r"[0-9A-Fa-f-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """The processes that served us."""

    told: int  # of the first connection, as it was told when it connected
    first: frozenset[int]  # as it found itself, outside of a transaction and in one
    second: frozenset[int] | NotChecked  # as a second connection found itself, at the same time
    shared: bool | NotChecked  # the first could take over the second's snapshot

    @property
    def transactions_pooled(self) -> bool:
        others = frozenset[int]() if isinstance(self.second, NotChecked) else self.second
        return len(self.first) > 1 or len(others) > 1 or bool(self.first & others)

    @property
    def made_up(self) -> bool:
        return self.told not in self.first


def open_sessions(connection: Connection, second: Connection | NotChecked) -> Sessions:
    """Leaves the first in the read-only transaction in which everything is asked. Raises Stopped."""
    told = connection.info.backend_pid
    first = set[int]()
    try:
        first.add(_ask_pid(connection))
        others, snapshot = (second, second) if isinstance(second, NotChecked) else _export(second, connection, first)
        shared: bool | NotChecked = snapshot if isinstance(snapshot, NotChecked) else _import(connection, snapshot)
        ((inside,),) = run_statements(connection, *([] if shared is True else [BEGIN]), _settings(), _OWN_PID)
    except psycopg.Error as error:
        if first and told not in first:  # pools single statements, or has but one process for all
            message = f"a pooler before the source does not let a transaction begin: {first_line(error)}"
            raise ImportStopped(Failure(Reason.SOURCE_POOLED, f"{message}; use {_SERVER_ITSELF}")) from error
        raise ImportStopped(translate_source_error(error, "a read-only transaction was begun")) from error
    return Sessions(told=told, first=frozenset({*first, inside}), second=others, shared=shared)


def _settings() -> bytes:
    return read_query("checks/settings").rstrip().rstrip(b";")


def _ask_pid(connection: Connection) -> int:
    ((pid,),) = run_statements(connection, _OWN_PID)
    return int(pid)


def _export(
    second: Connection, connection: Connection, first: set[int]
) -> tuple[frozenset[int] | NotChecked, str | NotChecked]:
    """The second's processes and snapshot; where a pooler is likely, both are asked in turn, for others use it too."""
    others = set[int]()
    try:
        if connection.info.backend_pid not in first:
            for _ in range(PROBES):
                others.add(_ask_pid(second))
                first.add(_ask_pid(connection))
        run_statements(second, BEGIN, _settings())
        ((pid, snapshot),) = run_statements(second, _OWN_SNAPSHOT)
    except psycopg.Error as error:
        return NotChecked(first_line(error)), NotChecked(first_line(error))
    strange = NotChecked("the source names its snapshot strangely")
    return frozenset({*others, int(pid)}), snapshot if _SNAPSHOT.fullmatch(snapshot) else strange


def _import(connection: Connection, snapshot: str) -> bool | NotChecked:
    """True leaves the transaction open."""
    try:
        run_statements(connection, BEGIN, f"SET TRANSACTION SNAPSHOT '{snapshot}'")
    except psycopg.Error as error:
        run_statements(connection, "ROLLBACK")
        strange = error.sqlstate in ("22023", "42704")  # no such snapshot here
        return False if strange else NotChecked(first_line(error))
    return True


def judge_pooling(endpoint: Endpoint, row: ProviderRules, sessions: Sessions) -> CheckResult:
    """By the address first, for that names the URL to use instead; then by what was seen."""
    known = find_pooler(endpoint.host, endpoint.port)
    if known is not None and known.mode == TRANSACTION:
        return _pooled(f"{endpoint.host}:{endpoint.port} is {known.title}'s transaction pooler", known.instead)
    instead = known.instead if known else _SERVER_ITSELF
    if sessions.transactions_pooled:
        return _pooled("a pooler in transaction mode stands before the source: sessions share one process", instead)
    if sessions.shared is False:
        return _pooled(
            "the address leads to several servers: a snapshot of one connection is not known to the next",
            "the URL of one server (the writer, or one replica), not of a load balancer",
        )
    if isinstance(sessions.second, NotChecked):
        return warned_check(
            CheckName.SOURCE_NOT_POOLED,
            f"a second connection failed, and an import needs several: {sessions.second.why}",
        )
    if isinstance(sessions.shared, NotChecked):
        return warned_check(
            CheckName.SOURCE_NOT_POOLED,
            f"whether connections can share a snapshot could not be checked: {sessions.shared.why}",
        )
    if known is not None and known.mode == SESSION:
        return warned_check(
            CheckName.SOURCE_NOT_POOLED,
            f"this is {known.title}'s pooler in session mode, which works; better: {instead}",
        )
    if sessions.made_up and not row.proxied:
        return warned_check(
            CheckName.SOURCE_NOT_POOLED,
            f"a pooler or proxy stands before the source; in session mode it works; better: {instead}",
        )
    return passed_check(
        CheckName.SOURCE_NOT_POOLED,
        "connections lead to the server itself" if not row.proxied else f"{row.title}'s direct host",
    )


def _pooled(what: str, instead: str) -> CheckResult:
    return failed_check(
        CheckName.SOURCE_NOT_POOLED,
        Reason.SOURCE_POOLED,
        f"{what}, and an import needs sessions of its own",
        f"use {instead}",
    )
