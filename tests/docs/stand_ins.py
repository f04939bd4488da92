"""`python -m tests.docs.stand_ins PROGRAM ARGUMENT …`: checks a command that no unit test can carry out.

Each check asks the checkout: is there such a make target, image stage, chart value, extra, resource? The command fails
if not, and prints why.
"""

import sys
import tomllib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from tests.docs.blocks import ROOT
from tests.support.cluster_archives import ARCHIVE, MANIFEST, PROGRAM

from pgimport.cli.arguments import build_parser

CHART = ROOT / "charts/pgimport"


class WrongCommandError(Exception):
    """The command would fail for a reader."""


def check(condition: object, problem: str) -> None:
    """Raises WrongCommandError with the problem unless the condition holds."""
    if not condition:
        raise WrongCommandError(problem)


def check_make(arguments: list[str]) -> None:
    """Checks that the Makefile has every target; `make --dry-run` would start a cluster's build."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in arguments:
        check(f"\n{target}:" in text, f"the Makefile has no target {target}")


def check_git(arguments: list[str]) -> None:
    check(arguments[:1] == ["clone"], "only git clone is described")


def check_pip(arguments: list[str]) -> None:
    """Checks the distribution's name and its extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    check(arguments[0] == "install", f"pip {arguments[0]} is not described")
    for requirement in arguments[1:]:
        name, _, extras = requirement.rstrip("]").partition("[")
        check(name == project["name"], f"the distribution is {project['name']}, not {name}")
        for extra in filter(None, extras.split(",")):
            check(extra in project["optional-dependencies"], f"there is no extra {extra}")


def check_built(arguments: list[str]) -> None:
    """Checks that `make package` builds the files in dist which the command names."""
    for argument in arguments:
        built = {f"dist/{name}" for name in (PROGRAM, ARCHIVE, MANIFEST)}
        check(not argument.startswith("dist/") or argument in built, f"make package does not build {argument}")


def check_link(arguments: list[str]) -> None:
    """Checks that a link has the name of one of the programs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name in (arguments[-2], Path(arguments[-1]).name):
        check(name in project["scripts"], f"there is no program {name}")


def check_docker(arguments: list[str]) -> None:
    """Checks stages and build arguments of the Dockerfile."""
    if arguments[0] == "push":
        return
    *options, folder = arguments[1:]
    text = (ROOT / folder / "Dockerfile").read_text(encoding="utf-8")
    given = dict(zip(options[::2], options[1::2], strict=True))
    check(f" AS {given['--target']}\n" in text, f"the Dockerfile has no stage {given['--target']}")
    if argument := given.get("--build-arg"):
        name = argument.partition("=")[0]
        check(f"ARG {name}" in text, f"the Dockerfile has no argument {name}")


def check_helm(arguments: list[str]) -> None:
    """Checks the chart's folder, its files of values, and every `--set`."""
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    for argument in arguments:
        check("/" not in argument or "=" in argument or (ROOT / argument).exists(), f"{argument} does not exist")
    for option, value in pairwise(arguments):
        if option == "--set":
            _find_value(values, value.partition("=")[0])


def _find_value(values: Any, path: str) -> None:
    for name in path.split("."):
        check(name in values, f"values.yaml has no {path}")
        values = values[name]


def check_kubectl(arguments: list[str]) -> None:
    """Checks that every file exists and that every resource is one of ours."""
    if arguments[0] == "-n":
        arguments = arguments[2:]
    if arguments[:2] == ["config", "view"]:  # of kubectl alone: it reads no resource
        return
    verb, kinds, *rest = arguments
    if verb == "krew":  # tests/packages runs the same command
        check_built(arguments)
        return
    if verb == "apply":
        for option, file in pairwise(arguments):
            check(option != "-f" or file == "-" or (ROOT / file).exists(), f"{file} does not exist")
        return
    if verb == "rollout":
        kinds = rest[0]
    mentioned = [name for name in rest if name.endswith(".capydb.dev")] if kinds == "crd" else kinds.split(",")
    check(mentioned, "the command names no resource")
    _check_resources([name.partition("/")[0] for name in mentioned])


def _check_resources(names: list[str]) -> None:
    for name in names:
        check(name in _find_resources() | _OF_KUBERNETES, f"there is no resource {name}")


_OF_KUBERNETES = {"namespace", "secret", "secrets", "configmap", "configmaps", "deployment"}


def _find_resources() -> set[str]:
    names: set[str] = set()
    for path in (ROOT / "crds").glob("*.yaml"):
        body = yaml.safe_load(path.read_text(encoding="utf-8"))
        known = body["spec"]["names"]
        names |= {body["metadata"]["name"], known["plural"], known["singular"], *known.get("shortNames", [])}
    return names


def check_velero(arguments: list[str]) -> None:
    """Checks that every resource that a backup or a restore includes exists."""
    for option, names in pairwise(arguments):
        if option == "--include-resources":
            _check_resources(names.split(","))


def check_pgimport(arguments: list[str]) -> None:
    """Checks that the command has these arguments."""
    try:
        build_parser("pgimport").parse_args(arguments)
    except SystemExit as error:
        check(error.code == 0, "pgimport refuses the arguments")


def check_python(arguments: list[str]) -> None:
    """Checks that the test files exist which `python -m pytest` is asked to run."""
    check(arguments[:2] == ["-m", "pytest"], "only python -m pytest is described")
    for argument in arguments[2:]:
        check("/" not in argument or (ROOT / argument).exists(), f"{argument} does not exist")


CHECKS: dict[str, Callable[[list[str]], None]] = {
    "docker": check_docker,
    "git": check_git,
    "helm": check_helm,
    "install": check_built,
    "kubectl": check_kubectl,
    "ln": check_link,
    "make": check_make,
    "pgimport": check_pgimport,
    "pip": check_pip,
    "velero": check_velero,
    ".venv/bin/python": check_python,
}


def write_stand_ins(folder: Path) -> None:
    """Writes a program for each check into a folder."""
    (folder / ".venv/bin").mkdir(parents=True)
    for name in CHECKS:
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.docs.stand_ins {name} "$@"\n')
        program.chmod(0o755)


def main(arguments: list[str]) -> int:
    """Returns 1 and prints the problem if the command would fail."""
    try:
        CHECKS[arguments[0]](arguments[1:])
    except WrongCommandError as error:
        print(f"{' '.join(arguments)}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
