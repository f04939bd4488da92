"""Cases that do not have their right outcome yet, with the reason. An entry that holds again fails its test."""

from tests.real.imports import ImportPath

EVERY_PATH = tuple(ImportPath)
LIVE = (ImportPath.RELAY, ImportPath.DUMP)
ARCHIVES = (ImportPath.CUSTOM, ImportPath.DIRECTORY, ImportPath.TAR)
# case → paths and reason
KNOWN_FAILURES: dict[str, tuple[tuple[ImportPath, ...], str]] = {
    "partitioned-key-on-extension-type": (
        (*LIVE, *ARCHIVES),
        "an INDEX ATTACH is dropped when it depends on an extension",
    ),
    "identity-of-a-left-table": (LIVE, "sequences of a skipped table are not skipped"),
    "parser-under-a-generated-column": (EVERY_PATH, "a skipped table is listed without its row count"),
    "extension-nothing-needs": (EVERY_PATH, "an extension that nothing needs fails preflight"),
    "fdw-without-tables": (EVERY_PATH, "the extension of a foreign data wrapper fails preflight"),
    "cast-between-system-types": ((*LIVE, *ARCHIVES), "a refused object costs the import"),
    "leakproof-and-what-needs-it": ((*LIVE, *ARCHIVES), "skipped objects are listed without the server's words"),
    "eighty-left-tables": ((*LIVE, *ARCHIVES), "a refused CHECK of a domain costs its tables"),
    "comments-on-schemas-of-extensions": (
        (*LIVE, *ARCHIVES),
        "a comment on a schema that contains an extension is lost",
    ),
    "database-settings": (EVERY_PATH, "settings of the database are not carried over"),
    "c-function-inside-an-index": (EVERY_PATH, "a refused index costs the import"),
}


def find_known_failure(case: str, path: ImportPath) -> str | None:
    """Returns the reason why this case fails by this path, or None."""
    paths, reason = KNOWN_FAILURES.get(case, ((), ""))
    return reason if path in paths else None
