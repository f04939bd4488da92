"""The worker as a child process: it starts before its database exists, and never outlives the command."""

import json
import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from tests.cli.conftest import list_children
from tests.support.client_programs import current_clients
from tests.support.postgres import LOOPBACK

from pgimport.cli.local_import import ALL_ADDRESSES
from pgimport.cli.worker_process import open_attempt_folder, start_worker
from pgimport.model.order import Order, OrderTarget
from pgimport.model.project_spec import SSLMode


def test_a_waiting_worker_ends_with_its_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in current_clients(tmp_path).items():
        monkeypatch.setenv(name, value)
    unreachable = OrderTarget(
        host=LOOPBACK,
        port=1,
        sslmode=SSLMode.DISABLE,
        server_version="18.4",
        server_version_num=180004,
        creatable_extensions=[],
    )
    order = Order(import_uid="uid", import_name="orders", namespace="", sources=ALL_ADDRESSES, target=unreachable)

    def lose_connection(line: str) -> None:
        assert "waiting for the target database" in json.loads(line)["log"]["message"]
        raise ConnectionError

    with open_attempt_folder(f"postgresql://reader@{LOOPBACK}/shop", "pod") as folder:
        others = list_children(os.getpid())
        with suppress(ConnectionError), start_worker("import", folder) as worker:
            worker.send_order(order)
            assert len(list_children(os.getpid()) - others) == 1
            worker.follow(lose_connection)
            pytest.fail("the worker ended without being stopped")
        assert list_children(os.getpid()) == others


def test_a_worker_that_got_no_order_ends_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Before, its input ended first: it wrote an error to its closed output, and the user saw a traceback."""
    terminate = subprocess.Popen.terminate

    def terminate_late(child: "subprocess.Popen[str]") -> None:
        time.sleep(1)
        terminate(child)

    monkeypatch.setattr(subprocess.Popen, "terminate", terminate_late)
    with (
        open_attempt_folder(f"postgresql://reader@{LOOPBACK}/shop", "pod") as folder,
        suppress(ConnectionError),
        start_worker("run", folder),
    ):
        raise ConnectionError
    assert capfd.readouterr().err == ""
