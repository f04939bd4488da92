"""The session at the source that is opened while the import waits for the gate."""

import time
from contextlib import closing
from dataclasses import replace

import pytest
from tests.support.postgres import PostgresServer
from tests.worker.superuser_endpoint import build_superuser_endpoint

from pgimport.worker.postgres import early_login
from pgimport.worker.postgres.early_login import EarlyLogin
from pgimport.worker.postgres.endpoints import Connection, Endpoint, connect
from pgimport.worker.postgres.errors import ImportStopped


def build_endpoint(server: PostgresServer) -> Endpoint:
    return replace(build_superuser_endpoint(server, "postgres"), application_name="early")


SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'early'"


def test_the_session_is_used_once_and_then_a_new_one_is_opened(postgres16: PostgresServer) -> None:
    endpoint = build_endpoint(postgres16)
    with closing(EarlyLogin(endpoint)) as login, login.take() as first, login.take() as second:
        assert first.info.backend_pid != second.info.backend_pid
        assert postgres16.query(SESSIONS) == [(2,)]


def test_a_session_that_nobody_takes_is_closed(postgres16: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Connection] = []

    def record(endpoint: Endpoint) -> Connection:
        opened.append(connect(endpoint))
        return opened[0]

    monkeypatch.setattr(early_login, "REUSE_SECONDS", 0.1)
    monkeypatch.setattr(early_login, "connect", record)
    with closing(EarlyLogin(build_endpoint(postgres16))):
        deadline = time.monotonic() + 30
        while not (opened and opened[0].closed):
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_login_that_fails_is_tried_again_and_then_reported(postgres16: PostgresServer) -> None:
    endpoint = replace(build_endpoint(postgres16), dbname="missing")
    with closing(EarlyLogin(endpoint)) as login, pytest.raises(ImportStopped, match="missing"):
        login.take()
