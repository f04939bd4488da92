"""Reads which settings and which comment of a source database its copy gets. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pgimport.model.database_settings import MAX_COMMENT, split_settings
from pgimport.model.result import DatabaseSetting, SkippedObject
from pgimport.worker.archive.database_settings import keep_comment


@dataclass(frozen=True, slots=True)
class StoredProperties:
    """Settings and comment of a source database, and what of them is skipped."""

    settings: list[DatabaseSetting] = field(default_factory=list)
    comment: str | None = None
    skipped: list[SkippedObject] = field(default_factory=list)


def build_stored_properties(settings: Iterable[DatabaseSetting], comment: str | None) -> StoredProperties:
    """Splits the settings by the list of those that an import copies. A later setting replaces an earlier one."""
    last = {(item.name.lower(), item.for_owner): item for item in settings}
    carried, skipped = split_settings(last.values())
    kept = keep_comment(comment)
    if kept is not None and len(kept) > MAX_COMMENT:
        reason = f"it is longer than {MAX_COMMENT} characters"
        skipped.append(SkippedObject(object="COMMENT ON DATABASE", reason=reason))
        kept = None
    return StoredProperties(carried, kept, skipped)


def build_live_properties(rows: Iterable[tuple[str, str]]) -> StoredProperties:
    """Builds the properties from the rows of `database_settings.sql`."""
    comment, settings = None, []
    for kind, text in rows:
        if kind == "comment":
            comment = text
            continue
        name, _, value = text.partition("=")
        settings.append(DatabaseSetting(name=name, value=value, for_owner=kind == "owner"))
    return build_stored_properties(settings, comment)
