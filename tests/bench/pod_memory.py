"""What a large table needs of its pod: as much memory as a small one."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.bench_tenant import surroundings
from tests.bench.report import Measure
from tests.cluster.bare.cgroups import hierarchies
from tests.e2e.tenant import Tenant
from tests.support import kubectl

from pgimport.model.names import LABEL_IMPORT_UID

PROJECT, DATABASE = "bench-memory", "empty"
LIMIT_MIB = 256
ROW_BYTES = 1000  # on disk: eight fill a page
LOOK_SECONDS = 0.1
END_SECONDS = 1800
MIB, GB = 1024**2, 10**9

_PEAKS = ("memory.peak", "memory.max_usage_in_bytes")  # of the newer kind of control group, and of the older


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Of the table."""

    rows: int

    @property
    def gigabytes(self) -> float:
        return self.rows * ROW_BYTES / GB


FULL, QUICK = Size(rows=4_200_000), Size(rows=200_000)
METHOD = """\
One table of {gigabytes:g} GB without an index, imported with the default settings by a pod whose containers are
limited to {limit} MiB of memory, which is what the kernel enforces. The most that the pod's control group held at any
time; where the pod is killed for it, the import fails, and so does this benchmark."""


def measure_memory(size: Size) -> Measure:
    with surroundings(PROJECT, DATABASE) as tenant:
        _fill(tenant, size)
        tenant.make_previews("target")
        limit = {"memory": f"{LIMIT_MIB}Mi"}
        begun = time.monotonic()
        tenant.start("large", DATABASE, "target", resources={"requests": limit, "limits": limit}, timeout="1h")
        with _watch(tenant, "large") as watched:
            body = tenant.wait_for_end("large", "completed", END_SECONDS)
        seconds = time.monotonic() - begun
    status = body["status"]
    if status["attempts"] != 1 or not watched.peak:
        raise RuntimeError(f"{status['attempts']} attempts, peak {watched.peak}: {status['attemptHistory']}")
    return Measure(
        name="pod_memory",
        title=f"Memory of a pod that brings {size.gigabytes:g} GB",
        value=round(watched.peak / MIB),
        goal=LIMIT_MIB,
        unit="MiB",
        method=METHOD.format(gigabytes=size.gigabytes, limit=LIMIT_MIB),
        rows=[("", ""), ("rows", f"{size.rows:,}"), ("wall, s", f"{seconds:.1f}")],
    )


def _fill(tenant: Tenant, size: Size) -> None:
    made = "SELECT i AS id, repeat(md5(i::text), 30) AS note"
    server = tenant.source.server
    server.execute(f"CREATE TABLE large AS {made} FROM generate_series(1, {size.rows}) i", DATABASE)
    server.execute("ALTER TABLE large OWNER TO shop", DATABASE)


@dataclass(slots=True)
class _Watched:
    """Bytes, at most."""

    peak: int = 0
    ended: threading.Event = field(default_factory=threading.Event)


@contextmanager
def _watch(tenant: Tenant, name: str) -> Iterator[_Watched]:
    """The node is this host, or a container on it."""
    selector = f"{LABEL_IMPORT_UID}={tenant.get(name)['metadata']['uid']}"
    watched = _Watched()

    def look() -> None:
        groups: list[Path] = []
        while not watched.ended.wait(LOOK_SECONDS):
            if not groups:
                pods = kubectl.list_objects("pods", tenant.name, selector)
                groups = [group for pod in pods for group in _groups_of(pod["metadata"]["uid"])]
            for group in groups:
                for file in _PEAKS:
                    with suppress(OSError):  # of the other kind, or gone with its pod
                        watched.peak = max(watched.peak, int((group / file).read_text()))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield watched
    finally:
        watched.ended.set()
        thread.join()


def _groups_of(uid: str) -> list[Path]:
    """A pod's, as either driver of control groups names it."""
    names = (f"pod{uid}", f"pod{uid.replace('-', '_')}.slice")
    return [path for one in hierarchies() for path in one.path.rglob("*pod*") if path.name.endswith(names)]
