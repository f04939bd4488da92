"""Defines callers of the HTTP API and their rights. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class ApiScope(StrEnum):
    """Right of an API key."""

    PROJECTS_READ = "projects:read"
    PROJECTS_WRITE = "projects:write"
    JOBS_READ = "jobs:read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """API key or user session that calls the HTTP API."""

    name: str
    organization: str
    project: str | None = None  # None: all Projects of the organization
    scopes: frozenset[ApiScope] = frozenset(ApiScope)

    def may_access(self, organization: str, project: str) -> bool:
        return self.organization == organization and self.project in (None, project)
