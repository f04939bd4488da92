"""Who calls the HTTP API, and what that one may do. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class ApiScope(StrEnum):
    """What a key may be used for."""

    PROJECTS_READ = "projects:read"
    PROJECTS_WRITE = "projects:write"
    JOBS_READ = "jobs:read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An API key, or a person with a session."""

    name: str
    organization: str
    project: str | None = None  # None: all of the organisation
    scopes: frozenset[ApiScope] = frozenset(ApiScope)

    def sees(self, organization: str, project: str) -> bool:
        return self.organization == organization and self.project in (None, project)
