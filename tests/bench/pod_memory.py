"""Measures the memory of a pod that imports a large table: it must not exceed that of a small one."""

import time
from dataclasses import dataclass

from tests.bench.bench_tenant import bench_tenant
from tests.bench.pod_usage import watch_pod
from tests.bench.report import Measure
from tests.e2e.tenant import Tenant

PROJECT, DATABASE = "bench-memory", "empty"
LIMIT_MIB = 256
ROW_BYTES = 1000  # on disk: eight rows fill a page
TIMEOUT_SECONDS = 1800
MIB, GB = 1024**2, 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSize:
    """Size of the table that is imported."""

    rows: int

    @property
    def gigabytes(self) -> float:
        return self.rows * ROW_BYTES / GB


FULL, QUICK = TableSize(rows=4_200_000), TableSize(rows=200_000)
METHOD = """\
The peak memory of the pod's control group during the import of one table of {gigabytes:g} GB without an index, with the
default settings. The containers are limited to {limit} MiB, and the kernel enforces the limit. If the kernel kills the
pod, the import fails, and so does this benchmark."""


def measure_memory(size: TableSize) -> Measure:
    """Import one table. Raises RuntimeError if it takes more than one attempt."""
    with bench_tenant(PROJECT, DATABASE) as tenant:
        _create_table(tenant, size)
        tenant.make_previews("target")
        limit = {"memory": f"{LIMIT_MIB}Mi"}
        started_at = time.monotonic()
        tenant.start("large", DATABASE, "target", resources={"requests": limit, "limits": limit}, timeout="1h")
        with watch_pod(tenant, "large") as usage:
            body = tenant.wait_for_end("large", "completed", TIMEOUT_SECONDS)
        seconds = time.monotonic() - started_at
    status = body["status"]
    if status["attempts"] != 1 or not usage.peak_bytes:
        history = status["attemptHistory"]
        raise RuntimeError(f"{status['attempts']} attempts with a peak of {usage.peak_bytes} bytes: {history}")
    return Measure(
        name="pod_memory",
        title=f"Memory of a pod that imports {size.gigabytes:g} GB",
        value=round(usage.peak_bytes / MIB),
        goal=LIMIT_MIB,
        unit="MiB",
        method=METHOD.format(gigabytes=size.gigabytes, limit=LIMIT_MIB),
        rows=[("", ""), ("rows", f"{size.rows:,}"), ("wall, s", f"{seconds:.1f}")],
    )


def _create_table(tenant: Tenant, size: TableSize) -> None:
    columns = "SELECT i AS id, repeat(md5(i::text), 30) AS note"
    server = tenant.source.server
    server.execute(f"CREATE TABLE large AS {columns} FROM generate_series(1, {size.rows}) i", DATABASE)
    server.execute("ALTER TABLE large OWNER TO shop", DATABASE)
