"""The worker beside us: it begins before its database is there, waits for it, and never outlives us."""

import json
import os
from contextlib import suppress
from pathlib import Path

import pytest
from tests.cli.conftest import children
from tests.support.client_programs import current_clients
from tests.support.postgres import LOOPBACK

from pgimport.cli.run_command import EVERYWHERE
from pgimport.cli.worker_process import open_attempt_folder, start_worker
from pgimport.model.order import Order, OrderTarget
from pgimport.model.spec import SSLMode


def test_a_worker_that_waits_at_its_gate_is_gone_with_its_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in current_clients(tmp_path).items():
        monkeypatch.setenv(name, value)
    nobody = OrderTarget(
        host=LOOPBACK, port=1, sslmode=SSLMode.DISABLE, server_version="18.4", server_version_num=180004,
        creatable_extensions=[],
    )  # fmt: skip
    order = Order(import_uid="uid", import_name="orders", namespace="", sources=EVERYWHERE, target=nobody)

    def give_up(line: str) -> None:
        assert "waiting for the target database" in json.loads(line)["log"]["message"]
        raise ConnectionError

    with open_attempt_folder(f"postgresql://reader@{LOOPBACK}/shop", "pod") as place:
        before = children(os.getpid())
        with suppress(ConnectionError), start_worker("import", place, order) as worker:
            assert len(children(os.getpid()) - before) == 1
            worker.follow(give_up)
            pytest.fail("it ended by itself")
        assert children(os.getpid()) == before
