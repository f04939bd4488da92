"""`pgimport run` as a user starts it: the real command, the real worker, two real servers."""

import hashlib
import json
import signal
import subprocess
from pathlib import Path

import psycopg
import pytest
from tests.cli.conftest import CommandLine, children, hanging_clients, left_behind, wait_until_started
from tests.support.client_programs import current_clients
from tests.support.https import body, run_https_server
from tests.support.postgres import ADMIN, PostgresServer


def _assert_clean(command_line: CommandLine, target: PostgresServer) -> None:
    assert left_behind(target) == []
    assert list(command_line.scratch.iterdir()) == []


@pytest.mark.thorough
def test_clients_without_security_fixes_are_refused_and_all_is_cleaned_up(
    command_line: CommandLine, postgres18: PostgresServer
) -> None:
    """The whole way to the first use of a client: preflight, shadow, gate, snapshot."""
    done = command_line.run("run")
    assert done.code == 78
    [line] = [line for line in done.err.splitlines() if line.startswith("pgimport:")]
    assert line.startswith("pgimport: ClientTooOld: pg_")
    assert "lacks security fixes" in line
    assert "PGIMPORT_CLIENTS" in line
    assert "✓ source_reachable" in done.err
    assert done.out == ""
    assert postgres18.query("SELECT FROM pg_database WHERE datname = 'cli_copy'") == []
    _assert_clean(command_line, postgres18)


def test_a_database_travels_again_and_again(
    command_line: CommandLine, postgres18: PostgresServer, tmp_path: Path
) -> None:
    clients = current_clients(tmp_path)
    done = command_line.run("run", **clients)
    assert (done.code, done.err.count("pgimport:")) == (0, 0), done.err
    assert "verified (counts): 1 tables, 2 rows" in done.out
    password = done.out.rstrip().rpartition(": ")[2]
    with postgres18.connect("cli_copy", "cli_copy_owner", password) as connection:
        assert connection.execute("SELECT count(*) FROM items").fetchone() == (2,)
        connection.execute("CREATE TABLE mine (id int)")
    done = command_line.run("run", **clients)
    assert "TargetNotEmpty" in done.err
    (tmp_path / "password").write_text("of my own\n")
    done = command_line.run("run", "--recreate", "--json", "--owner-password-file", f"{tmp_path}/password", **clients)
    assert done.code == 0
    result = json.loads(done.out.splitlines()[-1])["result"]
    assert (result["owner"], result["verification"]["rows"], "ownerPassword" in result) == ("cli_copy_owner", 2, False)
    with postgres18.connect("cli_copy", "cli_copy_owner", "of my own") as connection:
        assert connection.execute("SELECT to_regclass('mine')").fetchone() == (None,)
    _assert_clean(command_line, postgres18)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("verify", "said"),
    [("checksums", "verified (checksums): 1 tables, 2 rows"), ("none", "note: not verified: spec.verify is none")],
    ids=["by digests", "not at all"],
)
def test_a_copy_is_compared_as_asked(command_line: CommandLine, tmp_path: Path, verify: str, said: str) -> None:
    done = command_line.run("run", "--verify", verify, **current_clients(tmp_path))
    assert done.code == 0, done.err
    assert said in done.out
    assert done.out.count("verified (") == (verify != "none")


@pytest.mark.thorough
def test_a_dump_file_travels_with_a_filter_and_sql_afterwards(
    command_line: CommandLine, postgres16: PostgresServer, postgres18: PostgresServer, tmp_path: Path
) -> None:
    postgres16.execute("CREATE TABLE other (id int)", "cli_shop")
    dump = [str(postgres16.bin / "pg_dump"), "--format=custom", command_line.source_url]
    content = subprocess.run(dump, check=True, capture_output=True).stdout
    (tmp_path / "mask.sql").write_text("UPDATE items SET id = id + 100;")
    (tmp_path / "https").mkdir()
    with run_https_server(tmp_path / "https", "localhost") as server:
        server.answers["/shop.dump"] = body(content)
        done = command_line.run(
            "run", "--ca", str(server.ca), "--post-import", f"{tmp_path}/mask.sql", "--exclude-table", "other",
            "--sha256", hashlib.sha256(content).hexdigest(),
            PGIMPORT_SOURCE_URL=server.url("/shop.dump?signature=0123456789abcdef"), **current_clients(tmp_path),
        )  # fmt: skip
    assert done.code == 0, done.err
    assert f"the dump file at localhost:{server.port}" in done.err
    assert "0123456789abcdef" not in done.err + done.out
    assert "left behind: TABLE public.other: spec.filter leaves it out" in done.out
    assert postgres18.query("SELECT id FROM items ORDER BY 1", "cli_copy") == [(101,), (102,)]
    _assert_clean(command_line, postgres18)


def test_a_plan_says_what_would_be_done_and_does_nothing(command_line: CommandLine, postgres18: PostgresServer) -> None:
    done = command_line.run("run", "--plan", "--owner", "somebody")
    assert (done.code, done.err.count("✗")) == (0, 0)
    assert "owned by somebody with a new password" in done.out
    assert "    public.items: 0.0 MiB by libpq, frozen, then 1 index\n" in done.out
    assert "nothing was changed" in done.out
    assert postgres18.query("SELECT FROM pg_database WHERE datname = 'cli_copy'") == []
    _assert_clean(command_line, postgres18)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("flags", "steps"),
    [
        (["--dry-run"], None),
        (["--plan", "--engine", "dump", "--jobs", "3"], ["by a dump, 3 at once"]),
    ],
    ids=["without steps", "with steps"],
)
def test_a_plan_as_json_is_lines_of_json(command_line: CommandLine, flags: list[str], steps: list[str] | None) -> None:
    done = command_line.run("run", "--json", *flags)
    told = [json.loads(line) for line in done.out.splitlines()]
    assert told[-1]["result"].get("steps") == steps
    assert told[-1]["result"]["ok"] is True
    assert told[-1]["result"]["preflight"]["source"]["serverVersion"].startswith("16.")
    assert all(line.keys() <= {"log", "progress", "result"} for line in told)
    assert done.err == ""


@pytest.mark.thorough
@pytest.mark.parametrize("flags", [[], ["--plan"]], ids=["run", "plan"])
def test_a_target_with_objects_needs_recreate(
    command_line: CommandLine, postgres18: PostgresServer, flags: list[str]
) -> None:
    postgres18.execute("CREATE DATABASE cli_copy", user=ADMIN)
    postgres18.execute("CREATE TABLE mine (id int)", "cli_copy", ADMIN)
    done = command_line.run("run", *flags)
    assert done.code == 1
    assert "TargetNotEmpty: database cli_copy holds objects of its own: table public.mine" in done.err
    assert "--recreate" in done.err
    assert postgres18.query("SELECT count(*) FROM mine", "cli_copy") == [(0,)]
    _assert_clean(command_line, postgres18)
    assert command_line.run("run", "--recreate", "--plan").code == 0


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        pytest.param({"PGIMPORT_SOURCE_URL": ""}, 64, "no source was given", id="no-source"),
        pytest.param({"PGIMPORT_TARGET_URL": ""}, 64, "no target was given", id="no-target"),
        pytest.param({"PGIMPORT_SOURCE_URL": "mysql://a:b@c/d"}, 64, "the source URL is not usable", id="bad-source"),
        pytest.param({"PGIMPORT_TARGET_URL": "mysql://a:b@c/d"}, 64, "the target URL is not usable", id="bad-target"),
        pytest.param(
            {"PGIMPORT_TARGET_URL": "postgresql://admin:topsecret@127.0.0.1:1/x"},
            1,
            "ServerUnreachable",
            id="no-server",
        ),
    ],
)
def test_what_cannot_work_is_one_clear_line(
    command_line: CommandLine, changes: dict[str, str], code: int, words: str
) -> None:
    done = command_line.run("run", **changes)
    assert (done.code, done.err.count("\n")) == (code, 1)
    assert words in done.err
    assert "topsecret" not in done.err


def test_a_wrong_password_of_the_source_is_told_with_its_exit_code(
    command_line: CommandLine, postgres18: PostgresServer
) -> None:
    user, _, rest = command_line.source_url.partition("@")
    done = command_line.run("run", "--json", PGIMPORT_SOURCE_URL=f"{user}-wrong@{rest}")
    assert done.code == 66
    result = json.loads(done.out.splitlines()[-1])["result"]
    assert (result["ok"], result["reason"], result["retryClassification"]) == (False, "SourceAuthFailed", "permanent")
    assert "-wrong" not in done.out + done.err
    _assert_clean(command_line, postgres18)


@pytest.mark.thorough
def test_a_password_in_an_argument_is_warned_of(command_line: CommandLine) -> None:
    done = command_line.run("run", "--plan", "--source", command_line.source_url)
    assert done.code == 0
    assert "warning: the password in --source can be seen" in done.err
    assert "PGIMPORT_SOURCE_URL" in done.err


@pytest.mark.thorough
def test_urls_come_from_files(command_line: CommandLine, tmp_path: Path) -> None:
    for name, url in (("source", command_line.source_url), ("target", command_line.target_url)):
        (tmp_path / name).write_text(url + "\n")
    empty = {"PGIMPORT_SOURCE_URL": "", "PGIMPORT_TARGET_URL": ""}
    done = command_line.run(
        "run", "--plan", "--source-file", f"{tmp_path}/source", "--target-file", f"{tmp_path}/target", **empty
    )
    assert done.code == 0
    assert "warning" not in done.err
    done = command_line.run("run", "--source-file", f"{tmp_path}/nothing", **empty)
    assert "No such file" in done.err


@pytest.mark.parametrize("owner", [ADMIN, "cli_rich"])
def test_an_owner_with_more_to_lose_is_refused_before_anything(
    command_line: CommandLine, postgres18: PostgresServer, owner: str
) -> None:
    postgres18.execute("CREATE ROLE cli_rich")
    try:
        with postgres18.database("cli_elsewhere", "cli_rich"):
            done = command_line.run("run", "--owner", owner)
    finally:
        postgres18.execute("DROP ROLE cli_rich")
    assert done.code == 1
    assert "name another" in done.err
    _assert_clean(command_line, postgres18)


@pytest.mark.thorough
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_an_interrupted_run_leaves_nothing(
    command_line: CommandLine, postgres18: PostgresServer, tmp_path: Path, number: signal.Signals
) -> None:
    clients = hanging_clients(tmp_path)
    with command_line.start("run", **clients) as process:
        wait_until_started(clients)
        assert len(left_behind(postgres18)) == 2
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "Cancelled: interrupted; the target is as it was" in err
    _assert_clean(command_line, postgres18)


def test_no_password_is_in_arguments_or_environment_of_the_worker(
    command_line: CommandLine, postgres16: PostgresServer, postgres18: PostgresServer, tmp_path: Path
) -> None:
    clients = hanging_clients(tmp_path)
    with command_line.start("run", **clients) as process:
        wait_until_started(clients)
        told = b"".join(
            Path(f"/proc/{pid}/{name}").read_bytes() for pid in _family(process.pid) for name in ("cmdline", "environ")
        )
        process.terminate()
        process.communicate(timeout=60)
    assert b"PGIMPORT_ORDER" in told
    for secret in (postgres16.superuser_password, postgres18.admin_password):
        assert secret.encode() not in told


def _family(pid: int) -> list[int]:
    """Children and theirs."""
    return [one for child in children(pid) for one in (child, *_family(child))]


def test_help_shows_how(command_line: CommandLine) -> None:
    done = command_line.run("run", "--help")
    assert done.code == 0
    for word in ("PGIMPORT_SOURCE_URL", "examples:", "--recreate", "exit codes"):
        assert word in done.out


@pytest.mark.parametrize("jobs", ["0", "33", "many"])
def test_streams_have_bounds(command_line: CommandLine, jobs: str) -> None:
    done = command_line.run("run", "--jobs", jobs)
    assert done.code == 2
    assert "is not a number from 1 to 32" in done.err


@pytest.mark.thorough
def test_the_admins_other_databases_stay_open(command_line: CommandLine, postgres18: PostgresServer) -> None:
    postgres18.execute("CREATE DATABASE cli_other", user=ADMIN)
    postgres18.execute("CREATE ROLE cli_anybody LOGIN PASSWORD 'anybody'")
    try:
        assert command_line.run("run").code == 78
        postgres18.connect("cli_other", "cli_anybody", "anybody").close()
    except psycopg.OperationalError as error:
        pytest.fail(str(error))
    finally:
        postgres18.execute("DROP ROLE cli_anybody")
        postgres18.execute("DROP DATABASE cli_other")
