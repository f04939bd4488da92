"""Tests the worker's programs as a pod runs them: exit code, termination message and JSON lines."""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import asyncpg
import pytest
from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench

from pgimport.model import order as order_model
from pgimport.model.import_choices import SkipGroup
from pgimport.model.import_report import parse_report
from pgimport.model.reasons import Reason
from pgimport.model.report_carrier import decode_report
from pgimport.model.result import FailureReport, SkippedObject, WorkerResult
from pgimport.model.row_values import show_values
from pgimport.model.termination_message import parse_worker_result
from pgimport.worker.main import _run_step, main, report_result
from pgimport.worker.report.reporter import Reporter


def run(bench: Bench, step: str, order: str) -> tuple[int, WorkerResult]:
    """Runs one program in this process. Returns its exit code and its termination message."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        code = main([step], {**bench.environ, order_model.ENV_ORDER: order}, bench.out)
    finally:
        signal.signal(signal.SIGTERM, handler)
    result = parse_worker_result((bench.home / "message").read_text())
    assert result is not None
    return code, result


def test_a_preflight_writes_its_report(bench: Bench) -> None:
    code, result = run(bench, "preflight", bench.order().model_dump_json(by_alias=True))
    assert (code, result.ok, result.step) == (0, True, "preflight")
    assert result.preflight is not None
    assert result.preflight.source is not None
    assert result.ended_at is not None
    assert json.loads(bench.out.getvalue().splitlines()[-1])["log"]["result"]["ok"] is True


@pytest.mark.parametrize(("dry_run", "expected"), [(False, 66), (True, 0)], ids=["import", "dry run"])
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
    ("order", "text"),
    [("", "lacks PGIMPORT_ORDER"), ("{", "cannot be read"), ('{"version": 99}', "cannot be read")],
    ids=["no order", "damaged", "unknown version"],
)
def test_an_unreadable_order_ends_the_worker_with_its_reason(bench: Bench, order: str, text: str) -> None:
    code, result = run(bench, "import", order)
    assert code == 79
    assert result.failure is not None
    assert result.failure.reason is Reason.ORDER_UNREADABLE
    assert text in result.failure.message


def test_an_order_of_a_later_version_is_refused(bench: Bench) -> None:
    order = bench.order().model_copy(update={"version": 2})
    code, result = run(bench, "import", order.model_dump_json(by_alias=True))
    assert (code, result.failure and result.failure.message) == (79, "the order has version 2, this worker knows 1")


def test_a_missing_environment_variable_is_named() -> None:
    handler = signal.getsignal(signal.SIGTERM)
    out = io.StringIO()
    try:
        assert main(["import"], {}, out) == 79
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert "PGIMPORT_POD_UID" in out.getvalue()


def test_clients_that_are_too_old_end_the_import_with_their_exit_code(bench: Bench) -> None:
    code, result = run(bench, "import", bench.order().model_dump_json(by_alias=True))
    assert (code, result.failure and result.failure.reason) == (78, Reason.CLIENT_TOO_OLD)
    assert "18.6 is needed" in bench.out.getvalue()


def list_living_processes(group: int) -> list[str]:
    """Returns the commands of a process group, without zombies."""
    output = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    processes = [line.split(None, 2) for line in output.splitlines()]
    return [command for process_group, state, command in processes if int(process_group) == group and state[0] != "Z"]


@pytest.mark.isolation
def test_scratch_is_empty_at_the_end_of_an_attempt(bench: Bench) -> None:
    """Before, the unmasked dump of a masked import stayed in its volume."""
    scratch = bench.environment.scratch
    (scratch / "dump").mkdir()
    (scratch / "dump" / "rows").write_text("unmasked")
    (scratch / "toc.dat").touch()
    (scratch / "link").symlink_to(bench.home)
    run(bench, "preflight", bench.order().model_dump_json(by_alias=True))
    assert list(scratch.iterdir()) == []
    assert (bench.home / "message").exists()


@pytest.mark.parametrize("phase", ["while it waits for the gate", "while pg_dump runs"])
def test_sigterm_ends_the_worker_and_its_clients_soon(bench: Bench, postgres16: PostgresServer, phase: str) -> None:
    """The clients are scripts that never end. They must end with the worker."""
    waits = phase == "while it waits for the gate"
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
        environment = {**os.environ, **bench.environ, order_model.ENV_ORDER: order}
        (bench.environment.scratch / "dump").mkdir()
        (bench.environment.scratch / "dump" / "rows").write_text("unmasked")
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
            pid_file = bench.home / "pid"
            while not waits and not (pid_file.exists() and pid_file.read_text().strip()):
                time.sleep(0.02)
            start_time = time.monotonic()
            worker.terminate()
            assert worker.wait(60) == 143
            assert time.monotonic() - start_time < 30  # its clients sleep for a quarter of an hour
        assert list(bench.environment.scratch.iterdir()) == []
        if not waits:
            group, deadline = int(pid_file.read_text()), time.monotonic() + 5
            while (
                list_living_processes(group) and time.monotonic() < deadline
            ):  # a killed process ends when it is scheduled
                time.sleep(0.05)
            assert list_living_processes(group) == []


@pytest.mark.parametrize("client", ["psycopg", "asyncpg"])
def test_an_unexpected_error_of_a_server_is_a_failure_without_a_traceback(
    bench: Bench, postgres16: PostgresServer, client: str
) -> None:
    """Neither client's error may end a step as `unexpected error`: the server's words say more."""
    statement = "DO $$ BEGIN RAISE EXCEPTION 'too old' USING ERRCODE = '55000', HINT = 'Upgrade.'; END $$"

    async def run_by_asyncpg() -> None:
        connection = await asyncpg.connect(postgres16.url("postgres"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def run_step() -> WorkerResult:
        if client == "asyncpg":
            asyncio.run(run_by_asyncpg())
        with postgres16.connect() as connection:
            connection.execute(statement.encode())
        raise AssertionError("the statement fails")

    result = _run_step("import", run_step, Reporter(bench.out))
    assert result.failure is not None
    assert result.failure.reason is Reason.RESTORE_FAILED
    assert "too old; HINT: Upgrade." in show_values(result.failure.message)
    assert "(SQLSTATE 55000)" in result.failure.message
    assert "Traceback" not in bench.out.getvalue()


def test_an_error_of_ours_has_a_traceback_in_the_log(bench: Bench) -> None:
    def run_step() -> WorkerResult:
        raise KeyError("a fault")

    result = _run_step("import", run_step, Reporter(bench.out))
    assert (result.failure and result.failure.reason) is Reason.WORKER_FAILED
    assert "Traceback" in bench.out.getvalue()


KEY = "(mail)=(ann@example.com)"


@pytest.mark.parametrize("post_import", [False, True], ids=["without postImport", "with postImport"])
def test_keys_of_rows_are_in_the_report_alone(bench: Bench, post_import: bool) -> None:
    """Status and events show the termination message. With postImport, which masks, nothing shows them."""
    skipped = [
        SkippedObject(
            object=f"INDEX public.u{number}",
            reason=f"could not create unique index (SQLSTATE 23505); DETAIL: Key {KEY} is duplicated.",
            group=SkipGroup.REFUSED,
            sqlstate="23505",
            offending_key=KEY,
        )
        for number in range(160)
    ]
    failure = FailureReport(reason=Reason.RESTORE_FAILED, message=f"Key {KEY} is duplicated.")
    result = WorkerResult(step="import", ok=False, skipped=skipped, failure=failure)
    environment = bench.environment
    if post_import:
        environment = replace(environment, post_import=bench.home / "mask.sql")
    report_result(result, bench.order(), environment, Reporter(bench.out))
    message = parse_worker_result((bench.home / "message").read_text())
    assert message is not None
    assert message.report is not None
    assert (message.skipped_count, message.refused_count) == (160, 160)
    assert 0 < len(message.skipped) < 160
    text = decode_report(message.report, bench.out.getvalue().split("\n"))
    assert text is not None
    report = parse_report([text])
    assert len(report.skipped) == 160
    assert {item.offending_key for item in report.skipped} == {None if post_import else KEY}
    assert ("ann@example.com" in text) is not post_import
    assert "ann@example.com" not in bench.out.getvalue() + (bench.home / "message").read_text()


def test_a_report_contains_no_secret(bench: Bench) -> None:
    reporter = Reporter(bench.out)
    reporter.hide("hush-hush")
    skipped = [SkippedObject(object="SERVER hush-hush", reason="hush-hush", offending_key="hush-hush")]
    report_result(WorkerResult(step="import", ok=True, skipped=skipped), bench.order(), bench.environment, reporter)
    message = parse_worker_result((bench.home / "message").read_text())
    assert message is not None
    assert message.report is not None
    text = decode_report(message.report, bench.out.getvalue().split("\n"))
    assert text is not None
    assert "SERVER ***" in text
    assert "hush-hush" not in text + bench.out.getvalue()
