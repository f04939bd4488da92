"""An operator with a scope works only on the objects of its namespaces."""

from typing import Any

import pytest

from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS
from pgimport.model.watch_scope import WatchScope, split_names

SCOPE = WatchScope(("shop", "blog"))


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        pytest.param(IMPORTS, {"metadata": {"namespace": "shop"}}, True, id="an import"),
        pytest.param(PREVIEWS, {"metadata": {"namespace": "blog"}}, True, id="a preview"),
        pytest.param(IMPORTS, {"metadata": {"namespace": "shop-2"}}, False, id="an import of another operator"),
        pytest.param(PROJECTS, {"metadata": {"name": "a"}, "spec": {"namespace": "shop"}}, True, id="a Project"),
        pytest.param(PROJECTS, {"metadata": {"name": "shop"}, "spec": {"namespace": "x"}}, False, id="only its name"),
        pytest.param(PROJECTS, {"metadata": {"name": "shop"}}, False, id="a Project without a spec"),
    ],
)
def test_a_scope_includes_its_namespaces(kind: str, body: dict[str, Any], expected: bool) -> None:
    assert SCOPE.includes(kind, body) is expected
    assert WatchScope().includes(kind, body)


def test_names_are_separated_by_commas() -> None:
    assert split_names(" shop, blog,,") == ("shop", "blog")
    assert split_names("") == ()
