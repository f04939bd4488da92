"""`pgimport run` as a user starts it: command, worker and two servers are real."""

import hashlib
import json
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from tests.cli.conftest import (
    CommandLine,
    hanging_clients,
    list_children,
    list_leftovers,
    wait_until_shadow_exists,
    wait_until_started,
)
from tests.support.client_programs import current_clients
from tests.support.https import body, run_https_server
from tests.support.postgres import ADMIN, PostgresServer

from pgimport.cli.arguments import RUN_EPILOG
from pgimport.model.owner_comment import ImportedContent, ShadowRecord, format_owner_comment
from pgimport.model.reasons import MEANINGS


def _assert_clean(command_line: CommandLine, target: PostgresServer) -> None:
    assert list_leftovers(target) == []
    assert list(command_line.scratch.iterdir()) == []


@pytest.mark.thorough
def test_clients_without_security_fixes_are_refused_and_the_copy_is_dropped(
    command_line: CommandLine, postgres18: PostgresServer
) -> None:
    """The first client is started after preflight, shadow, gate and snapshot."""
    result = command_line.run("run")
    assert result.code == 78
    [line] = [line for line in result.err.splitlines() if line.startswith("pgimport:")]
    assert line.startswith("pgimport: ClientTooOld: pg_")
    assert "lacks security fixes" in line
    assert "PGIMPORT_CLIENTS" in line
    assert "✓ source_reachable" in result.err
    assert result.out == ""
    assert postgres18.query("SELECT FROM pg_database WHERE datname = 'cli_copy'") == []
    _assert_clean(command_line, postgres18)


def test_a_database_is_imported_and_replaced(
    command_line: CommandLine, postgres18: PostgresServer, tmp_path: Path
) -> None:
    clients = current_clients(tmp_path)
    result = command_line.run("run", **clients)
    assert (result.code, result.err.count("pgimport:")) == (0, 0), result.err
    assert "verified (counts): 1 tables, 2 rows" in result.out
    assert f"\ndata as of {datetime.now(UTC).date()}T" in result.out
    password = result.out.rstrip().rpartition(": ")[2]
    with postgres18.connect("cli_copy", "cli_copy_owner", password) as connection:
        assert connection.execute("SELECT count(*) FROM items").fetchone() == (2,)
        connection.execute("CREATE TABLE mine (id int)")
    result = command_line.run("run", **clients)
    assert "TargetNotEmpty" in result.err
    (tmp_path / "password").write_text("chosen by the user\n")
    result = command_line.run("run", "--recreate", "--json", "--owner-password-file", f"{tmp_path}/password", **clients)
    assert result.code == 0
    summary = json.loads(result.out.splitlines()[-1])["result"]
    assert datetime.now(UTC) - datetime.fromisoformat(summary["dataAsOf"]) < timedelta(minutes=5)
    assert (summary["owner"], summary["verification"]["rows"], "ownerPassword" in summary) == (
        "cli_copy_owner",
        2,
        False,
    )
    with postgres18.connect("cli_copy", "cli_copy_owner", "chosen by the user") as connection:
        assert connection.execute("SELECT to_regclass('mine')").fetchone() == (None,)
    _assert_clean(command_line, postgres18)


def test_a_golden_database_is_filled_and_copied(
    command_line: CommandLine, postgres16: PostgresServer, postgres18: PostgresServer, tmp_path: Path
) -> None:
    clients = current_clients(tmp_path)
    result = command_line.run("run", "--golden", **clients)
    assert result.code == 0, result.err
    assert "password" not in result.out
    role = "SELECT rolcanlogin, rolpassword FROM pg_authid WHERE rolname = 'cli_copy_owner'"
    assert postgres18.query(role) == [(False, None)]
    copied_again = ("run", "--from-golden", "cli_copy", "--recreate")
    target = {"PGIMPORT_TARGET_URL": command_line.target_url.replace("/cli_copy", "/cli_pr_7")}
    try:
        copy = command_line.run("run", "--from-golden", "cli_copy", **target)
        assert copy.code == 0, copy.err
        assert "copied cli_copy into cli_pr_7" in copy.out
        assert next(line for line in copy.out.splitlines() if line.startswith("data as of")) in result.out
        password = copy.out.rstrip().rpartition(": ")[2]
        with postgres18.connect("cli_pr_7", "cli_pr_7_owner", password) as connection:
            assert connection.execute("DELETE FROM items RETURNING id").fetchall() == [(1,), (2,)]
            connection.execute("DROP TABLE items; CREATE TABLE mine (id int)")
        refused = command_line.run("run", "--from-golden", "cli_copy", **target)
        assert "TargetNotEmpty: database cli_pr_7 exists (hint: Use --recreate" in refused.err
        postgres16.execute("INSERT INTO items VALUES (3)", "cli_shop")
        assert command_line.run("run", "--golden", "--recreate", **clients).code == 0
        copy = command_line.run(*copied_again, "--json", **target)
        assert copy.code == 0, copy.err
        password = json.loads(copy.out.splitlines()[-1])["result"]["ownerPassword"]
        with postgres18.connect("cli_pr_7", "cli_pr_7_owner", password) as connection:
            assert connection.execute("SELECT count(*), to_regclass('mine') FROM items").fetchone() == (3, None)
    finally:
        postgres18.execute("DROP DATABASE IF EXISTS cli_pr_7 WITH (FORCE)")
        postgres18.execute("DROP ROLE IF EXISTS cli_pr_7_owner")
    foreign = command_line.run(*copied_again, PGIMPORT_TARGET_URL=postgres18.url("postgres", ADMIN))
    assert "NameTaken: database postgres exists and is not of a copy that --from-golden made" in foreign.err
    assert "(hint: Choose another --target or --owner.)" in foreign.err
    missing = command_line.run("run", "--from-golden", "nowhere", **target)
    assert "has no golden database nowhere (hint: Create it with `pgimport run --golden`.)" in missing.err
    _assert_clean(command_line, postgres18)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--from-golden", "shop", "--exclude-table", "x"), "--exclude-table does not apply to --from-golden"),
        (("--from-golden", "shop", "--plan"), "--plan does not apply to --from-golden"),
        (("--golden", "--owner-password-file", "x"), "--owner-password-file does not apply to --golden"),
        (("--from-golden", ""), "--from-golden names no database"),
    ],
)
def test_options_that_a_golden_database_does_not_have_are_refused(
    command_line: CommandLine, arguments: tuple[str, ...], message: str
) -> None:
    result = command_line.run("run", *arguments)
    assert result.code != 0
    assert message in result.err


@pytest.mark.parametrize("name", ["source", "target"])
def test_an_empty_url_is_not_replaced_by_the_environments(command_line: CommandLine, name: str) -> None:
    result = command_line.run("run", f"--{name}", "")
    assert f"{name.capitalize()}URLInvalid: the {name} URL is missing" in result.err


@pytest.mark.parametrize("copied", [(), ("--from-golden", "shop")], ids=["import", "copy"])
def test_a_name_that_postgresql_would_cut_is_refused(command_line: CommandLine, copied: tuple[str, ...]) -> None:
    """Two branches with the same beginning would have one database."""
    database, owner = "pr_" + "x" * 61, "\u00e9" * 32
    result = command_line.run("run", *copied, PGIMPORT_TARGET_URL=f"postgresql://admin@localhost/{database}")
    assert f"TargetURLInvalid: the name of database {database} has 64 bytes; PostgreSQL allows 63" in result.err
    result = command_line.run("run", *copied, "--owner", owner)
    assert f"InvalidSpec: the name of role {owner} has 64 bytes" in result.err


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("verify", "output"),
    [("checksums", "verified (checksums): 1 tables, 2 rows"), ("none", "note: not verified: --verify is none")],
    ids=["checksums", "none"],
)
def test_the_copy_is_compared_as_verify_says(
    command_line: CommandLine, tmp_path: Path, verify: str, output: str
) -> None:
    result = command_line.run("run", "--verify", verify, **current_clients(tmp_path))
    assert result.code == 0, result.err
    assert output in result.out
    assert result.out.count("verified (") == (verify != "none")


@pytest.mark.thorough
def test_a_dump_file_is_imported_with_a_filter_and_post_import_sql(
    command_line: CommandLine, postgres16: PostgresServer, postgres18: PostgresServer, tmp_path: Path
) -> None:
    postgres16.execute("CREATE TABLE other (id int)", "cli_shop")
    dump = [str(postgres16.bin / "pg_dump"), "--format=custom", command_line.source_url]
    content = subprocess.run(dump, check=True, capture_output=True).stdout
    (tmp_path / "mask.sql").write_text("UPDATE items SET id = id + 100;")
    (tmp_path / "https").mkdir()
    with run_https_server(tmp_path / "https", "localhost") as server:
        server.answers["/shop.dump"] = body(content)
        result = command_line.run(
            "run",
            "--ca",
            str(server.ca),
            "--post-import",
            f"{tmp_path}/mask.sql",
            "--exclude-table",
            "other",
            "--sha256",
            hashlib.sha256(content).hexdigest(),
            PGIMPORT_SOURCE_URL=server.url("/shop.dump?signature=0123456789abcdef"),
            **current_clients(tmp_path),
        )
    assert result.code == 0, result.err
    assert f"the dump file at localhost:{server.port}" in result.err
    assert "0123456789abcdef" not in result.err + result.out
    assert "by design: TABLE public.other (0 rows): --exclude-table leaves it out" in result.out
    assert postgres18.query("SELECT id FROM items ORDER BY 1", "cli_copy") == [(101,), (102,)]
    _assert_clean(command_line, postgres18)


def test_a_plan_is_printed_and_changes_nothing(command_line: CommandLine, postgres18: PostgresServer) -> None:
    result = command_line.run("run", "--plan", "--owner", "somebody")
    assert (result.code, result.err.count("✗")) == (0, 0)
    assert "owned by somebody with a new password" in result.out
    assert "    public.items: 0.0 MiB, copied by libpq with FREEZE, then 1 index\n" in result.out
    assert "nothing was changed" in result.out
    assert postgres18.query("SELECT FROM pg_database WHERE datname = 'cli_copy'") == []
    _assert_clean(command_line, postgres18)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("flags", "steps"),
    [
        (["--dry-run"], None),
        (["--plan", "--engine", "dump", "--jobs", "3"], ["engine dump, 3 jobs"]),
    ],
    ids=["without steps", "with steps"],
)
def test_a_plan_with_json_prints_only_json_lines(
    command_line: CommandLine, flags: list[str], steps: list[str] | None
) -> None:
    result = command_line.run("run", "--json", *flags)
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert lines[-1]["result"].get("steps") == steps
    assert lines[-1]["result"]["ok"] is True
    assert lines[-1]["result"]["preflight"]["source"]["serverVersion"].startswith("16.")
    assert all(line.keys() <= {"log", "progress", "result"} for line in lines)
    assert result.err == ""


@pytest.mark.thorough
@pytest.mark.parametrize("flags", [[], ["--plan"]], ids=["run", "plan"])
def test_a_target_with_objects_needs_recreate(
    command_line: CommandLine, postgres18: PostgresServer, flags: list[str]
) -> None:
    postgres18.execute("CREATE DATABASE cli_copy", user=ADMIN)
    postgres18.execute("CREATE TABLE mine (id int)", "cli_copy", ADMIN)
    result = command_line.run("run", *flags)
    assert result.code == 1
    assert "TargetNotEmpty: database cli_copy has objects of its own: table public.mine" in result.err
    assert "--recreate" in result.err
    assert postgres18.query("SELECT count(*) FROM mine", "cli_copy") == [(0,)]
    _assert_clean(command_line, postgres18)
    assert command_line.run("run", "--recreate", "--plan").code == 0


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        pytest.param({"PGIMPORT_SOURCE_URL": ""}, 64, "SourceURLInvalid: the source URL is missing", id="no-source"),
        pytest.param({"PGIMPORT_TARGET_URL": ""}, 85, "TargetURLInvalid: the target URL is missing", id="no-target"),
        pytest.param(
            {"PGIMPORT_SOURCE_URL": "mysql://a:b@c/d"}, 64, "SourceURLInvalid: the source URL is not ", id="bad-source"
        ),
        pytest.param(
            {"PGIMPORT_TARGET_URL": "mysql://a:b@c/d"}, 85, "TargetURLInvalid: the target URL is not ", id="bad-target"
        ),
        pytest.param(
            {"PGIMPORT_TARGET_URL": "postgresql://admin:topsecret@127.0.0.1:1/x"},
            1,
            "ServerUnreachable",
            id="no-server",
        ),
    ],
)
def test_an_unusable_url_or_server_is_one_line(
    command_line: CommandLine, changes: dict[str, str], code: int, message: str
) -> None:
    result = command_line.run("run", **changes)
    assert (result.code, result.err.count("\n")) == (code, 1)
    assert message in result.err
    assert "topsecret" not in result.err


def test_a_wrong_source_password_has_its_own_exit_code(command_line: CommandLine, postgres18: PostgresServer) -> None:
    user, _, rest = command_line.source_url.partition("@")
    result = command_line.run("run", "--json", PGIMPORT_SOURCE_URL=f"{user}-wrong@{rest}")
    assert result.code == 66
    summary = json.loads(result.out.splitlines()[-1])["result"]
    assert (summary["ok"], summary["reason"], summary["retryClassification"]) == (
        False,
        "SourceAuthFailed",
        "permanent",
    )
    assert "-wrong" not in result.out + result.err
    _assert_clean(command_line, postgres18)


@pytest.mark.thorough
def test_a_password_in_an_argument_causes_a_warning(command_line: CommandLine) -> None:
    result = command_line.run("run", "--plan", "--source", command_line.source_url)
    assert result.code == 0
    assert "warning: every user of this machine can read the password in --source" in result.err
    assert "PGIMPORT_SOURCE_URL" in result.err


@pytest.mark.thorough
def test_urls_are_read_from_files(command_line: CommandLine, tmp_path: Path) -> None:
    for name, url in (("source", command_line.source_url), ("target", command_line.target_url)):
        (tmp_path / name).write_text(url + "\n")
    empty = {"PGIMPORT_SOURCE_URL": "", "PGIMPORT_TARGET_URL": ""}
    result = command_line.run(
        "run", "--plan", "--source-file", f"{tmp_path}/source", "--target-file", f"{tmp_path}/target", **empty
    )
    assert result.code == 0
    assert "warning" not in result.err
    result = command_line.run("run", "--source-file", f"{tmp_path}/nothing", **empty)
    assert "No such file" in result.err


@pytest.mark.parametrize("owner", [ADMIN, "cli_busy_owner"])
def test_an_owner_that_cannot_be_replaced_is_refused_first(
    command_line: CommandLine, postgres18: PostgresServer, owner: str
) -> None:
    postgres18.execute("CREATE ROLE cli_busy_owner")
    try:
        with postgres18.database("cli_elsewhere", "cli_busy_owner"):
            result = command_line.run("run", "--owner", owner)
    finally:
        postgres18.execute("DROP ROLE cli_busy_owner")
    assert result.code == 1
    assert "choose another" in result.err
    _assert_clean(command_line, postgres18)


@pytest.mark.thorough
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_an_interrupted_run_leaves_no_database_role_or_file(
    command_line: CommandLine, postgres18: PostgresServer, tmp_path: Path, number: signal.Signals
) -> None:
    clients = hanging_clients(tmp_path)
    with command_line.start("run", **clients) as process:
        wait_until_started(clients)
        wait_until_shadow_exists(postgres18)
        process.send_signal(number)
        _, err = process.communicate(timeout=300)
    assert process.returncode == 128 + number
    assert "Cancelled: interrupted; the target is unchanged" in err
    _assert_clean(command_line, postgres18)


@pytest.mark.thorough
@pytest.mark.thorough
def test_a_run_whose_reader_has_gone_leaves_no_database_and_no_role(
    command_line: CommandLine, postgres18: PostgresServer
) -> None:
    with command_line.start("run", "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141
    assert list_leftovers(postgres18) == []


def test_an_interrupted_copy_ends_at_the_server_and_the_next_call_makes_it(
    command_line: CommandLine, postgres18: PostgresServer
) -> None:
    """CREATE DATABASE waits for a session in the golden database, and the signal arrives meanwhile."""
    record = format_owner_comment(None, ShadowRecord(imported=ImportedContent()))
    with postgres18.connect("postgres", ADMIN) as admin:
        for statement in (
            "CREATE ROLE cli_copy_owner NOLOGIN",
            f"COMMENT ON ROLE cli_copy_owner IS '{record}'",
            "GRANT cli_copy_owner TO CURRENT_USER",
            "CREATE DATABASE cli_copy OWNER cli_copy_owner",
        ):
            admin.execute(statement.encode())
    target = {"PGIMPORT_TARGET_URL": command_line.target_url.replace("/cli_copy", "/cli_pr_8")}
    running = (
        "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'pgimport copy%' AND query ~ '^CREATE DATAB'"
    )
    try:
        with (
            postgres18.connect("cli_copy"),
            command_line.start("run", "--from-golden", "cli_copy", **target) as process,
        ):
            deadline = time.monotonic() + 60
            while not postgres18.query(running):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=300)
        assert process.returncode == 128 + signal.SIGINT
        assert "Cancelled: interrupted; run the command again" in err
        assert postgres18.query(running) == []
        assert postgres18.query("SELECT FROM pg_database WHERE datname = 'cli_pr_8'") == []
        again = command_line.run("run", "--from-golden", "cli_copy", **target)
        assert again.code == 0, again.err
    finally:
        postgres18.execute("DROP DATABASE IF EXISTS cli_pr_8 WITH (FORCE)")
        postgres18.execute("DROP ROLE IF EXISTS cli_pr_8_owner")


def test_no_password_is_in_arguments_or_environment_of_the_worker(
    command_line: CommandLine, postgres16: PostgresServer, postgres18: PostgresServer, tmp_path: Path
) -> None:
    clients = hanging_clients(tmp_path)
    with command_line.start("run", **clients) as process:
        wait_until_started(clients)
        contents = b"".join(
            Path(f"/proc/{pid}/{name}").read_bytes()
            for pid in _list_descendants(process.pid)
            for name in ("cmdline", "environ")
        )
        process.terminate()
        process.communicate(timeout=300)
    assert b"PGIMPORT_ORDER" in contents
    for secret in (postgres16.superuser_password, postgres18.admin_password):
        assert secret.encode() not in contents


def _list_descendants(pid: int) -> list[int]:
    return [descendant for child in list_children(pid) for descendant in (child, *_list_descendants(child))]


def test_help_has_examples_and_exit_codes(command_line: CommandLine) -> None:
    result = command_line.run("run", "--help")
    assert result.code == 0
    for text in ("PGIMPORT_SOURCE_URL", "examples:", "--recreate", "exit codes"):
        assert text in result.out


def test_help_names_the_exit_codes_of_all_reasons() -> None:
    codes: dict[str, list[int]] = {}
    for meaning in MEANINGS.values():
        if meaning.exit_code is not None:
            codes.setdefault(meaning.classification, []).append(meaning.exit_code)
    assert len(codes) == 3
    for numbers in codes.values():
        assert f"  {min(numbers)} to {max(numbers)}  " in RUN_EPILOG


@pytest.mark.parametrize("jobs", ["0", "33", "many"])
def test_a_number_of_jobs_outside_its_bounds_is_refused(command_line: CommandLine, jobs: str) -> None:
    result = command_line.run("run", "--jobs", jobs)
    assert result.code == 2
    assert "is not a number from 1 to 32" in result.err


@pytest.mark.thorough
def test_the_admins_other_databases_stay_open(command_line: CommandLine, postgres18: PostgresServer) -> None:
    postgres18.execute("CREATE DATABASE cli_other", user=ADMIN)
    postgres18.execute("CREATE ROLE cli_other_user LOGIN PASSWORD 'secret'")
    try:
        assert command_line.run("run").code == 78
        postgres18.connect("cli_other", "cli_other_user", "secret").close()
    except psycopg.OperationalError as error:
        pytest.fail(str(error))
    finally:
        postgres18.execute("DROP ROLE cli_other_user")
        postgres18.execute("DROP DATABASE cli_other")
