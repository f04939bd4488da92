"""`pgimport` as a user calls it: version, speed of the help, and errors of the commands that need a cluster."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pgimport import __version__

ROOT = Path(__file__).parents[2]


def run_pgimport(*arguments: str, program: str = "cli", **environment: str) -> "subprocess.CompletedProcess[str]":
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("KUBE", "PGIMPORT_"))}
    return subprocess.run(
        [sys.executable, "-m", "pgimport", program, *arguments],
        env={**inherited, "PYTHONPATH": str(ROOT / "operator"), **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_version_is_that_of_the_package() -> None:
    ended = run_pgimport("--version")
    assert (ended.returncode, ended.stdout) == (0, f"pgimport {__version__}\n")


def test_help_takes_little_more_than_an_interpreter() -> None:
    def measure_cpu_seconds(run: Callable[[], object]) -> float:
        """Returns the CPU seconds of the quickest of three runs."""
        seconds = []
        for _ in range(3):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            run()
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        return min(seconds)

    interpreter = measure_cpu_seconds(lambda: subprocess.run([sys.executable, "-c", "import argparse"], check=True))
    assert measure_cpu_seconds(lambda: run_pgimport("--help")) < 6 * interpreter


def test_a_character_that_the_output_cannot_have_is_printed_as_an_escape() -> None:
    """The last line of a run is a password that is not shown again."""
    arguments = ("--json", "--source", "./\u4e2d.dump", "--target", "postgresql://admin@localhost/shop")
    ended = run_pgimport("run", *arguments, PYTHONIOENCODING="latin-1")
    assert "\\u4e2d.dump" in ended.stdout
    assert ended.returncode == 81, ended.stderr


@pytest.mark.parametrize(
    ("program", "arguments", "environment"),
    [
        ("cli", ["keys", "list"], {}),
        ("cli", ["apply", "{folder}/project.yaml"], {}),
        ("cli", ["release"], {"PGIMPORT_NAMESPACE": "system", "PGIMPORT_DEPLOYMENT": "operator"}),
        ("operator", [], {"PGIMPORT_NAMESPACE": "system", "PGIMPORT_WORKER_IMAGES": "{{}}"}),
        ("api", [], {"PGIMPORT_NAMESPACE": "system", "PGIMPORT_API_SECRET_FILE": "{folder}/secret"}),
    ],
    ids=["keys", "apply", "release", "operator", "api"],
)
def test_without_a_kubeconfig_every_program_ends_with_one_line(
    tmp_path: Path, program: str, arguments: list[str], environment: Mapping[str, str]
) -> None:
    (tmp_path / "secret").write_text("0123456789abcdef" * 2)
    (tmp_path / "project.yaml").write_text(
        "apiVersion: capydb.dev/v1alpha1\nkind: Project\nmetadata:\n  name: shop\nspec: {}\n"
    )
    ended = run_pgimport(
        *(argument.format(folder=tmp_path) for argument in arguments),
        program=program,
        KUBECONFIG=str(tmp_path / "kubeconfig"),
        **{name: value.format(folder=tmp_path) for name, value in environment.items()},
    )
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (78, "", 1), ended.stderr
    assert "no usable kubeconfig: " in ended.stderr
    assert ended.stderr.endswith(". Set KUBECONFIG to the file of your cluster\n")


@pytest.mark.parametrize("content", ["kind: Secret", "[1]", "kind: ["], ids=["another kind", "a list", "not YAML"])
def test_apply_refuses_a_file_without_a_project(tmp_path: Path, content: str) -> None:
    (tmp_path / "project.yaml").write_text(content)
    ended = run_pgimport("apply", str(tmp_path / "project.yaml"))
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"pgimport apply: {tmp_path}/project.yaml ")


def test_release_names_a_missing_variable() -> None:
    ended = run_pgimport("release", PGIMPORT_NAMESPACE="system")
    assert (ended.returncode, ended.stderr) == (78, "pgimport release: set PGIMPORT_DEPLOYMENT\n")
