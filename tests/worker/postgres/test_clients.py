"""The client programs are chosen by their major and minor version, or none is good enough."""

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.support.postgres import PostgresServer
from tests.worker.conftest import TEST_FLOORS, Bench

from pgimport.model.reasons import Reason
from pgimport.worker.postgres.clients import ClientProcesses, ClientPrograms
from pgimport.worker.postgres.errors import ImportStopped

SECURE_MINORS = {15: 19, 16: 15, 17: 11, 18: 6}


def install(root: Path, minors: Mapping[int, int]) -> ClientPrograms:
    """Installs scripts that only print a version."""
    for major, minor in minors.items():
        folder = root / str(major) / "bin"
        folder.mkdir(parents=True)
        for name in ("pg_dump", "pg_restore", "psql"):
            (folder / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {major}.{minor} (Debian)'\n")
            (folder / name).chmod(0o755)
    return ClientPrograms(bin_root=root)


@pytest.mark.parametrize(
    ("minors", "source", "target", "chosen", "note"),
    [
        pytest.param(SECURE_MINORS, 15, 17, 15, None, id="the source's major, the oldest"),
        pytest.param(SECURE_MINORS, 17, 18, 17, None, id="the source's major"),
        pytest.param(SECURE_MINORS, 18, 18, 18, None, id="the source's major, the newest"),
        pytest.param({17: 11}, 15, 17, 17, "no pg_dump 15 is installed", id="the next newer one"),
        pytest.param(
            {**SECURE_MINORS, 15: 18},
            15,
            17,
            16,
            "pg_dump 15.18 lacks security fixes",
            id="the one of its major is outdated",
        ),
        pytest.param({15: 18, 16: 14, 17: 11}, 15, 17, 17, "pg_dump 16.14 lacks", id="the next one is outdated too"),
    ],
)
def test_T12_pg_dump_has_the_sources_major_if_possible(
    tmp_path: Path, minors: dict[int, int], source: int, target: int, chosen: int, note: str | None
) -> None:
    dump = install(tmp_path, minors).find_dump(source, target)
    assert dump.path == tmp_path / str(chosen) / "bin" / "pg_dump"
    if note is None:
        assert dump.note is None
    else:
        assert dump.note is not None
        assert dump.note.startswith(f"pg_dump {chosen} read the source of PostgreSQL {source}: ")
        assert note in dump.note


@pytest.mark.parametrize(
    ("minors", "source", "target", "message"),
    [
        pytest.param({18: 6}, 15, 17, "no pg_dump 17 is installed", id="only one that is newer than the target"),
        pytest.param({15: 19}, 17, 17, "no pg_dump 17 is installed", id="only one that is older than the source"),
        pytest.param({15: 18, 16: 14}, 15, 16, "at least 16.15 is needed", id="all are outdated"),
    ],
)
def test_T12_an_import_without_a_suitable_pg_dump_is_refused(
    tmp_path: Path, minors: dict[int, int], source: int, target: int, message: str
) -> None:
    with pytest.raises(ImportStopped) as caught:
        install(tmp_path, minors).find_dump(source, target)
    assert caught.value.failure.reason is Reason.CLIENT_TOO_OLD
    assert message in caught.value.failure.message


def test_T12_the_result_notes_a_newer_pg_dump(bench: Bench, postgres16: PostgresServer, tmp_path: Path) -> None:
    newest = tmp_path / "newest"
    newest.mkdir()
    (newest / "18").symlink_to(bench.bin_root / "18")
    bench.bin_root = newest
    with postgres16.database("newer_client") as name:
        postgres16.execute("CREATE TABLE sold (id int); INSERT INTO sold VALUES (1)", name)
        bench.source_url = postgres16.url(name)
        with bench.shadow():
            result = bench.run(floors=TEST_FLOORS)
    assert result.verification is not None
    assert "pg_dump 18 read the source of PostgreSQL 16: no pg_dump 16" in "\n".join(result.verification.notes)


def test_a_signal_while_a_client_starts_ends_the_client_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The signal arrives after the client runs and before the worker knows it."""
    processes = ClientProcesses()
    clients: list[subprocess.Popen[bytes]] = []

    class Exited(BaseException):
        """Stands for the end of this process."""

    def exit_now(code: int) -> None:
        raise Exited(code)

    def start_and_receive_signal(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        clients.append(real_popen(*arguments, **options))
        processes.end_all_and_exit(143)
        return clients[0]

    real_popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", start_and_receive_signal)
    monkeypatch.setattr(os, "_exit", exit_now)
    with pytest.raises(Exited, match="143"):
        processes.run(["/bin/sleep", "60"], {}, lambda _: None)
    (client,) = clients
    assert client.wait(5) == -signal.SIGTERM
    assert client.stderr is not None
    client.stderr.close()
