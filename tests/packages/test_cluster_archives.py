"""The commands for a cluster run from one file without any installed package, also when krew has installed it."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.cluster.go_programs import ensure_go_program
from tests.packages.conftest import ROOT
from tests.support.cluster_archives import ARCHIVE, MANIFEST, PROGRAM, build_program, list_modules, main

from pgimport import __version__

IMPORT_ALL = "import importlib, sys; sys.path.insert(0, sys.argv[1]); [*map(importlib.import_module, sys.argv[2:])]"
ON_OLD_PYTHON = "import runpy, sys; sys.version_info = (3, 9); runpy.run_path(sys.argv[1], run_name='__main__')"
KREW = Path(__file__).parent / "krew"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archives")
    assert main(folder, "https://packages.example.com/") == 0
    return folder


def run_python(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Runs Python without the packages of this environment."""
    return subprocess.run(
        [sys.executable, "-I", "-S", *arguments], cwd="/", capture_output=True, text=True, timeout=60, check=False
    )


def test_the_file_has_all_that_commands_for_a_cluster_import(folder: Path) -> None:
    modules = [name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in list_modules()]
    assert "pgimport.cli.cluster_commands.drawing" in modules
    ended = run_python("-c", IMPORT_ALL, folder / PROGRAM, *modules)
    assert ended.returncode == 0, ended.stderr
    ended = run_python(folder / PROGRAM, "version", "--client")
    assert (ended.returncode, __version__ in ended.stdout) == (0, True), ended.stderr


@pytest.mark.parametrize(
    ("command", "requirement"),
    [
        ("run", "pgimport"),
        ("keys list", "pgimport[operator]"),
        ("apply project.yaml", "pgimport[operator]"),
        ("release", "pgimport[operator]"),
    ],
)
def test_the_file_says_which_installation_has_the_other_commands(folder: Path, command: str, requirement: str) -> None:
    ended = run_python(folder / PROGRAM, *command.split())
    assert (ended.returncode, ended.stdout) == (127, "")
    assert "pgimport.pyz has the commands for a cluster" in ended.stderr
    assert f"run `pip install '{requirement}'`." in ended.stderr


def test_an_older_python_is_refused_in_words(folder: Path) -> None:
    ended = run_python("-c", ON_OLD_PYTHON, folder / PROGRAM)
    assert (ended.returncode, ended.stderr) == (1, "pgimport needs Python 3.11 or newer, and this is Python 3.9\n")


def test_the_same_sources_give_the_same_file_with_the_licences_of_all(folder: Path) -> None:
    assert build_program() == (folder / PROGRAM).read_bytes()
    names = zipfile.ZipFile(folder / PROGRAM).namelist()
    libraries = {name.partition("/")[0] for name in names if name.endswith(".dist-info/METADATA")}
    licences = {name.partition("/")[0] for name in names if "LICENSE" in name}
    assert "rich" in {name.partition("-")[0] for name in libraries}
    assert licences == libraries | {"LICENSE"}


@pytest.mark.thorough
def test_krew_installs_the_plugin_with_its_completion(folder: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "python3").symlink_to(Path(sys.executable).resolve())
    installed = tmp_path / "krew" / "bin"
    environment = {
        "PATH": f"{installed}:{programs}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "KREW_ROOT": str(tmp_path / "krew"),
        "KREW_NO_UPGRADE_CHECK": "1",
    }

    def run(command: Sequence[str | Path]) -> str:
        ended = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    krew = ensure_go_program(KREW)
    run([krew, "install", "--manifest", folder / MANIFEST, "--archive", folder / ARCHIVE])
    assert __version__ in run(["kubectl", "pgimport", "version", "--client"])
    assert run(["kubectl", "pgimport", "--help"]).startswith("usage: kubectl pgimport")
    # As docs/cli.md says: the one file is also the program that completes.
    page = (ROOT / "docs" / "cli.md").read_text()
    [link] = [line for line in page.splitlines() if line.startswith("ln -s kubectl-pgimport ")]
    run(["sh", "-c", link])
    assert run(["kubectl", "__complete", "pgimport", "import", "re"]).split() == ["report", "resume", "retry", ":4"]
