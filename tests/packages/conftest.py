"""Builds wheel and sdist once, and makes environments that hold exactly the packages of one installation."""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TIMEOUT = 900


def run_pip(*arguments: str | Path) -> None:
    """Runs this environment's pip. pip's cache serves all packages that `make setup` has downloaded."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *arguments], check=True, timeout=TIMEOUT)


@dataclass(frozen=True, slots=True)
class PythonEnvironment:
    """A virtual environment without pip."""

    folder: Path

    def run(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Runs its Python. The current folder and PYTHONPATH hide no file of the checkout in it."""
        return subprocess.run(
            [self.folder / "bin" / "python", *arguments],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **environment},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )

    def list_packages(self) -> set[str]:
        """Returns the names of all installed distributions."""
        program = "import importlib.metadata as m; print(*{d.metadata['Name'].lower() for d in m.distributions()})"
        return set(self.run("-c", program).stdout.split())


def make_environment(folder: Path, *installations: Sequence[str | Path]) -> PythonEnvironment:
    """Makes a virtual environment and runs `pip install` in it with each list of arguments."""
    venv.create(folder, symlinks=True)
    for arguments in installations:
        run_pip("--python", folder / "bin" / "python", "install", "--no-compile", *arguments)
    return PythonEnvironment(folder)


def write_constraints(folder: Path) -> Path:
    """Writes the locked versions without their hashes. With hashes, pip refuses a wheel that was built just now."""
    lines = (ROOT / "tests" / "requirements.txt").read_text().splitlines()
    versions = [line.removesuffix("\\").strip() for line in lines if line[:1].isalpha()]
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(versions))
    return constraints


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel that is built from it. The sources are copied: a build writes into them."""
    folder = tmp_path_factory.mktemp("distributions")
    sources, output = folder / "sources", folder / "dist"
    shutil.copytree(ROOT / "operator", sources / "operator", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, sources)
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", output, sources],
        check=True,
        capture_output=True,
        timeout=TIMEOUT,
    )
    return output


@pytest.fixture(scope="session")
def wheel(distributions: Path) -> Path:
    [path] = distributions.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def sdist(distributions: Path) -> Path:
    [path] = distributions.glob("*.tar.gz")
    return path
