"""The code and the packages of each image, put together as the Dockerfile does: its programs start, and no others."""

import re
import shutil
from pathlib import Path

import pytest
from tests.packages.conftest import ROOT, PythonEnvironment, make_environment

pytestmark = pytest.mark.thorough

OPERATOR = ROOT / "operator"
# Imports a package and all modules below it.
IMPORT_ALL = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, f"{sys.argv[1]}."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""
WORKER_ONLY = {"asyncpg", "lz4", "backports.zstd"}


def read_stage(name: str) -> str:
    """Returns the lines of one stage of the Dockerfile."""
    stages = re.split(r"^FROM ", (OPERATOR / "Dockerfile").read_text(), flags=re.MULTILINE)
    [stage] = [stage for stage in stages if stage.splitlines()[0].endswith(f" AS {name}")]
    return stage


def build_image(target: str, folder: Path) -> PythonEnvironment:
    """Copies the sources that the image has, and installs its lock file, into an environment."""
    requirements = OPERATOR / f"requirements-{target}.txt"
    environment = make_environment(
        folder / "venv", ["--require-hashes", "--no-deps", "--only-binary=:all:", "--requirement", requirements]
    )
    [packages] = (folder / "venv").glob("lib/python*/site-packages")
    stage = read_stage(f"{target}-source")
    for line in re.findall(r"^COPY (.+)$", stage, flags=re.MULTILINE):
        *sources, destination = line.split()
        goal = packages / Path(destination).relative_to("/opt/pgimport/source")
        for source in sources:
            if (OPERATOR / source).is_dir():
                shutil.copytree(OPERATOR / source, goal, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                goal.mkdir(parents=True, exist_ok=True)
                shutil.copy(OPERATOR / source, goal)
    for path in re.findall(r"rm -r /opt/pgimport/source/(\S+)", stage):
        shutil.rmtree(packages / path)
    return environment


def test_the_workers_image_has_only_the_worker(tmp_path: Path) -> None:
    image = build_image("worker", tmp_path)
    ended = image.run("-c", IMPORT_ALL, "pgimport")
    assert ended.returncode == 0, ended.stderr
    assert image.run("-m", "pgimport", "worker", "nonsense").returncode == 2
    assert image.list_packages() & {"kopf", "kubernetes", "fastapi", "obstore", "pyjwt", "pip"} == set()
    ended = image.run("-m", "pgimport", "operator")
    assert (ended.returncode, ended.stdout) == (78, "")
    assert ended.stderr == (
        "pgimport: `pgimport operator` is not part of this image or file. Operator and worker have an image each, and"
        " pgimport.pyz has the commands for a cluster. To install it, run `pip install 'pgimport[operator]'`.\n"
    )


def test_the_operators_image_has_everything_but_the_worker(tmp_path: Path) -> None:
    image = build_image("operator", tmp_path)
    ended = image.run("-c", IMPORT_ALL, "pgimport")
    assert ended.returncode == 0, ended.stderr
    assert image.list_packages() & WORKER_ONLY == set()
    ended = image.run("-m", "pgimport", "worker", "import")
    assert (ended.returncode, ended.stdout) == (78, "")
    assert "`pgimport worker` is not part of this image" in ended.stderr
