"""A server with the database `big` and a golden copy of it, which the operator's code copies."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest import mock

from tests.bench.copies.results import CP, IMPORT, Copy
from tests.bench.engines.sample_databases import BIG, Size, database_bytes, fill_database
from tests.support.postgres import ADMIN, SUPERUSER, PostgresServer

from pgimport.model.names import owner_role_name
from pgimport.model.observations import MeasuredCopy
from pgimport.model.owner_comment import OwnerComment
from pgimport.model.project_status import CloneMethod
from pgimport.reconcile.background_copies import BackgroundCopies
from pgimport.server import preview_copy
from pgimport.server.preview import PreviewPlan, drop_preview
from pgimport.server.preview_copy import CopyPlan, ensure_copy
from pgimport.server.server_access import Access

GOLDEN, COPY = "golden", "copy"
PROJECT = "bench"
JOBS = 4
# Values of the operator's constants with which it chooses a method on PostgreSQL 18.
CHOICES: Mapping[CloneMethod, Mapping[str, int]] = {
    CloneMethod.CLONE: {"FILE_COPY_FROM_BYTES": 0},
    CloneMethod.FILE_COPY: {"FILE_COPY_FROM_BYTES": 0, "FIRST_WITH_CLONE": 1_000_000},
    CloneMethod.WAL_LOG: {"FILE_COPY_FROM_BYTES": 1 << 62},
}
SETTLE_SECONDS = 0.5


@contextmanager
def _choosing(method: CloneMethod) -> Iterator[None]:
    with ExitStack() as stack:
        for name, value in CHOICES[method].items():
            stack.enter_context(mock.patch.object(preview_copy, name, value))
        yield


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenServer:
    """The server, its disk, and the programs of the worker."""

    server: PostgresServer
    disk: Path
    clients: Path

    @property
    def access(self) -> Access:
        server = self.server
        return Access(host=server.host, port=server.port, user=ADMIN, password=server.admin_password, sslmode="disable")

    @property
    def database_bytes(self) -> int:
        return database_bytes(self.server, GOLDEN)

    def fill(self, size: Size) -> Copy:
        """Creates `big`, and the golden database by an import, which counts as the first measured one."""
        fill_database(self.server, BIG, size)
        return self.import_into(GOLDEN, "--golden")

    def import_into(self, database: str, *options: str) -> Copy:
        """Imports `big` as the worker does, with its default options."""
        used, started = self.used_bytes(), time.monotonic()
        program = Path(sys.prefix) / "bin" / "pgimport"
        subprocess.run(
            [program, "run", "--json", f"--jobs={JOBS}", *options],
            check=True,
            stdout=subprocess.DEVNULL,
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": str(self.disk),
                "LC_ALL": "C.UTF-8",
                "PGIMPORT_CLIENTS": str(self.clients),
                "PGIMPORT_SOURCE_URL": self.server.url(BIG.name, SUPERUSER),
                "PGIMPORT_TARGET_URL": self.server.url(database, ADMIN),
            },
        )
        seconds = time.monotonic() - started
        return Copy(IMPORT, seconds, seconds, self.used_bytes() - used)

    def copy(self, method: CloneMethod, during: AbstractContextManager[object] | None = None) -> Copy:
        """Copies the golden database, and drops the copy after its measurement.

        `during`: entered for the time of the copy alone.
        """
        used = self.used_bytes()
        with _choosing(method), during or nullcontext():
            started = time.monotonic()
            measured = ensure_copy(self.access, _build_plan(COPY))
            seconds = time.monotonic() - started
        copied = Copy(method.value, seconds, _require(measured, method).seconds, self.used_bytes() - used)
        self.drop(COPY)
        return copied

    def copy_many(self, method: CloneMethod, count: int, during: AbstractContextManager[object] | None = None) -> Copy:
        """Makes copies of one Project side by side, with the operator's limits. Drops them after their measurement.

        `during`: entered for the time of the copies alone.
        """
        names = [f"{COPY}_{number}" for number in range(count)]
        copies, ended, failures = BackgroundCopies(), threading.Semaphore(0), list[BaseException]()

        def make(name: str) -> MeasuredCopy | None:
            try:
                return ensure_copy(self.access, _build_plan(name))
            except BaseException as error:
                failures.append(error)
                raise
            finally:
                ended.release()

        used = self.used_bytes()
        with _choosing(method), during or nullcontext():
            started = time.monotonic()
            for name in names:
                copies.begin(self.access.address, PROJECT, name, 1, partial(make, name))
            for _ in names:
                ended.acquire()
            seconds = time.monotonic() - started
        if failures:
            raise failures[0]
        copied = Copy(method.value, seconds, seconds, self.used_bytes() - used)
        for name in names:
            self.drop(name)
        return copied

    def cp(self) -> Copy:
        """Copies the files of the golden database by `cp`, and writes them to the disk as PostgreSQL does."""
        (oid,) = self.server.query("SELECT oid::text FROM pg_database WHERE datname = current_database()", GOLDEN)[0]
        assert self.server.log is not None
        source, target = self.server.log.parent / "data" / "base" / oid, self.disk / "cp"
        self.server.execute("CHECKPOINT")
        started = time.monotonic()
        subprocess.run(["cp", "--recursive", "--reflink=never", source, target], check=True)
        subprocess.run(["find", target, "-exec", "sync", "{}", "+"], check=True)
        seconds = time.monotonic() - started
        subprocess.run(["rm", "--recursive", target], check=True)
        return Copy(CP, seconds, seconds, 0)

    def drop(self, database: str) -> None:
        drop_preview(self.access, database, owner_role_name(database))

    def used_bytes(self) -> int:
        """Returns the used bytes of the disk without write-ahead log. XFS frees the blocks of deleted files later."""
        self.server.execute("CHECKPOINT")
        previous = -1
        while True:
            subprocess.run(["sync", "--file-system", self.disk], check=True)
            state = os.statvfs(self.disk)
            used = (state.f_blocks - state.f_bfree) * state.f_frsize
            if used == previous:
                break
            previous = used
            threading.Event().wait(SETTLE_SECONDS)
        return used - int(self.server.query("SELECT coalesce(sum(size), 0) FROM pg_ls_waldir()")[0][0])


def _build_plan(database: str) -> CopyPlan:
    mark = OwnerComment(project_uid=PROJECT, preview_uid=f"{PROJECT} {database}")
    return CopyPlan(
        source=GOLDEN,
        source_role=owner_role_name(GOLDEN),
        preview=PreviewPlan(database, owner_role_name(database), "secret", mark),
        number=1,
        needs_data=True,
    )


def _require(measured: MeasuredCopy | None, method: CloneMethod) -> MeasuredCopy:
    if measured is None or measured.method is not method:
        raise RuntimeError(f"the server did not copy by {method.value}")
    return measured
