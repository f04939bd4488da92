"""Finds the schemas of names that a statement of plain SQL does not qualify. Pure."""

from collections.abc import Collection
from dataclasses import dataclass

TEMPORARY = "pg_temp"  # schema of temporary objects
EMPTY_PATHS = ("", '""')  # values of search_path after set_config('search_path', '', …), and after SET search_path = ''


@dataclass(frozen=True, slots=True)
class SearchPath:
    """The schemas of `search_path` that exist, and the names that the file has created so far."""

    schemas: tuple[str, ...] = ("public",)
    names: Collection[tuple[str, str]] = ()  # schema, name

    def find(self, name: str) -> str:
        """Returns the schema of an object. An unknown one counts as one of the first schema."""
        candidates = (TEMPORARY, *self.schemas)
        return next((schema for schema in candidates if (schema, name) in self.names), self.schemas[0])
