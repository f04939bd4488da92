"""Names that the pages list by hand exist: files, packages, routes, options and fields."""

import json
import re
from pathlib import Path

import pytest
from tests.docs.blocks import ROOT, find_pages

from pgimport.cli.arguments import build_parser

DOCS = ROOT / "docs"
PACKAGE = ROOT / "operator/pgimport"
# Where a path of a page may begin.
ROOTS = (ROOT, ROOT / "tests", PACKAGE, PACKAGE / "worker", PACKAGE / "worker/pipeline")
PAGES_WITH_PATHS = (
    DOCS / "architecture.md",
    DOCS / "where-do-i.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "tests/README.md",
)
_PATH = re.compile(r"`([\w./*…<>-]+/[\w./*…<>-]*|[\w-]+\.(?:py|sql|toml|yaml))`")
_GENERATED = (".cluster", ".logs", "build", ".venv")


def _read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _exists(path: str) -> bool:
    pattern = re.sub(r"…|<\w+>", "*", path).rstrip("/")
    return any(any(root.glob(pattern)) for root in ROOTS)


@pytest.mark.parametrize("page", PAGES_WITH_PATHS, ids=lambda page: page.stem)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    paths = set(_PATH.findall(_read(page)))
    assert [path for path in sorted(paths) if not path.startswith(_GENERATED) and not _exists(path)] == []


def test_the_page_of_the_architecture_lists_every_package() -> None:
    text = _read(DOCS / "architecture.md")
    packages = [path.parent.name for path in PACKAGE.glob("*/__init__.py")]
    worker = [path.parent.name for path in (PACKAGE / "worker").glob("*/__init__.py")]
    assert [name for name in packages if f"| `{name}` |" not in text] == []
    assert [name for name in worker if not re.search(rf"^\| `{name}(/\w+)?` \|", text, re.MULTILINE)] == []


def test_the_page_of_the_http_api_lists_every_route() -> None:
    document = json.loads((ROOT / "operator/openapi.json").read_text(encoding="utf-8"))
    routes = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert (
        set(re.findall(r"^\| `((?:GET|POST|DELETE) /v1[^`]*)` \|", _read(DOCS / "http-api.md"), re.MULTILINE)) == routes
    )


def test_the_page_of_the_command_line_lists_every_command() -> None:
    [commands] = [action.choices for action in build_parser()._actions if action.choices is not None]
    text = _read(DOCS / "cli.md")
    assert [name for name in commands if f"| `pgimport {name}" not in text] == []


def test_the_page_of_the_performance_has_the_figures_of_the_last_benchmark_of_copies() -> None:
    _, _, section = _read(DOCS / "performance.md").partition("## Copies of a golden preview\n")
    rows = re.findall(r"^\|.*\|$", section.partition("\n## ")[0], re.MULTILINE)
    report = _read(ROOT / "tests/bench/copies/report.md").splitlines()
    assert len(rows) > 10
    assert [row for row in rows if row not in report] == []


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: str(page.relative_to(DOCS)))
def test_a_page_says_first_which_question_it_answers(page: Path) -> None:
    text = re.sub(r"<!--.*?-->\n+", "", _read(page))
    assert re.match(r"# [^\n]+\n\nThis page [^\n]+", text)


def test_the_readme_is_short() -> None:
    assert len(_read(ROOT / "README.md").splitlines()) <= 150


@pytest.mark.parametrize("page", find_pages(), ids=lambda page: page.stem)
def test_a_page_names_the_group_of_projects(page: Path) -> None:
    """`kubectl delete projects` deletes another group's Projects where there is one, such as OpenShift's."""
    commands = re.sub(r"\\\n", " ", page.read_text(encoding="utf-8"))
    short = re.compile(
        r"kubectl [^\n|]*\b(?:get|describe|delete|edit|patch|wait|label|annotate)\b[^\n|]*[ ,]projects?(?![.\w-])"
    )
    assert short.findall(commands) == []
