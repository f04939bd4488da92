"""psql's messages are read in every language of the server."""

import pytest

from pgimport.model.reasons import Reason
from pgimport.worker.engines.file.psql_messages import PsqlError, PsqlMessageParser


def parse(*lines: str) -> list[PsqlError]:
    parser = PsqlMessageParser()
    for line in lines:
        parser.read_line(line)
    return parser.finish()


@pytest.mark.parametrize("severity", ["ERROR", "FEHLER", "ERREUR", "ОШИБКА", "エラー", "错误"])
def test_an_error_is_known_by_its_sqlstate(severity: str) -> None:
    [error] = parse(
        f"psql:<stdin>:7: {severity}:  23503: eine Meldung",
        "in zwei Zeilen",
        "DETAIL:  Key (a)=(1) is not present",
        "SCHEMA NAME:  public",
        "LOCATION:  ri_ReportViolation, ri_triggers.c:2609",
    )
    assert (error.line, error.sqlstate, error.message) == (7, "23503", "eine Meldung\nin zwei Zeilen")
    refusal = error.to_refusal()
    assert refusal is not None
    assert refusal.key == "(a)=(1)"


def test_a_notice_is_no_error() -> None:
    assert parse("psql:<stdin>:3: HINWEIS:  00000: gibt es schon", "LOCATION:  x, y.c:1") == []
    assert parse("psql:<stdin>:3: WARNUNG:  01000: seltsam") == []


def test_an_error_of_psql_itself_is_no_refusal() -> None:
    [error] = parse("psql:<stdin>:9: error: backslash commands are restricted; only \\unrestrict is allowed")
    assert (error.line, error.sqlstate, error.to_refusal()) == (9, None, None)


def test_a_lost_connection_is_the_targets() -> None:
    parser = PsqlMessageParser()
    for line in (
        "psql:<stdin>:4: FATAL:  57P01: die Verbindung wird abgebrochen",
        "psql:<stdin>:4: server closed the connection unexpectedly",
        "psql:<stdin>:4: error: connection to server was lost",
    ):
        parser.read_line(line)
    assert parser.to_failure(2).reason is Reason.TARGET_LOST
