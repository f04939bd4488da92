"""Lists the preflight checks in the order of the report, with the condition under which each one fails or warns."""

from enum import StrEnum


class CheckName(StrEnum):
    """Name of a preflight check. A report contains the checks in this order."""

    SOURCE_REACHABLE = "source_reachable"
    SOURCE_NOT_POOLED = "source_not_pooled"
    SOURCE_VERSION_COMPATIBLE = "source_version_compatible"
    SOURCE_SIZE_WITHIN_PLAN = "source_size_within_plan"
    SOURCE_PRIVILEGES = "source_privileges"
    ROW_LEVEL_SECURITY = "row_level_security"
    ENCODING_AND_COLLATION = "encoding_and_collation"
    LARGE_OBJECTS = "large_objects"
    UNSUPPORTED_OBJECTS = "unsupported_objects"
    EXTENSIONS_AVAILABLE_ON_TARGET = "extensions_available_on_target"


CHECK_MEANINGS: dict[CheckName, str] = {
    CheckName.SOURCE_REACHABLE: (
        "It fails if the worker cannot connect or log in, or if the database or dump file does not exist."
    ),
    CheckName.SOURCE_NOT_POOLED: (
        "It fails behind a pooler in transaction mode, or if one address leads to several servers. It warns of a"
        " pooler in session mode."
    ),
    CheckName.SOURCE_VERSION_COMPATIBLE: (
        "It fails if the source's major version is newer than the target's, or if a live source is older than 14."
    ),
    CheckName.SOURCE_SIZE_WITHIN_PLAN: (
        "It fails if the source is larger than the Project's storageLimitBytes. It warns above 80 % of the limit."
    ),
    CheckName.SOURCE_PRIVILEGES: (
        "It fails if the source user cannot read a table, sequence or schema. The detail contains the GRANT statements."
    ),
    CheckName.ROW_LEVEL_SECURITY: ("It fails if a row level security policy hides rows from the source user."),
    CheckName.ENCODING_AND_COLLATION: (
        "It never fails. It warns of a locale that the target may lack, and of changed collation versions."
    ),
    CheckName.LARGE_OBJECTS: ("It fails if the source user cannot read a large object."),
    CheckName.UNSUPPORTED_OBJECTS: (
        "It never fails. It warns of objects that the import skips, and of objects that may act on other systems."
    ),
    CheckName.EXTENSIONS_AVAILABLE_ON_TARGET: (
        "It fails if an extension is not in the Project's allowedExtensions, or if the server's admin cannot create it."
    ),
}
