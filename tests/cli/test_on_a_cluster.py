"""Transcripts of the commands for a cluster, in terminals of several widths and in pipes."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.cli.terminal import open_terminal
from tests.e2e.postgres_pods import Source
from tests.e2e.tenant import Tenant
from tests.support import kubectl

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[2]
PREVIEW, IMPORT = "cli", "cli-first"


@pytest.fixture(scope="module")
def environment(source: Source) -> dict[str, str]:
    kept = {name: value for name, value in kubectl.environment().items() if not name.startswith("PGIMPORT_")}
    return {**kept, "PYTHONPATH": str(ROOT / "operator"), "SOURCE_URL": source.url("small")}


def command(tenant: Tenant, words: str) -> list[str]:
    return [sys.executable, "-m", "pgimport", "cli", "-n", tenant.name, *words.split()]


def run(tenant: Tenant, environment: Mapping[str, str], words: str) -> "subprocess.CompletedProcess[str]":
    """Runs a command with pipes."""
    return subprocess.run(
        command(tenant, words), env=dict(environment), capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(scope="module")
def imported(tenant: Tenant, environment: dict[str, str]) -> str:
    """Creates a preview and an import as a user does. Returns what the terminal showed meanwhile."""
    created = run(tenant, environment, f"preview create {PREVIEW} --wait")
    assert created.stdout == f"preview {PREVIEW} created\npreview {PREVIEW} is ready\n", created.stderr
    words = f"import create {IMPORT} --from-env SOURCE_URL --preview {PREVIEW} --watch"
    with open_terminal(command(tenant, words), environment) as terminal:
        assert terminal.wait() == 0, terminal.text
        return terminal.text


def test_a_watched_import_shows_its_phases_and_its_end(imported: str) -> None:
    assert "preflight" in imported
    assert f"import {IMPORT}  completed" in imported
    assert "counts: 1 table, " in imported


@pytest.mark.parametrize(("columns", "header"), [(40, "NAME STATE"), (80, "PHASE PROGRESS"), (200, "REASON AGE")])
def test_a_list_fits_its_terminal(
    columns: int, header: str, imported: str, tenant: Tenant, environment: dict[str, str]
) -> None:
    with open_terminal(command(tenant, "import list"), environment, columns) as terminal:
        assert terminal.wait() == 0
    lines = terminal.text.splitlines()
    assert header in " ".join(lines[0].split())
    assert max(map(len, lines)) <= columns
    assert any(line.split()[:2] == [IMPORT, "completed"] for line in lines)


def test_no_color_and_pipes_get_no_colours(imported: str, tenant: Tenant, environment: dict[str, str]) -> None:
    with open_terminal(command(tenant, "import list"), {**environment, "NO_COLOR": "1"}) as terminal:
        assert terminal.wait() == 0
    assert "\x1b[3" not in terminal.output
    piped = run(tenant, environment, "import list").stdout
    assert [line.split("\t")[:2] for line in piped.splitlines() if line.startswith(IMPORT)] == [[IMPORT, "completed"]]


def test_an_explanation_and_a_report_of_an_import(imported: str, tenant: Tenant, environment: dict[str, str]) -> None:
    explained = run(tenant, environment, f"import explain {IMPORT}").stdout
    assert f"next:\tpgimport -n {tenant.name} preview psql {PREVIEW}\n" in explained
    assert "compared:\t1 × table\n" in run(tenant, environment, f"import report {IMPORT}").stdout
    assert '"message"' in run(tenant, environment, f"import logs {IMPORT}").stdout


def test_psql_reaches_the_preview(imported: str, tenant: Tenant, environment: dict[str, str]) -> None:
    ended = run(tenant, environment, f"preview psql {PREVIEW} -- -Atc SELECT(1)")
    assert (ended.returncode, ended.stdout) == (0, "1\n"), ended.stderr


def test_ctrl_c_leaves_a_watch_and_the_terminal_as_it_was(tenant: Tenant, environment: dict[str, str]) -> None:
    waiting = run(tenant, environment, "import create cli-waits --from-secret no-such --preview cli")
    assert waiting.returncode == 0, waiting.stderr
    with open_terminal(command(tenant, "import get cli-waits --watch"), environment) as terminal:
        terminal.wait_for("SourceSecretMissing")
        terminal.type("\x03")
        assert terminal.wait() == 130
    assert terminal.output.rfind("\x1b[?25h") > terminal.output.rfind("\x1b[?25l")  # the cursor is shown again
    explained = run(tenant, environment, "import explain cli-waits").stdout
    assert "Secret no-such does not exist." in explained
    assert run(tenant, environment, "import cancel cli-waits --wait").stdout.endswith("cancelled: Cancelled\n")


def test_a_doctor_finds_the_installation_sound(tenant: Tenant, environment: dict[str, str]) -> None:
    rows = [line.split("\t") for line in run(tenant, environment, "doctor").stdout.splitlines()]
    signs = {name: sign for sign, name, _ in rows if not name.startswith("project ")}
    assert {signs[name] for name in ("cluster", "resources", "rights", "operator", "api")} == {"pass"}


def test_a_preview_is_deleted(imported: str, tenant: Tenant, environment: dict[str, str]) -> None:
    with open_terminal(command(tenant, f"preview delete {PREVIEW}"), environment) as terminal:
        terminal.wait_for("[y/N]")
        terminal.type("y\n")
        assert terminal.wait() == 0
    assert terminal.text.endswith(f"preview {PREVIEW} deleted\n")
