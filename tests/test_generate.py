"""Checks that `python -m pgimport schema` prints the CRDs and writes every generated file."""

from pathlib import Path

import pytest
import yaml

from pgimport.generate import main
from pgimport.schema.crd import KINDS, build_crd
from pgimport.schema.generated_files import build_files


def test_without_an_argument_all_crds_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    printed = [document for document in yaml.safe_load_all(capsys.readouterr().out) if document]
    assert printed == [build_crd(kind) for kind in KINDS]


def test_with_a_folder_all_files_are_written(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 0
    for name, content in build_files().items():
        assert (tmp_path / name).read_text(encoding="utf-8") == content


@pytest.mark.parametrize("argv", [["--help"], ["a", "b"]], ids=["an option", "two folders"])
def test_wrong_arguments_print_the_usage(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    assert capsys.readouterr().out.startswith("usage: ")
