"""Commands for a cluster as processes, with a recorded kubectl: what they call, print and return."""

import base64
import http.server
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.cli.conftest import ROOT, CommandResult, FakeKubectl
from tests.cli.kubernetes_objects import Json, a_failed_import, a_preview, a_running_import, a_time, an_import
from tests.cli.terminal import open_terminal

from pgimport.cli.cluster_commands.blocks import Sign
from pgimport.cli.cluster_commands.doctor import check_key
from pgimport.cli.cluster_commands.main import COMMANDS

URL = "postgresql://reader:geheim@db.example.com:5432/shop"
IMPORT_KIND = "postgresimports.capydb.dev"
CHECK = {"name": "encoding", "status": "fail", "detail": "unknown"}
NOT_FOUND = f'Error from server (NotFound): {IMPORT_KIND} "debian" not found\n'
FORBIDDEN = f'Error from server (Forbidden): {IMPORT_KIND} "debian" is forbidden: User "u" cannot get it\n'
WATCH_ERROR = (
    json.dumps(
        {"type": "ERROR", "object": {"kind": "Status", "metadata": {}, "message": "http2: client connection lost"}}
    )
    + "\n"
)


@contextmanager
def running(process: "subprocess.Popen[str]") -> Iterator["subprocess.Popen[str]"]:
    """Ends the process also when the test fails."""
    with process:
        try:
            yield process
        finally:
            process.kill()


def events(*bodies: Json) -> str:
    """Returns what kubectl prints with --watch --output-watch-events --output json: a line for each event."""
    return "".join(json.dumps({"type": "MODIFIED", "object": body}) + "\n" for body in bodies)


def test_a_list_for_a_program_is_tab_separated_without_a_header(kubectl: FakeKubectl) -> None:
    kubectl.answer("get postgresimports.capydb.dev", {"items": [an_import("completed", "Completed")]})
    ended = kubectl.run("import", "list", "-n", "shop", "--context", "far", "--state", "completed")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.split("\n")[0].split("\t")[:3] == ["debian", "completed", "-"]
    [(arguments, _)] = kubectl.calls()
    assert {"--context=far", "--namespace", "shop", "--field-selector=status.state=completed"} <= set(arguments)


def test_an_import_that_the_operator_has_not_seen_is_pending(kubectl: FakeKubectl) -> None:
    kubectl.answer("get", {"items": [an_import()]})
    assert kubectl.run("import", "list", "--state", "pending").out.split("\t")[1] == "pending"
    [(arguments, _)] = kubectl.calls()
    others = ("running", "completed", "failed", "cancelled")
    assert f"--field-selector={','.join(f'status.state!={state}' for state in others)}" in arguments


def test_commands_for_a_cluster_start_without_pydantic() -> None:
    """pydantic takes longer to import than all else that such a command needs."""
    modules = ", ".join(sorted({f"pgimport.cli.cluster_commands.{module}" for module, _ in COMMANDS.values()}))
    code = f"import sys, pgimport.cli.main, {modules}; sys.exit('pydantic' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "operator")}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def test_options_of_the_cluster_may_stand_first(kubectl: FakeKubectl) -> None:
    kubectl.answer("get", {"items": []})
    ended = kubectl.run("-n", "shop", "import", "list")
    assert (ended.code, ended.out, ended.err) == (0, "", "there are no imports in namespace shop\n")


@pytest.mark.parametrize("choice", ["--state failed", "-l app=shop"])
def test_an_empty_choice_is_not_an_empty_namespace(kubectl: FakeKubectl, choice: str) -> None:
    kubectl.answer("get", {"items": []})
    assert (
        kubectl.run("import", "list", "-A", *choice.split()).err == "there are no imports in this cluster that match\n"
    )


@pytest.mark.parametrize("command", ["run", "apply x", "keys list"])
def test_options_of_the_cluster_are_refused_where_they_have_no_effect(kubectl: FakeKubectl, command: str) -> None:
    ended = kubectl.run("--context", "far", *command.split())
    assert ended.code == 2
    assert "--context does not apply to" in ended.err


def test_json_is_what_kubectl_prints(kubectl: FakeKubectl) -> None:
    kubectl.answer("get -o json", '{\n    "kind": "x"\n}\n')
    assert kubectl.run("import", "get", "debian", "-o", "json").out == '{\n    "kind": "x"\n}\n'


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("import list --watch -o json", "use kubectl get -w -o json"),
        ("import get debian --watch -o json", "use kubectl get -w -o json"),
        ("import preflight", "name an import, or a source"),
        ("import preflight --project shop --from-secret a/b/c", "names no key"),
        ("preview create gold --golden --ttl 3h", "leave --ttl out"),
        ("import list --state no-state", "invalid choice"),
    ],
)
def test_options_that_do_not_fit_are_wrong_usage(kubectl: FakeKubectl, words: str, error: str) -> None:
    ended = kubectl.run(*words.split())
    assert (ended.code, ended.out, kubectl.calls()) == (2, "", [])
    assert error in ended.err


def test_without_kubectl_there_is_one_line(kubectl: FakeKubectl) -> None:
    (kubectl.folder / "kubectl").unlink()
    ended = kubectl.run("import", "list", PATH=str(kubectl.folder))
    assert (ended.code, ended.out) == (127, "")
    assert ended.err == "pgimport: kubectl is not on PATH. Install it, or add its folder to PATH.\n"


def test_an_object_that_is_not_there_is_named_with_its_namespace(kubectl: FakeKubectl) -> None:
    kubectl.answer("config view", "team-7")
    kubectl.answer("get", error=NOT_FOUND)
    ended = kubectl.run("import", "get", "debian")
    assert (ended.code, ended.err) == (1, "pgimport: import debian in namespace team-7 was not found\n")


def test_a_wait_goes_on_after_the_api_server_ends_a_watch(kubectl: FakeKubectl) -> None:
    kubectl.answer("--watch debian", events(a_running_import()))
    kubectl.answer("--watch debian", events(an_import("completed", "Completed")), hangs=True)
    ended = kubectl.run("import", "wait", "debian")
    assert (ended.code, ended.out) == (0, "import debian completed\n")


def test_a_wait_goes_on_after_a_lost_connection(kubectl: FakeKubectl) -> None:
    kubectl.answer("--watch debian", events(a_running_import()), error="error: connection reset by peer\n")
    kubectl.answer("--watch debian", events(an_import("completed", "Completed")), hangs=True)
    assert kubectl.run("import", "wait", "debian").out == "import debian completed\n"


def test_a_wait_goes_on_while_the_api_server_is_away(kubectl: FakeKubectl) -> None:
    kubectl.answer("--watch debian", events(a_running_import()))
    kubectl.answer("--watch debian", error="The connection to the server 10.0.0.1:6443 was refused\n")
    kubectl.answer("--watch debian", events(an_import("completed", "Completed")), hangs=True)
    ended = kubectl.run("import", "wait", "debian")
    assert (ended.code, ended.out) == (0, "import debian completed\n"), ended.err


@pytest.mark.parametrize("error", [NOT_FOUND, FORBIDDEN], ids=["deleted", "rights"])
def test_a_wait_ends_if_the_object_is_gone_after_a_lost_connection(kubectl: FakeKubectl, error: str) -> None:
    kubectl.answer("--watch debian", events(a_running_import()))
    kubectl.answer("--watch debian", error=error)
    kubectl.answer("config view", "shop")
    assert kubectl.run("import", "wait", "debian").code == 1


def test_the_error_that_ends_a_watch_is_no_object(kubectl: FakeKubectl) -> None:
    """kubectl prints it like an object, for example `http2: client connection lost`."""
    kubectl.answer("--watch debian", events(a_running_import()) + WATCH_ERROR)
    kubectl.answer("--watch debian", events(an_import("completed", "Completed")), hangs=True)
    ended = kubectl.run("import", "get", "debian", "--watch")
    assert [line.split("\t")[:2] for line in ended.out.splitlines()] == [["debian", "running"], ["debian", "completed"]]
    assert (ended.code, ended.err) == (0, "")


def test_a_watch_that_never_answers_is_an_error(kubectl: FakeKubectl) -> None:
    kubectl.answer("--watch debian", error=NOT_FOUND)
    ended = kubectl.run("import", "wait", "debian", "-n", "shop")
    assert (ended.code, ended.err) == (1, "pgimport: import debian in namespace shop was not found\n")


def test_a_terminal_needs_rich_and_a_pipe_does_not(kubectl: FakeKubectl) -> None:
    (kubectl.folder / "rich.py").write_text("raise ModuleNotFoundError(name='rich')\n")
    kubectl.answer("get", {"items": [an_import("completed", "Completed")]})
    environment = kubectl.environment()
    environment["PYTHONPATH"] = f"{kubectl.folder}:{environment['PYTHONPATH']}"
    command = [sys.executable, "-m", "pgimport", "cli", "import", "list"]
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0
    with open_terminal(command, environment) as terminal:
        assert terminal.wait() == 127
    assert "Run `pip install 'pgimport[cli]'`." in terminal.text


@pytest.mark.parametrize("variables", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C"}], ids=["encoding", "locale"])
def test_a_terminal_without_unicode_shows_only_ascii(kubectl: FakeKubectl, variables: dict[str, str]) -> None:
    command = [sys.executable, "-m", "pgimport", "cli", "import", "preflight", "debian"]
    kubectl.answer("get debian", an_import("failed", "DumpFailed", preflight={"checks": [CHECK]}))
    with open_terminal(command, kubectl.environment(**variables)) as terminal:
        assert terminal.wait() == 1
    assert terminal.text == "x encoding: unknown\n"


def test_a_wait_for_several_imports_returns_the_code_of_the_first_failure(kubectl: FakeKubectl) -> None:
    for name, body in (
        ("one", an_import("completed", "Completed", name="one")),
        ("two", an_import("failed", "SourceAuthFailed", name="two")),
        ("three", an_import("cancelled", "Cancelled", name="three")),
    ):
        kubectl.answer(f"--watch {name}", events(body), hangs=True)
    ended = kubectl.run("import", "wait", "one", "two", "three")
    assert ended.code == 66
    assert ended.out.split("\n")[1:3] == ["import two failed: SourceAuthFailed", "import three cancelled: Cancelled"]


def test_a_name_that_is_not_there_does_not_end_the_wait_for_others(kubectl: FakeKubectl) -> None:
    kubectl.answer("--watch debian", error=NOT_FOUND)
    kubectl.answer("--watch two", events(an_import("failed", "SourceAuthFailed", name="two")), hangs=True)
    kubectl.answer("--watch three", events(a_running_import()), hangs=True)
    kubectl.answer("--watch four", events(an_import("completed", "Completed", name="four")), hangs=True)
    ended = kubectl.run("import", "wait", "debian", "two", "three", "four", "--timeout", "1s", "-n", "shop")
    assert (ended.code, ended.out) == (1, "import two failed: SourceAuthFailed\nimport four completed\n")
    assert "debian in namespace shop was not found" in ended.err
    assert "import three is still running (Running) after 1s" in ended.err


def test_a_preview_that_is_not_there_does_not_keep_others(kubectl: FakeKubectl) -> None:
    kubectl.answer("delete pr-1", error='Error from server (NotFound): previewdatabases.capydb.dev "pr-1" not found\n')
    kubectl.answer("delete pr-2")
    ended = kubectl.run("preview", "delete", "pr-1", "pr-2", "--yes", "--timeout", "0s", "-n", "shop")
    assert (ended.code, ended.out) == (1, "preview pr-2 deleted\n")
    assert ended.err == "pgimport: preview pr-1 in namespace shop was not found\n"
    assert all("--timeout=1s" in arguments for arguments, _ in kubectl.calls())  # kubectl waits without limit after 0s


def test_a_wait_ends_when_its_object_is_deleted_or_its_time_is_over(kubectl: FakeKubectl) -> None:
    kubectl.answer("--watch debian", json.dumps({"type": "DELETED", "object": an_import()}) + "\n")
    kubectl.answer("--watch slow", events(a_running_import()), hangs=True)
    assert kubectl.run("import", "wait", "debian").err == "pgimport: import debian was deleted\n"
    ended = kubectl.run("import", "wait", "slow", "--timeout", "1s")
    assert (ended.code, ended.err) == (1, "pgimport: import slow is still running (Running) after 1s\n")


def test_the_longest_timeout_is_one_that_a_clock_can_hold(kubectl: FakeKubectl) -> None:
    kubectl.answer("--watch debian", events(an_import("completed", "Completed")), hangs=True)
    kubectl.answer("delete pr-1")
    assert kubectl.run("import", "wait", "debian", "--timeout", "999999999h").out == "import debian completed\n"
    kubectl.run("preview", "delete", "pr-1", "--yes", "--timeout", "999999999h999999999h")
    assert "--timeout=315360000s" in kubectl.calls()[-1][0]


def test_names_after_two_dashes_belong_to_the_command(kubectl: FakeKubectl) -> None:
    """Except for `preview psql`, whose words there are psql's."""
    for name in ("psql", "preview"):
        kubectl.answer(f"--watch {name}", events(an_import("completed", "Completed", name=name)), hangs=True)
    ended = kubectl.run("import", "wait", "psql", "--", "preview")
    assert ended.out == "import psql completed\nimport preview completed\n"


def test_ctrl_c_in_a_watch_ends_kubectl_too(kubectl: FakeKubectl) -> None:
    kubectl.answer("--watch debian", events(a_running_import()), hangs=True)
    with running(kubectl.start("import", "get", "debian", "--watch")) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        [child] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert line.split("\t")[:3] == ["debian", "running", "data"]
    assert (process.returncode, out) == (130, "")
    assert err == "import debian goes on. To end it, run `pgimport import cancel debian`.\n"
    assert not Path(f"/proc/{child}").exists()


def test_a_new_import_gets_its_url_in_a_secret_and_never_in_an_argument(kubectl: FakeKubectl) -> None:
    kubectl.answer("get previewdatabases.capydb.dev pr-42", a_preview())
    kubectl.answer("create", an_import())
    ended = kubectl.run("import", "create", "debian", "--from-env", "SOURCE", "--preview", "pr-42", SOURCE=URL)
    assert (ended.code, ended.out) == (0, "debian\n"), ended.err
    calls = kubectl.calls()
    assert not any("geheim" in argument for arguments, _ in calls for argument in arguments)
    created = [json.loads(stdin) for _, stdin in calls if stdin]
    assert [body["kind"] for body in created] == ["PostgresImport", "Secret"]
    assert created[0]["spec"]["source"]["urlSecretRef"] == {"name": created[1]["metadata"]["name"], "key": "url"}
    assert created[1]["stringData"] == {"url": URL}
    assert created[1]["metadata"]["ownerReferences"][0]["uid"] == "uid-of-debian"


def test_an_import_whose_secret_is_refused_is_deleted_again(kubectl: FakeKubectl) -> None:
    kubectl.answer("get previewdatabases.capydb.dev", a_preview())
    kubectl.answer("create", an_import())
    kubectl.answer("create", error='Error from server (Forbidden): secrets is forbidden: User "u" cannot create it\n')
    kubectl.answer("delete debian")
    ended = kubectl.run("import", "create", "debian", "--from-env", "SOURCE", "--preview", "pr-42", SOURCE=URL)
    assert ended.code == 1
    assert "cannot create it" in ended.err
    assert kubectl.calls()[-1][0][:3] == ["delete", IMPORT_KIND, "debian"]


def test_a_retry_copies_the_secret_that_the_first_import_owns(kubectl: FakeKubectl) -> None:
    data = {"url": base64.b64encode(URL.encode()).decode()}
    owner = {"metadata": {"ownerReferences": [{"uid": "uid-of-debian"}]}, "data": data}
    kubectl.answer(f"get {IMPORT_KIND}", a_failed_import("SourceUnreachable", "no answer", 10))
    kubectl.answer("get secret source", owner)
    kubectl.answer("create", error=f'Error from server (AlreadyExists): {IMPORT_KIND} "debian-retry" already exists\n')
    kubectl.answer("config view", "shop")
    kubectl.answer("create", an_import(name="debian-retry-2"))
    ended = kubectl.run("import", "retry", "debian")
    assert (ended.code, ended.out) == (0, "debian-retry-2\n"), ended.err
    created = [json.loads(stdin) for _, stdin in kubectl.calls() if stdin]
    assert created[-1]["data"] == data
    assert created[-2]["spec"]["source"]["urlSecretRef"]["name"] == "debian-retry-2-source"


def test_a_preflight_of_a_source_leaves_no_import(kubectl: FakeKubectl) -> None:
    checks = [
        {"name": "source_reachable", "status": "pass", "detail": "it answers"},
        CHECK,
    ]
    report = an_import("failed", "RestoreFailed", name="probe", preflight={"checks": checks, "ok": False})
    kubectl.answer("create", an_import(name="probe"))
    kubectl.answer("--watch probe", events(report), hangs=True)
    kubectl.answer("delete probe")
    ended = kubectl.run("import", "preflight", "probe", "--project", "shop", "--from-secret", "source")
    assert (ended.code, ended.out) == (1, "pass\tsource_reachable\tit answers\nfail\tencoding\tunknown\n")
    assert kubectl.calls()[-1][0][0] == "delete"
    assert json.loads(kubectl.calls()[0][1])["spec"]["dryRun"] is True


def test_ctrl_c_in_a_preflight_of_a_source_leaves_no_import(kubectl: FakeKubectl) -> None:
    kubectl.answer("create", an_import(name="probe"))
    kubectl.answer("--watch probe", events(an_import("pending", "Queued", name="probe")), hangs=True)
    kubectl.answer("delete probe")
    words = ("import", "preflight", "probe", "--project", "shop", "--from-secret", "source")
    with running(kubectl.start(*words)) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "checking the source …\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert "delete" in [arguments[0] for arguments, _ in kubectl.calls()]


def test_a_preflight_says_which_import_it_could_not_delete(kubectl: FakeKubectl) -> None:
    report = an_import(
        "completed", "Completed", name="probe", preflight={"checks": [{**CHECK, "status": "pass"}], "ok": True}
    )
    kubectl.answer("create", an_import(name="probe"))
    kubectl.answer("--watch probe", events(report), hangs=True)
    kubectl.answer("delete probe", error=FORBIDDEN)
    ended = kubectl.run("import", "preflight", "probe", "--project", "shop", "--from-secret", "source")
    assert ended.code == 0
    assert "import probe is left, because it cannot be deleted" in ended.err


def test_a_project_that_the_user_names_is_that_of_the_import(kubectl: FakeKubectl) -> None:
    kubectl.answer("get previewdatabases.capydb.dev", a_preview())
    kubectl.answer("create", an_import())
    kubectl.run("import", "create", "x", "--from-secret", "s", "--preview", "pr-42", "--project", "other")
    assert json.loads(kubectl.calls()[-1][1])["spec"]["project"] == "other"


def test_imports_that_have_ended_are_not_cancelled(kubectl: FakeKubectl) -> None:
    kubectl.answer("get one", an_import("completed", "Completed", name="one"))
    kubectl.answer("get two", a_running_import())
    kubectl.answer("patch two", a_running_import())
    ended = kubectl.run("import", "cancel", "one", "two")
    assert (ended.code, ended.out) == (1, "import two is being cancelled\n")
    assert ended.err == "pgimport: import one has already ended: completed\n"


def test_a_report_is_not_written_while_the_first_attempt_runs(kubectl: FakeKubectl) -> None:
    kubectl.answer(f"get {IMPORT_KIND}", a_running_import())
    ended = kubectl.run("import", "report", "debian")
    assert ended.code == 1
    assert "it is written when an attempt has ended, and the import is running" in ended.err


def test_logs_print_the_last_words_of_a_pod_that_is_gone(kubectl: FakeKubectl) -> None:
    kubectl.answer(f"get {IMPORT_KIND}", a_failed_import("DumpFailed", "error"))
    kubectl.answer("get pods", {"items": []})
    ended = kubectl.run("import", "logs", "debian")
    assert ended.out == '{"log": {"message": "last words"}}\npg_dump: error: ...\n'
    assert ended.err == "pod pgi-debian-1 is gone; the status keeps its last output\n"


def write_url(kubectl: FakeKubectl, path: Path) -> CommandResult:
    values = {"host": "h", "port": "5432", "dbname": "d", "user": "u", "password": "p", "uri": URL}
    data = {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}
    kubectl.answer("get previewdatabases.capydb.dev", a_preview())
    kubectl.answer("get secret pr-42-connection", {"data": data})
    return kubectl.run("preview", "url", "pr-42", "--write-env", str(path))


def test_an_env_file_behind_a_link_is_written_and_the_link_stays(kubectl: FakeKubectl) -> None:
    link, target = kubectl.folder / ".env", kubectl.folder / "env.shared"
    target.write_text("A=1\n")
    link.symlink_to(target)
    assert write_url(kubectl, link).code == 0
    assert link.is_symlink()
    assert target.read_text() == f"A=1\nDATABASE_URL={URL}\n"


def test_a_device_is_not_replaced_by_an_env_file(kubectl: FakeKubectl) -> None:
    device = kubectl.folder / "device"
    device.symlink_to("/dev/null")
    ended = write_url(kubectl, device)
    assert (ended.code, device.is_symlink()) == (1, True)
    assert "is no regular file" in ended.err


@pytest.mark.parametrize(("content", "reason"), [(None, "is no regular file"), ("", "is empty")])
def test_a_dump_without_a_size_is_not_uploaded(kubectl: FakeKubectl, content: str | None, reason: str) -> None:
    dump = kubectl.folder / "shop.dump"
    dump.symlink_to("/dev/null") if content is None else dump.write_text(content)
    kubectl.answer("get previewdatabases.capydb.dev", a_preview())
    kubectl.answer("create --dry-run=server", an_import())
    ended = kubectl.run(
        *("import", "create", "x", "--dump", str(dump), "--preview", "pr-42"),
        PGIMPORT_API_URL="http://127.0.0.1:1",
        PGIMPORT_API_KEY="k",
    )
    assert ended.code == 1
    assert reason in ended.err


def test_an_import_that_cannot_be_created_is_refused_before_its_dump_is_uploaded(kubectl: FakeKubectl) -> None:
    dump = kubectl.folder / "shop.dump"
    dump.write_text("PGDMP")
    kubectl.answer("get previewdatabases.capydb.dev", a_preview())
    refused = f'Error from server (AlreadyExists): {IMPORT_KIND} "debian" already exists\n'
    kubectl.answer("create --dry-run=server", error=refused)
    ended = kubectl.run(
        *("import", "create", "debian", "--dump", str(dump), "--preview", "pr-42", "-n", "shop"),
        PGIMPORT_API_URL="http://127.0.0.1:1",
        PGIMPORT_API_KEY="k",
    )
    assert (ended.code, ended.err) == (1, "pgimport: import debian in namespace shop already exists\n")


def test_a_preview_is_not_suggested_in_a_namespace_that_does_not_exist(kubectl: FakeKubectl) -> None:
    words = ("import", "create", "x", "--from-secret", "s", "--preview", "pr-42", "-n", "shop")
    kubectl.answer("get", error='Error from server (NotFound): namespaces "shop" not found\n')
    assert kubectl.run(*words).err == "pgimport: namespace shop was not found\n"


def test_a_url_that_is_no_text_is_refused_in_one_line(kubectl: FakeKubectl) -> None:
    kubectl.answer("get previewdatabases.capydb.dev", a_preview())
    words = ("import", "create", "x", "--from-file", "-", "--preview", "pr-42")
    url = kubectl.folder / "url"
    url.write_bytes(b"\xff")
    with url.open("rb") as stdin, kubectl.start(*words, stdin=stdin, PYTHONIOENCODING="utf-8:strict") as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.startswith("pgimport: standard input cannot be read: ")


@pytest.mark.parametrize(
    ("words", "redirection", "code"),
    [
        ("import list", ">/dev/full", 1),
        ("run --json", ">/dev/full", 1),
        ("import list", ">&-", 0),
        ("import list", "2>&- <&-", 0),
    ],
)
def test_an_output_that_takes_nothing_is_no_crash(
    kubectl: FakeKubectl, words: str, redirection: str, code: int
) -> None:
    kubectl.answer("get", {"items": [an_import("completed", "Completed")]})
    command = f"exec {sys.executable} -m pgimport cli {words} {redirection}"
    ended = subprocess.run(
        ["sh", "-c", command], env=kubectl.environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == code
    assert ended.stderr == ("pgimport: [Errno 28] No space left on device\n" if code else "")


@pytest.mark.parametrize("verb", ["reset", "delete"])
def test_nothing_is_dropped_without_a_confirmation(kubectl: FakeKubectl, verb: str) -> None:
    ended = kubectl.run("preview", verb, "pr-42", "pr-43")
    assert ended.code == 1
    assert "pr-42, pr-43" in ended.err
    assert "add --yes" in ended.err
    assert kubectl.calls() == []


def test_ctrl_d_at_a_prompt_changes_nothing(kubectl: FakeKubectl) -> None:
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "pgimport", "cli", "preview", "delete", "pr-42"],
        env=kubectl.environment(),
        stdin=follower,
        stdout=subprocess.PIPE,
        stderr=follower,
    ) as process:
        os.close(follower)
        shown = b""
        while not shown.endswith(b"[y/N] "):
            shown += os.read(leader, 1024)
        os.write(leader, b"\x04")
        assert process.wait(60) == 1
    os.close(leader)
    assert kubectl.calls() == []


@pytest.mark.parametrize("command", ["psql", "url"])
def test_nobody_connects_to_a_database_that_is_about_to_be_dropped(kubectl: FakeKubectl, command: str) -> None:
    """After `preview reset`, the state is that of the old database until the operator sees the change."""
    kubectl.answer("get -- pr-42", a_preview(spec={"resetAt": a_time(60)}, resetAt=a_time(0)))
    ended = kubectl.run("preview", command, "pr-42")
    assert (ended.code, ended.out) == (1, "")
    assert "preview pr-42 is about to be reset: its new database is not ready yet" in ended.err


def test_psql_runs_with_a_private_passfile_that_is_gone_afterwards(kubectl: FakeKubectl) -> None:
    psql = kubectl.folder / "psql"
    psql.write_text(
        '#!/bin/sh\necho "$PGHOST $PGDATABASE $PGOPTIONS$PGSERVICE $*"\n'
        'stat -c %a "$PGPASSFILE"\ncat "$PGPASSFILE"\nexit 3\n'
    )
    psql.chmod(0o755)
    values = {
        "host": "127.0.0.1",
        "port": "5432",
        "dbname": "d",
        "user": "u",
        "password": "geheim",
        "uri": "postgresql://u:geheim@127.0.0.1/d",
    }
    data = {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}
    kubectl.answer("get previewdatabases.capydb.dev", a_preview())
    kubectl.answer("get secret pr-42-connection", {"data": data})
    ended = kubectl.run(
        "preview", "psql", "pr-42", "-n", "shop", "--", "-c", "select 1", PGSERVICE="other", TMPDIR=str(kubectl.folder)
    )
    assert (ended.code, ended.out) == (3, "127.0.0.1 d  -c select 1\n600\n*:*:*:*:geheim\n")
    assert list(kubectl.folder.glob("pgimport-*")) == []


def test_a_reader_that_goes_away_is_no_error(kubectl: FakeKubectl) -> None:
    kubectl.answer("get", {"items": [an_import("completed", "Completed", name=f"i{n}") for n in range(3000)]})
    with running(kubectl.start("import", "list")) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_a_schedule_is_run_now_with_its_own_spec(kubectl: FakeKubectl) -> None:
    template = an_import()["spec"]
    kubectl.answer("get postgresimportschedules.capydb.dev nightly", {"spec": {"importTemplate": template}})
    kubectl.answer("create", an_import())
    ended = kubectl.run("schedule", "run", "nightly", "--name", "now")
    assert (ended.code, ended.out) == (0, "now\n"), ended.err
    assert json.loads(kubectl.calls()[-1][1])["spec"] == template


def test_an_extension_waits_for_the_renewal_and_not_for_the_old_state(kubectl: FakeKubectl) -> None:
    body = a_preview()
    renewed = a_preview(spec={"renewedAt": a_time(60)}, renewedAt=a_time(60))
    old = a_preview("expired", "Expired", spec={"renewedAt": a_time(60)}, generation=2, observedGeneration=1)
    kubectl.answer("get -- pr-42", body)
    kubectl.answer("patch", body)
    kubectl.answer("--watch pr-42", events(old, renewed), hangs=True)
    ended = kubectl.run("preview", "extend", "pr-42", "--ttl", "48h", "--wait")
    assert (ended.code, ended.out.split("\n")[1]) == (0, "preview pr-42 is ready"), ended.err
    patches = [arguments for arguments, _ in kubectl.calls() if "patch" in arguments]
    assert json.loads(patches[0][patches[0].index("--patch") + 1])["spec"]["ttl"] == "48h"


def test_an_expired_preview_is_extended_and_not_reset(kubectl: FakeKubectl) -> None:
    kubectl.answer("get -- pr-42", a_preview("expired", "Expired"))
    ended = kubectl.run("preview", "reset", "pr-42", "--yes")
    assert (ended.code, ended.out) == (1, "")
    assert "pgimport preview extend pr-42" in ended.err
    assert [arguments for arguments, _ in kubectl.calls() if "patch" in arguments] == []


def test_a_doctor_without_a_cluster_says_so(kubectl: FakeKubectl) -> None:
    kubectl.answer("get --raw /version", error="The connection to the server localhost:8080 was refused\n")
    ended = kubectl.run("doctor")
    assert ended.code == 1
    assert ended.out.startswith("fail\tcluster\tkubectl cannot use it: The connection")


RESOURCES = ("postgresimports", "previewdatabases", "postgresimportschedules", "projects")


@pytest.mark.parametrize(
    ("discovery", "sign"),
    [
        ({"out": {"resources": [{"name": name} for name in RESOURCES]}}, "pass"),
        ({"error": "Error from server (NotFound): the server could not find the requested resource\n"}, "fail"),
        ({"error": "Error from server (Forbidden): forbidden: no\n"}, "fail"),
    ],
    ids=["served", "not installed", "not told"],
)
def test_a_doctor_reads_our_group_alone(kubectl: FakeKubectl, discovery: Json, sign: str) -> None:
    """With a group of another program that does not answer, `kubectl api-resources` fails."""
    kubectl.answer("get --raw /version", {})
    kubectl.answer("get --raw /apis/capydb.dev/v1alpha1", **discovery)
    kubectl.answer("create", error=FORBIDDEN)
    kubectl.answer("get deployments", error=FORBIDDEN)
    kubectl.answer("get", {"items": []})
    rows = [line.split("\t")[:2] for line in kubectl.run("doctor").out.splitlines()]
    assert [sign, "resources"] in rows
    assert ("projects" in [name for _, name in rows]) == (sign == "pass")


def test_a_doctor_goes_on_after_a_check_that_fails(kubectl: FakeKubectl) -> None:
    kubectl.answer("get --raw /version", {})
    kubectl.answer("get --raw /apis/capydb.dev/v1alpha1", {"resources": [{"name": name} for name in RESOURCES]})
    kubectl.answer("create", error=FORBIDDEN)
    kubectl.answer("get deployments", error="Error from server (Timeout): the request timed out\n")
    kubectl.answer("get", {"items": [an_import("completed", "Completed")]})
    rows = [line.split("\t") for line in kubectl.run("doctor").out.splitlines()]
    assert ["fail", "installation", "it cannot be checked: the request timed out"] in rows
    assert "imports" in [name for _, name, _ in rows]


@pytest.mark.parametrize("url", ["http://localhost:none", "http://[::1", "http://127.0.0.1:{port}"])
def test_a_doctor_names_a_url_at_which_no_api_answers(kubectl: FakeKubectl, url: str) -> None:
    kubectl.answer("get --raw /version", error="refused\n")
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer_without_http, args=(server,), daemon=True).start()
        ended = kubectl.run("doctor", PGIMPORT_API_URL=url.format(port=server.getsockname()[1]))
    assert ended.out.splitlines()[-1].startswith("fail\tHTTP API\t")
    assert (ended.code, ended.err) == (1, "")


@pytest.mark.parametrize(("status", "sign"), [(401, "fail"), (403, "warn"), (404, "pass"), (429, "warn")])
def test_a_doctor_says_whether_the_key_is_valid(kubectl: FakeKubectl, status: int, sign: str) -> None:
    kubectl.answer("get --raw /version", error="refused\n")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def do_POST(self) -> None:
            self.send_response(status if self.headers["Authorization"] == "Bearer geheim" else 500)
            self.end_headers()

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        ended = kubectl.run("doctor", PGIMPORT_API_URL=url, PGIMPORT_API_KEY="geheim\n")
        server.shutdown()
    assert [line.split("\t")[:2] for line in ended.out.splitlines()][-2:] == [["pass", "HTTP API"], [sign, "API key"]]
    assert "geheim" not in ended.out + ended.err


def test_a_doctor_does_not_quote_a_key_that_no_header_can_hold() -> None:
    sign, _, text = check_key("http://127.0.0.1:1", "geheim\nhush")
    assert sign is Sign.FAIL
    assert "geheim" not in text


def answer_without_http(server: socket.socket) -> None:
    with suppress(OSError):
        connection = server.accept()[0]
        with connection:
            connection.sendall(b"E\0SFATAL\0\r\n")
            connection.recv(4096)


def test_a_suggested_command_goes_to_the_same_cluster(kubectl: FakeKubectl) -> None:
    kubectl.answer("get", a_failed_import("SourceUnreachable", "no answer"))
    ended = kubectl.run("--context", "prod cluster", "--kubeconfig", "k", "-n", "shop", "import", "explain", "debian")
    command = "pgimport '--context=prod cluster' --kubeconfig=k -n shop import retry debian"
    assert ended.out.splitlines()[-1] == f"next:\t{command}"


def test_a_plugin_of_kubectl_names_itself_so(kubectl: FakeKubectl) -> None:
    program = kubectl.folder / "kubectl-pgimport"
    program.write_text(f"#!{sys.executable}\nimport sys\nfrom pgimport.cli.main import main\nsys.exit(main())\n")
    program.chmod(0o755)
    kubectl.answer("get previewdatabases.capydb.dev", a_preview(spec={"golden": True}))
    ended = subprocess.run(
        [program, "preview", "psql", "pr-42"], env=kubectl.environment(), capture_output=True, text=True, check=False
    )
    assert "run `kubectl pgimport preview clone NEW --from pr-42`" in ended.stderr
