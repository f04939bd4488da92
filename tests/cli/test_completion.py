"""What the shell and kubectl complete."""

import pytest

from pgimport.cli.arguments import build_parser
from pgimport.cli.cluster_commands.completion import list_candidates


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
        (["nonsense", "x"], []),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_the_last_word_is_completed(words: list[str], candidates: list[str]) -> None:
    assert list_candidates(build_parser(), words, list_names) == candidates
