"""What a plan is made of: a held snapshot and its endpoints come in, `Facts` go out."""

import ipaddress
import os
import socket
from contextlib import suppress
from dataclasses import replace
from typing import Any

import psycopg
from psycopg import sql

from pgimport.worker.engines.relay.relay_plan import LARGE_OBJECTS_PER_STEP, RelayInputs
from pgimport.worker.memory import read_memory_limit
from pgimport.worker.postgres.endpoints import Endpoint
from pgimport.worker.postgres.errors import ImportStopped, translate_source_error
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.scope.snapshot import Snapshot

PG_EXTENSION = 3079  # oid of the catalog, the same everywhere


def read_relay_inputs(snapshot: Snapshot, source: Endpoint, target_host: str) -> RelayInputs:
    """Raises Stopped."""
    try:
        return _read(snapshot, source, target_host)
    except psycopg.Error as error:
        raise ImportStopped(translate_source_error(error, "the way of its rows was planned")) from error


def keep_tables(facts: RelayInputs, oids: frozenset[int]) -> RelayInputs:
    """The same without the tables that stay behind."""
    return replace(facts, tables=tuple(table for table in facts.tables if table.oid in oids))


def _read(snapshot: Snapshot, source: Endpoint, target_host: str) -> RelayInputs:
    ask = snapshot.connection.execute
    with snapshot.connection.pipeline():  # one round trip for all four
        tables = ask(read_query("relay/table_columns"), [[table.oid for table in snapshot.copied]])
        server = ask(read_query("relay/source_server"))
        objects = ask(read_query("relay/large_object_ranges"), {"each": LARGE_OBJECTS_PER_STEP})
        extensions = ask(read_query("relay/extension_tables"))
    listed = tables.fetchall()
    ((encoding, free),) = server.fetchall()
    by_oid = {table.oid: table for table in snapshot.tables}
    roots = {table.counted_as for table in snapshot.copied}
    return RelayInputs(
        tables=snapshot.copied,
        columns={oid: tuple(columns) for oid, columns, _, _ in listed},
        roots={oid: by_oid[oid] for oid in roots if oid in by_oid},
        index_counts={oid: count for oid, _, _, count in listed},
        standalone=frozenset(oid for oid, _, alone, _ in listed if alone),
        large_object_starts=tuple(oid for (oid,) in objects.fetchall()),
        extensions_with_rows=tuple(_find_extension_rows(snapshot, extensions.fetchall())),
        encoding=encoding,
        channel_binding=source.channel_binding == "require",
        free_connections=free,
        memory_limit=read_memory_limit(),
        target_cores=_read_cores(target_host),
    )


def _find_extension_rows(snapshot: Snapshot, listed: list[tuple[Any, ...]]) -> list[str]:
    """Extensions that come along and have rows which their own script did not make; what cannot be read may be one."""
    found: list[str] = []
    for oid, extension, schema, table, condition, readable in listed:
        if (PG_EXTENSION, oid) in snapshot.scope.excluded or extension in found:
            continue
        statement = sql.SQL("SELECT EXISTS (SELECT FROM ONLY {} {})").format(
            sql.Identifier(schema, table), sql.SQL(condition or "")
        )
        if not readable or snapshot.connection.execute(statement).fetchone() == (True,):
            found.append(extension)
    return found


def _read_cores(host: str) -> int | None:
    """Of the target, which only a server on this very machine lets us know."""
    with suppress(OSError, ValueError):
        if ipaddress.ip_address(socket.gethostbyname(host)).is_loopback:
            return os.cpu_count()
    return None
