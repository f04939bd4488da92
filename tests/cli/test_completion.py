"""What the shell and kubectl complete."""

import shutil
import subprocess

import pytest
from tests.cli.conftest import FakeKubectl

from pgimport.cli.arguments import build_parser
from pgimport.cli.cluster_commands.completion import SCRIPTS, list_candidates, takes_file


def list_names(resource: str) -> list[str]:
    return [f"a-{resource.partition('.')[0]}", "b"]


@pytest.mark.parametrize(
    ("words", "candidates"),
    [
        (["sch"], ["schedule"]),
        (["import", "re"], ["report", "resume", "retry"]),
        (["import", "get", ""], ["a-postgresimports", "b"]),
        (["preview", "psql", "a"], ["a-previewdatabases"]),
        (["-n", "shop", "schedule", "run", ""], ["a-postgresimportschedules", "b"]),
        (["import", "create", ""], []),
        (["import", "create", "x", "--preview", ""], ["a-previewdatabases", "b"]),
        (["import", "create", "x", "--engine", "d"], ["dump"]),
        (["import", "list", "--state", "c"], ["cancelled", "completed"]),
        (["import", "get", "-n", "a"], ["a-namespaces"]),
        (["import", "wait", "--time"], ["--timeout"]),
        (["completion", ""], ["bash", "fish", "zsh"]),
        (["import", "list", "--context", ""], ["a-contexts", "b"]),
        (["import", "list", "--state=c"], ["--state=cancelled", "--state=completed"]),
        (["import", "list", "--state", "=", "c"], ["cancelled", "completed"]),  # as bash splits it
        (["import", "create", "x", "--engine", "="], ["auto", "dump", "relay"]),
        (["import", "get", "--namespace=shop", "a"], ["a-postgresimports"]),
        (["nonsense", "x"], []),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_the_last_word_is_completed(words: list[str], candidates: list[str]) -> None:
    assert list_candidates(build_parser(), words, list_names) == candidates


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["import", "create", "--from-file", ""], True),
        (["preview", "url", "--write-env=x"], True),
        (["import", "create", "--preview", ""], False),
        (["import", "get", ""], False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_kubectl_completes_files_where_an_option_takes_one(words: list[str], expected: bool) -> None:
    assert takes_file(build_parser(), words) is expected


def test_names_are_those_of_the_cluster_that_the_words_before_choose(kubectl: FakeKubectl) -> None:
    kubectl.answer("config get-contexts", "arn:aws:eks:eu:1:cluster/shop\n")
    kubectl.answer("get --context=far --namespace=shop", "postgresimport.capydb.dev/orders\n")
    assert kubectl.run("__complete", "--context", "").out == "arn:aws:eks:eu:1:cluster/shop\n"
    assert kubectl.run("__complete", "--context=far", "import", "get", "--namespace=shop", "").out == "orders\n"


# Prints the candidates for the last word of `pgimport import create --from-file shop`: a file.
SHELLS = {
    "zsh": (
        "-f",
        "compadd() {{ print names }}; _files() {{ print shop.url }}; compdef() {{ }}\nwords=(\n{words}\n)\n"
        "CURRENT=5\n{script}\n_pgimport",
    ),
    "fish": ("--no-config", "{script}\ncomplete -C 'pgimport import create --from-file shop'"),
}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes_files_where_an_option_takes_one(shell: str, kubectl: FakeKubectl) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is missing")
    (kubectl.folder / "shop.url").touch()
    (kubectl.folder / "pgimport").write_text("#!/bin/sh\n")
    (kubectl.folder / "pgimport").chmod(0o755)
    option, text = SHELLS[shell]
    code = text.format(script=SCRIPTS[shell], words="pgimport import create --from-file shop")
    ended = subprocess.run(
        [shell, option, "-c", code],
        env=kubectl.environment(HOME=str(kubectl.folder)),
        cwd=kubectl.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.stdout == "shop.url\n", ended.stderr
