"""Reads the inputs of a relay plan from the source and from this pod."""

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

PG_EXTENSION = 3079  # oid of the catalog, the same on every server


def read_relay_inputs(snapshot: Snapshot, source: Endpoint, target_host: str) -> RelayInputs:
    """Reads the inputs over the session that holds the snapshot. Raises ImportStopped."""
    try:
        return _read_inputs(snapshot, source, target_host)
    except psycopg.Error as error:
        raise ImportStopped(translate_source_error(error, "the copy of its rows was planned")) from error


def keep_tables(inputs: RelayInputs, oids: frozenset[int]) -> RelayInputs:
    """Returns the inputs with only the tables that have one of these oids. Pure."""
    return replace(inputs, tables=tuple(table for table in inputs.tables if table.oid in oids))


def _read_inputs(snapshot: Snapshot, source: Endpoint, target_host: str) -> RelayInputs:
    execute = snapshot.connection.execute
    with snapshot.connection.pipeline():  # one round trip for four queries
        table_cursor = execute(read_query("relay/table_columns"), {"tables": [table.oid for table in snapshot.copied]})
        server_cursor = execute(read_query("relay/source_server"))
        large_object_cursor = execute(read_query("relay/large_object_ranges"), {"step_size": LARGE_OBJECTS_PER_STEP})
        extension_cursor = execute(read_query("relay/extension_tables"))
    table_rows = table_cursor.fetchall()
    ((encoding, free_connections),) = server_cursor.fetchall()
    tables_by_oid = {table.oid: table for table in snapshot.tables}
    root_oids = {table.counted_as for table in snapshot.copied}
    return RelayInputs(
        tables=snapshot.copied,
        columns={oid: tuple(columns) for oid, columns, _, _, _ in table_rows},
        text_columns={oid: dict(text_columns) for oid, _, _, _, text_columns in table_rows if text_columns},
        roots={oid: tables_by_oid[oid] for oid in root_oids if oid in tables_by_oid},
        index_counts={oid: index_count for oid, _, _, index_count, _ in table_rows},
        standalone=frozenset(oid for oid, _, standalone, _, _ in table_rows if standalone),
        large_object_starts=tuple(oid for (oid,) in large_object_cursor.fetchall()),
        extensions_with_rows=tuple(_read_extensions_with_rows(snapshot, extension_cursor.fetchall())),
        encoding=encoding,
        channel_binding=source.channel_binding == "require",
        free_connections=free_connections,
        memory_limit=read_memory_limit(),
        target_cores=_read_target_cores(target_host),
    )


def _read_extensions_with_rows(snapshot: Snapshot, extension_tables: list[tuple[Any, ...]]) -> list[str]:
    """Returns the copied extensions whose configuration tables hold rows that CREATE EXTENSION does not insert.

    `extension_tables`: rows of extension_tables.sql. A table that cannot be read counts as one with such rows.
    """
    extensions: list[str] = []
    for oid, extension, schema, table, condition, readable in extension_tables:
        if (PG_EXTENSION, oid) in snapshot.scope.excluded or extension in extensions:
            continue
        statement = sql.SQL("SELECT EXISTS (SELECT FROM ONLY {} {})").format(
            sql.Identifier(schema, table), sql.SQL(condition or "")
        )
        if not readable or snapshot.connection.execute(statement).fetchone() == (True,):
            extensions.append(extension)
    return extensions


def _read_target_cores(host: str) -> int | None:
    """Returns the target's number of cores if it runs on this machine, else None: no SQL function returns it."""
    with suppress(OSError, ValueError):
        if ipaddress.ip_address(socket.gethostbyname(host)).is_loopback:
            return os.cpu_count()
    return None
