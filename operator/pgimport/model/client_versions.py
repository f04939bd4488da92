"""The oldest versions of PostgreSQL's client programs that may read or write a database of somebody else."""

import re
from collections.abc import Mapping

# First minors with the fixes of CVE-2025-8714, CVE-2025-8715, CVE-2026-6477 and CVE-2026-18408.
MINIMUM_MINORS: Mapping[int, int] = {18: 6, 17: 11, 16: 15, 15: 19, 14: 24}
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)(?:\.(\d+))?")


def parse_client_version(text: str) -> tuple[int, int] | None:
    """Returns (17, 12) for a client that prints `pg_dump (PostgreSQL) 17.12 (Debian …)`. A beta has minor 0."""
    match = _VERSION.search(text)
    return (int(match[1]), int(match[2] or 0)) if match else None


def find_needed_version(major: int, minor: int, floors: Mapping[int, int] = MINIMUM_MINORS) -> str | None:
    """Returns what a client that lacks security fixes should be, for example `17.11`, else None."""
    floor = floors.get(major, 0 if major > max(floors) else None)
    if floor is None:
        return f"major {min(floors)}"
    return f"{major}.{floor}" if minor < floor else None
