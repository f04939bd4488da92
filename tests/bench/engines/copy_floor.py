"""Copies rows with as little work as possible, as a lower bound for every engine.

`python -m tests.bench.engines.copy_floor STREAMS` copies every table of one database into the same tables, without
indexes, of another, and prints the number of bytes of COPY text. It copies the largest table first, as text, with
TRUNCATE and COPY FREEZE in one transaction. It shares no snapshot and verifies nothing.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator

import asyncpg
import uvloop

ENV_SOURCE, ENV_TARGET = "FLOOR_SOURCE", "FLOOR_TARGET"
CHUNKS_IN_FLIGHT = 16
_TABLES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname !~ '^(pg_|information_schema)' ORDER BY pg_relation_size(c.oid) DESC
"""


async def _copy_table(source: asyncpg.Connection, target: asyncpg.Connection, schema: str, table: str) -> int:
    chunks: asyncio.Queue[bytes | None] = asyncio.Queue(CHUNKS_IN_FLIGHT)
    size = 0

    async def read() -> None:
        await source.copy_from_table(table, schema_name=schema, output=chunks.put)
        await chunks.put(None)

    async def chunks_from_source() -> AsyncIterator[bytes]:
        nonlocal size
        while (chunk := await chunks.get()) is not None:
            size += len(chunk)
            yield chunk

    quoted = '"{}"."{}"'.format(*(name.replace('"', '""') for name in (schema, table)))
    async with asyncio.TaskGroup() as group, target.transaction():
        group.create_task(read())
        await target.execute(f"TRUNCATE {quoted}")
        await target.copy_to_table(table, schema_name=schema, source=chunks_from_source(), freeze=True)
    return size


async def _copy_tables(tables: Iterator[tuple[str, str]]) -> int:
    """Copy tables until none is left. Several streams share the iterator."""
    source = await asyncpg.connect(os.environ[ENV_SOURCE])
    target = await asyncpg.connect(os.environ[ENV_TARGET])
    copied_bytes = 0
    for schema, table in tables:
        copied_bytes += await _copy_table(source, target, schema, table)
    await source.close()
    await target.close()
    return copied_bytes


async def _main(streams: int) -> None:
    source = await asyncpg.connect(os.environ[ENV_SOURCE])
    tables = iter([(row[0], row[1]) for row in await source.fetch(_TABLES)])
    await source.close()
    print(sum(await asyncio.gather(*(_copy_tables(tables) for _ in range(streams)))))


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1])))
