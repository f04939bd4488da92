"""Decides which objects an operator works on, so that two operators can share a cluster."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pgimport.model.names import PROJECTS


def split_names(text: str) -> tuple[str, ...]:
    """Splits a list of names that are separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


@dataclass(frozen=True, slots=True)
class WatchScope:
    """The namespaces whose Projects, previews, imports, Jobs and pods belong to this operator.

    If empty, the operator works on all namespaces.


    Another operator works on all other objects, so this one never reconciles, changes or releases them.
    """

    namespaces: tuple[str, ...] = ()

    def includes(self, kind: str, body: Mapping[str, Any]) -> bool:
        """Tells whether an object of the API server is in the scope. A Project belongs to its spec.namespace.

        Of the body, only `metadata` is needed, and `spec` for a Project.
        """
        if kind == PROJECTS:
            return self.includes_namespace((body.get("spec") or {}).get("namespace", ""))
        return self.includes_namespace(body["metadata"].get("namespace", ""))

    def includes_namespace(self, namespace: str) -> bool:
        return not self.namespaces or namespace in self.namespaces


EVERYWHERE = WatchScope()
