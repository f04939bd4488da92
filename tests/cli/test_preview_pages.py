"""When a preview is as the user wanted it, and how psql reaches it."""

from pathlib import Path

import pytest
from tests.cli.kubernetes_objects import NOW, Json, a_preview, a_time

from pgimport.cli.cluster_commands.blocks import format_plain
from pgimport.cli.cluster_commands.command_context import CommandContext
from pgimport.cli.cluster_commands.errors import CommandFailed
from pgimport.cli.cluster_commands.preview_commands import next_date
from pgimport.cli.cluster_commands.preview_connections import (
    build_variables,
    check_connectable,
    find_service,
    format_passfile,
    replace_variable,
    write_private,
)
from pgimport.cli.cluster_commands.preview_pages import build_preview_page, build_preview_table, decide_preview_ready

RESET: Json = {"resetAt": a_time(60)}
RENEWED: Json = {"renewedAt": a_time(60)}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (a_preview(None), None),
        (a_preview("pending", "Pending"), None),
        (a_preview(), 0),
        (a_preview(generation=2, observedGeneration=1), None),
        (a_preview(spec=RESET), None),
        (a_preview(spec=RESET, resetAt=a_time(59)), None),
        (a_preview(spec=RESET, resetAt="2026-01-01T12:01:00.000Z"), 0),
        (a_preview("expired", "Expired", spec=RENEWED, generation=2, observedGeneration=1), None),
        (a_preview("ready", spec=RENEWED, renewedAt=a_time(60)), 0),
        (a_preview("failed", "LimitReached"), 1),
        (a_preview("expired", "Expired"), 1),
        (a_preview("pending", "NoData", spec={"golden": True}), 0),
        (a_preview("pending", "NoData", spec={"golden": True, "resetAt": a_time(60)}), None),
        (a_preview("pending", "NoData", spec={"mode": "clone"}), None),
        (a_preview("ready", deletionTimestamp=a_time(60)), 1),
    ],
    ids=[
        "not seen",
        "pending",
        "ready",
        "an older spec is ready",
        "not reset yet",
        "an earlier reset",
        "reset",
        "extended after it expired, not seen",
        "extended",
        "failed",
        "expired",
        "golden and empty",
        "golden, not reset yet",
        "a copy that waits for golden data",
        "being deleted",
    ],
)
def test_a_wait_ends_when_the_operator_has_done_what_the_spec_says(body: Json, code: int | None) -> None:
    outcome = decide_preview_ready(body)
    assert (outcome and outcome.exit_code) == code


def test_a_second_reset_is_later_than_the_first_also_for_a_slow_clock() -> None:
    late = a_preview(spec={"resetAt": a_time(3600)}, resetAt=a_time(3600))
    assert next_date(late, "resetAt", NOW) == "2026-01-01T13:00:00.001Z"
    removed = a_preview(resetAt=a_time(3600))  # by whoever applied the manifest again
    assert next_date(removed, "resetAt", NOW) == "2026-01-01T13:00:00.001Z"
    future = a_preview(spec={"resetAt": a_time(3600)})  # which has no effect until then
    assert next_date(future, "resetAt", NOW) == "2026-01-01T12:10:00.000Z"
    assert next_date(a_preview(), "resetAt", NOW) == "2026-01-01T12:10:00.000Z"


def test_the_list_of_previews_shows_kind_data_and_expiry() -> None:
    body = a_preview(dataAsOf=a_time(-3600), expiresAt=a_time(7200))
    [row] = format_plain(build_preview_table([body], NOW, all_namespaces=False))
    assert row[:5] == ["pr-42", "ready", "empty", a_time(-3600), a_time(7200)]
    lines = [line for block in build_preview_page(body, NOW) for line in format_plain(block)]
    assert ["expires:", "2026-01-01 14:00:00 UTC (in 110m)"] in lines


@pytest.mark.parametrize(
    ("body", "advice"),
    [
        (a_preview(spec={"golden": True}), "pgimport -n shop preview clone NEW --from pr-42"),
        (a_preview("expired", "Expired"), "pgimport -n shop preview extend pr-42"),
        (a_preview("pending", "Cloning"), "is pending, not ready: Cloning: The message."),
        (a_preview(None), "the operator has not seen it yet"),
    ],
    ids=["golden", "expired", "pending", "not seen"],
)
def test_nobody_connects_to_a_preview_that_is_not_there(body: Json, advice: str, context: CommandContext) -> None:
    with pytest.raises(CommandFailed, match=advice):
        check_connectable(body, context)


def test_psql_reads_the_password_from_a_file() -> None:
    connection = {
        "host": "db.system.svc",
        "port": "5432",
        "dbname": "shop",
        "user": "me",
        "password": "a:b\\c",
        "uri": "postgresql://me:x@db.system.svc:5432/shop?sslmode=verify-full",
    }
    assert format_passfile(connection["password"]) == "*:*:*:*:a\\:b\\\\c\n"
    variables = build_variables(connection, "127.0.0.1", 40001, "/tmp/passfile")
    assert variables == {
        "PGHOST": "db.system.svc",
        "PGHOSTADDR": "127.0.0.1",
        "PGPORT": "40001",
        "PGDATABASE": "shop",
        "PGUSER": "me",
        "PGSSLMODE": "verify-full",
        "PGPASSFILE": "/tmp/passfile",
    }
    assert "PGHOSTADDR" not in build_variables(connection, None, None, "/tmp/passfile")


@pytest.mark.parametrize(
    ("host", "service"),
    [
        ("db.system.svc", ("db", "system")),
        ("db.system.svc.cluster.local", ("db", "system")),
        ("db.example.com", None),
        ("10.0.0.1", None),
    ],
)
def test_only_the_name_of_a_service_needs_a_tunnel(host: str, service: tuple[str, str] | None) -> None:
    assert find_service(host) == service


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "DATABASE_URL=postgresql://new\n"),
        ("A=1\nDATABASE_URL=old\nB=2\n", "A=1\nDATABASE_URL=postgresql://new\nB=2\n"),
        ("export DATABASE_URL='old'", "export DATABASE_URL=postgresql://new\n"),
        ("MY_DATABASE_URL=x", "MY_DATABASE_URL=x\nDATABASE_URL=postgresql://new\n"),
        ("A=1\r\nDATABASE_URL=old\r\n", "A=1\r\nDATABASE_URL=postgresql://new\r\n"),
        ("A='one\u2028two\x0c'\n\n", "A='one\u2028two\x0c'\n\nDATABASE_URL=postgresql://new\n"),
    ],
)
def test_an_env_file_keeps_its_other_lines(before: str, after: str) -> None:
    assert replace_variable(before, "DATABASE_URL", "postgresql://new") == after


def test_an_env_file_becomes_private(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    path.chmod(0o644)
    write_private(path, "A=2\n")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("A=2\n", 0o600)
    assert list(tmp_path.iterdir()) == [path]
