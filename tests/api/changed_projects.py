"""Shows the API a Project in another state."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.api.conftest import Api

from pgimport.model.names import PROJECTS

PATH = "/apis/capydb.dev/v1alpha1/projects"


@contextmanager
def changed_project(api: Api, name: str, **changes: Any) -> Iterator[None]:
    """Shows the API a Project with these metadata or limits, and restores it."""
    stored = api.context.cluster.get(f"{PATH}/{name}")
    changed = {**stored, "metadata": {**stored["metadata"], **changes.get("metadata", {})}}
    changed["spec"] = {**stored["spec"], "limits": changes.get("limits", {})}
    api.context.cache.remember(PROJECTS, changed)
    yield
    api.context.cache.remember(PROJECTS, stored)
