"""psql's session waits for psql, and notices a statement that never ends."""

from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, cast

import pytest

from pgimport.model.reasons import Reason
from pgimport.worker.engines.file import psql
from pgimport.worker.engines.file.psql import IDLE_CHECKS, PsqlSession
from pgimport.worker.postgres.errors import ImportStopped


@dataclass
class IdleServer:
    """Says that psql's session is idle. After a number of answers, psql prints the marker."""

    session: PsqlSession
    input: BytesIO
    answers: int
    given: int = field(default=0)

    def read_idle_time(self) -> str:
        self.given += 1
        if self.given == self.answers:
            token = self.input.getvalue().partition(b"RAISE INFO '")[2].partition(b"%")[0].decode()
            self.session.read_line(f"psql:<stdin>:1: INFO:  00000: {token}7 00000 ")
        return "since noon"


def build_session(answers: int, monkeypatch: pytest.MonkeyPatch) -> PsqlSession:
    session, stdin = PsqlSession(cast("Any", None)), BytesIO()
    session.open(stdin)
    monkeypatch.setattr(psql, "IDLE_CHECK_SECONDS", 0)
    monkeypatch.setattr(session, "_read_idle_time", IdleServer(session, stdin, answers).read_idle_time)
    return session


def test_a_psql_that_is_delayed_is_no_damaged_dump(monkeypatch: pytest.MonkeyPatch) -> None:
    session = build_session(IDLE_CHECKS, monkeypatch)
    session.write_statement(b"CREATE TABLE t ();")
    assert session.synchronise().errors == []


def test_a_statement_that_never_ends_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    session = build_session(1000, monkeypatch)
    session.write_statement(b"SELECT '")
    with pytest.raises(ImportStopped) as stopped:
        session.synchronise()
    assert stopped.value.failure.reason is Reason.DUMP_CORRUPT
