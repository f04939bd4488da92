"""The start of the trial server: its settings, and data of another major version. All programs are stand-ins."""

import os
import subprocess
from pathlib import Path

import pytest

START = Path(__file__).parents[2] / "charts/pgimport/files/server-start.sh"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder of stand-ins: initdb creates data of 18, and pg_ctl writes its arguments and fails."""
    scripts = {
        "postgres": 'echo "postgres (PostgreSQL) 18.6 (Debian 18.6-1)"',
        "initdb": 'mkdir "$PGDATA.new" && echo 18 > "$PGDATA.new/PG_VERSION"',
        "pg_ctl": f'echo "$@" > {tmp_path}/arguments; exit 4',
    }
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return folder


def _start(programs: Path) -> "subprocess.CompletedProcess[str]":
    variables = {"PATH": f"{programs}:{os.environ['PATH']}", "PGDATA": str(programs.parent / "data")}
    return subprocess.run(["sh", START], env=variables, capture_output=True, text=True, check=False)


def test_a_new_server_clones_files_and_keeps_connections_for_the_operator(programs: Path) -> None:
    assert _start(programs).returncode == 4
    arguments = (programs.parent / "arguments").read_text()
    assert "-c file_copy_method=clone" in arguments
    assert "-c reserved_connections=10" in arguments


def test_a_server_without_the_setting_starts_without_it(programs: Path) -> None:
    (programs / "postgres").write_text('#!/bin/sh\necho "postgres (PostgreSQL) 17.12"\n')
    (programs.parent / "data").mkdir()
    (programs.parent / "data/PG_VERSION").write_text("17\n")
    assert _start(programs).returncode == 4
    arguments = (programs.parent / "arguments").read_text()
    assert "file_copy_method" not in arguments
    assert "-c reserved_connections=10" in arguments


@pytest.mark.parametrize("version", ["18.6 (Debian 18.6-1)", "18beta1"])
def test_data_of_another_major_version_is_kept_and_the_log_says_what_to_set(programs: Path, version: str) -> None:
    (programs / "postgres").write_text(f'#!/bin/sh\necho "postgres (PostgreSQL) {version}"\n')
    (programs.parent / "data").mkdir()
    (programs.parent / "data/PG_VERSION").write_text("17\n")
    ended = _start(programs)
    assert ended.returncode == 1
    assert "data is of PostgreSQL 17, and the image has PostgreSQL 18" in ended.stderr
    assert "Set embeddedServer.image" in ended.stderr
    assert "postgres:17-trixie" in ended.stderr
    assert not (programs.parent / "arguments").exists()
