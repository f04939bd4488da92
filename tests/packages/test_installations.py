"""Each installation and each image has the packages of its own programs and no others."""

import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from tests.packages.conftest import ROOT, PythonEnvironment, make_environment, write_constraints

pytestmark = pytest.mark.thorough

# Imports the modules and packages that are named, and all modules below the packages.
IMPORT_MODULES = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    module = importlib.import_module(name)
    for below in pkgutil.walk_packages(getattr(module, "__path__", []), f"{name}."):
        importlib.import_module(below.name)
"""
COMMANDS_OF_THE_OPERATOR = [f"pgimport.cli.{name}_command" for name in ("keys", "apply", "release")]
FRAMEWORKS = {"kopf", "kubernetes", "fastapi", "obstore"}


Install = Callable[[str], PythonEnvironment]


@pytest.fixture(scope="session")
def install(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Install:
    """Installs the wheel with an extra, or without one for "", into an environment of its own, once for each extra."""

    @cache
    def install(extra: str) -> PythonEnvironment:
        folder = tmp_path_factory.mktemp(extra or "base")
        requirement = f"{wheel}[{extra}]" if extra else str(wheel)
        return make_environment(folder / "venv", ["--constraint", write_constraints(folder), requirement])

    return install


@pytest.fixture
def base(install: Install) -> PythonEnvironment:
    """`pip install pgimport`."""
    return install("")


def assert_imports(environment: PythonEnvironment, *modules: str) -> None:
    ended = environment.run("-c", IMPORT_MODULES, *modules)
    assert ended.returncode == 0, ended.stderr


def test_the_base_installation_has_no_framework(base: PythonEnvironment) -> None:
    assert base.list_packages() & FRAMEWORKS == set()


def test_the_base_installation_has_the_command_line_and_the_worker(base: PythonEnvironment) -> None:
    ended = base.run("-m", "pgimport", "cli", "run", "--help")
    assert ended.returncode == 0, ended.stderr
    assert "PGIMPORT_SOURCE_URL" in ended.stdout
    assert_imports(base, "pgimport.cli.run_command", "pgimport.worker")
    assert base.run("-m", "pgimport", "worker", "nonsense").returncode == 2


def test_the_wheel_has_the_sql_files(wheel: Path) -> None:
    files = {str(path.relative_to(ROOT / "operator")) for path in (ROOT / "operator" / "pgimport").rglob("*.sql")}
    assert files <= set(zipfile.ZipFile(wheel).namelist())


def test_the_sdist_installs_the_same_files_as_the_wheel(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    environment = make_environment(tmp_path / "venv", ["--constraint", write_constraints(tmp_path), sdist])
    ended = environment.run("-m", "pgimport", "cli", "--version")
    assert ended.returncode == 0, ended.stderr
    [packages] = (tmp_path / "venv").glob("lib/python*/site-packages")
    installed = {str(path.relative_to(packages)) for path in (packages / "pgimport").rglob("*") if path.is_file()}
    names = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("pgimport/")}
    assert {name for name in installed if "__pycache__" not in name} == names


@pytest.mark.parametrize(
    ("arguments", "package", "extra"),
    [
        (["operator"], "kopf", "operator"),
        (["api"], "uvicorn", "api"),
        (["schema"], "yaml", "operator"),
        (["cli", "keys", "list"], "urllib3", "operator"),
        (["cli", "apply", "project.yaml"], "yaml", "operator"),
        (["cli", "release"], "urllib3", "operator"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_program_of_an_extra_names_the_extra(
    base: PythonEnvironment, arguments: list[str], package: str, extra: str
) -> None:
    ended = base.run("-m", "pgimport", *arguments)
    command = " ".join(["pgimport", *arguments[arguments[0] == "cli" :][:1]])
    assert (ended.returncode, ended.stdout) == (127 if arguments[0] == "cli" else 78, "")
    assert ended.stderr == (
        f"pgimport: {command} needs the Python package {package}. Run `pip install 'pgimport[{extra}]'`.\n"
    )


@pytest.mark.parametrize(
    ("extra", "modules", "absent"),
    [
        ("cli", ["pgimport.cli.cluster_commands"], FRAMEWORKS),
        ("operator", ["pgimport.handlers", "pgimport.generate", *COMMANDS_OF_THE_OPERATOR], {"fastapi", "obstore"}),
        ("api", ["pgimport.api"], {"kopf", "obstore"}),
        ("s3", ["pgimport.store.s3_store"], {"kopf", "kubernetes", "fastapi"}),
    ],
    ids=["cli", "operator", "api", "s3"],
)
def test_an_extra_has_all_packages_of_its_programs(
    install: Install, extra: str, modules: list[str], absent: set[str]
) -> None:
    environment = install(extra)
    assert_imports(environment, *modules)
    assert environment.list_packages() & absent == set()


def test_an_s3_store_names_its_extra(install: Install) -> None:
    ended = install("operator").run(
        "-m",
        "pgimport",
        "operator",
        PGIMPORT_NAMESPACE="system",
        PGIMPORT_WORKER_IMAGES='{"17": "worker"}',
        PGIMPORT_UPLOADS='{"store": "s3", "bucket": "b", "endpoint": "http://127.0.0.1:9"}',
        AWS_ACCESS_KEY_ID="a",
        AWS_SECRET_ACCESS_KEY="b",
    )
    assert ended.returncode == 78, ended.stderr
    assert "Run `pip install 'pgimport[s3]'`.\n" in ended.stderr
