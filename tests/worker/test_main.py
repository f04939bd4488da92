"""The programs as a pod runs them: environment in; exit code, termination message and JSON lines out."""

import io
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench

from pgimport.model import order as words
from pgimport.model.reasons import Reason
from pgimport.model.result import WorkerResult, parse_worker_result
from pgimport.worker.main import main


def run(bench: Bench, step: str, order: str) -> tuple[int, WorkerResult]:
    """Run one program in this process; its exit code and what it left."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        code = main([step], {**bench.environ, words.ENV_ORDER: order}, bench.out)
    finally:
        signal.signal(signal.SIGTERM, handler)
    result = parse_worker_result((bench.home / "message").read_text())
    assert result is not None
    return code, result


def test_a_preflight_leaves_its_report(bench: Bench) -> None:
    code, result = run(bench, "preflight", bench.order().model_dump_json(by_alias=True))
    assert (code, result.ok, result.step) == (0, True, "preflight")
    assert result.preflight is not None
    assert result.preflight.source is not None
    assert result.ended_at is not None
    assert json.loads(bench.out.getvalue().splitlines()[-1])["log"]["result"]["ok"] is True


@pytest.mark.parametrize(
    ("dry_run", "expected"), [(False, 66), (True, 0)], ids=["an import ends", "a dry run has its report"]
)
def test_a_failed_check_ends_an_import_but_not_a_dry_run(
    bench: Bench, postgres16: PostgresServer, dry_run: bool, expected: int
) -> None:
    bench.source_url = postgres16.url("postgres", password="wrong-password")
    code, result = run(bench, "preflight", bench.order(dry_run=dry_run).model_dump_json(by_alias=True))
    assert (code, result.ok) == (expected, False)
    assert result.failure is not None
    assert result.failure.reason is Reason.SOURCE_AUTH_FAILED
    assert "wrong-password" not in bench.out.getvalue() + (bench.home / "message").read_text()


@pytest.mark.parametrize(
    ("order", "words_"),
    [("", "lacks PGIMPORT_ORDER"), ("{", "cannot be read"), ('{"version": 99}', "cannot be read")],
    ids=["no order", "damaged", "not ours"],
)
def test_an_order_that_cannot_be_read_is_named(bench: Bench, order: str, words_: str) -> None:
    code, result = run(bench, "import", order)
    assert code == 79
    assert result.failure is not None
    assert result.failure.reason is Reason.ORDER_UNREADABLE
    assert words_ in result.failure.message


def test_an_order_of_a_later_version_is_refused(bench: Bench) -> None:
    order = bench.order().model_copy(update={"version": 2})
    code, result = run(bench, "import", order.model_dump_json(by_alias=True))
    assert (code, result.failure and result.failure.message) == (79, "the order has version 2, this worker knows 1")


def test_a_missing_name_in_the_environment_is_named() -> None:
    handler = signal.getsignal(signal.SIGTERM)
    out = io.StringIO()
    try:
        assert main(["import"], {}, out) == 79
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert "PGIMPORT_POD_UID" in out.getvalue()


def test_old_clients_end_the_import_with_their_code(bench: Bench) -> None:
    code, result = run(bench, "import", bench.order().model_dump_json(by_alias=True))
    assert (code, result.failure and result.failure.reason) == (78, Reason.CLIENT_TOO_OLD)
    assert "18.6 is needed" in bench.out.getvalue()


def living(group: int) -> list[str]:
    """Processes of a group that are no zombies."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    found = [line.split(None, 2) for line in listed.splitlines()]
    return [words[2] for words in found if int(words[0]) == group and not words[1].startswith("Z")]


@pytest.mark.parametrize("phase", ["while it waits", "while pg_dump works"])
def test_sigterm_ends_everything_soon(bench: Bench, postgres16: PostgresServer, phase: str) -> None:
    """pg_dump, from a stand-in that never ends, must be gone with the worker."""
    waits = phase == "while it waits"
    for major, minor in ((16, 99), (18, 99)):
        folder = bench.home / "programs" / str(major) / "bin"
        folder.mkdir(parents=True)
        for name in ("pg_dump", "pg_restore"):
            path = folder / name
            path.write_text(
                f'#!/bin/sh\n[ "$1" = --version ] && echo "{name} (PostgreSQL) {major}.{minor}" && exit\n'
                f"echo $$ > {bench.home}/pid\nsleep 1000 & wait\n"
            )
            path.chmod(0o755)
    bench.bin_root = bench.home / "programs"
    with postgres16.database("ended"), bench.shadow(login=not waits):
        bench.source_url = postgres16.url("ended")
        order = bench.order().model_dump_json(by_alias=True)
        environment = {**os.environ, **bench.environ, words.ENV_ORDER: order}
        with subprocess.Popen(
            [sys.executable, "-c", "import sys; from pgimport.worker.main import main; sys.exit(main(['import']))"],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        ) as worker:
            assert worker.stdout is not None
            line = worker.stdout.readline()
            if waits:
                assert "waiting for the target database" in line
            pid = bench.home / "pid"
            while not waits and not (pid.exists() and pid.read_text().strip()):
                time.sleep(0.02)
            began = time.monotonic()
            worker.terminate()
            assert worker.wait(10) == 143
            assert time.monotonic() - began < 2
        if not waits:
            group, patience = int(pid.read_text()), time.monotonic() + 5
            while living(group) and time.monotonic() < patience:  # what is killed goes when it gets a processor
                time.sleep(0.05)
            assert living(group) == []
