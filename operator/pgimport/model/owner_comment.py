"""Formats and parses the mark: the comment on roles that we create, which names their owner.

The sweep recognises our roles and their databases by it. Databases carry no mark, because their comment is copied from
the source.
"""

import json
from enum import StrEnum

from pydantic import ConfigDict, Field

from pgimport.model.base_models import LenientModel
from pgimport.model.result import DatabaseSetting
from pgimport.model.scalar_types import Time

COMMENT_KEY = "pgimport"
RECORD_KEY = "shadow"  # a second object in the same JSON text


class DatabasePhase(StrEnum):
    """What the operator has done with the database of a preview's owner role."""

    CREATING = "creating"  # the database is missing, or contains nothing of a user
    READY = "ready"
    DROPPING = "dropping"  # the database is to be dropped, whatever it contains


class OwnerComment(LenientModel):
    """UIDs of the resources that own a database or role on a target server, and the name of the nearest one.

    A preview's own database and role have no `import_uid`. The sweep of a Project changes only databases and roles with
    this Project's UID, because two installations can share a server.
    """

    model_config = ConfigDict(frozen=True)

    project_uid: str
    preview_uid: str | None = None
    import_uid: str | None = None
    pod_uid: str | None = None
    # The name of the import, or of the preview without one. The sweep asks the API server whether it still exists.
    # It becomes a part of a path there, so a name that Kubernetes does not allow makes the comment no mark.
    owner_name: str | None = Field(default=None, max_length=253, pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$")
    # True for a role that was to be dropped and could not be yet. Every Project's sweep on the server tries again.
    dropped: bool | None = None
    # Only of a preview's owner role. None: an older release wrote the mark.
    phase: DatabasePhase | None = None

    @property
    def owner_uid(self) -> str | None:
        """Returns the UID of the resource that `owner_name` names."""
        return self.import_uid or self.preview_uid


class RefusedExtension(LenientModel):
    """An extension that could not be created in the shadow as at the source, and that the import can do without."""

    name: str
    message: str
    sqlstate: str | None = None


class ImportedContent(LenientModel):
    """What a completed import, or a copy of its target, put into a database."""

    data_as_of: Time | None = None  # the time of the source's snapshot; None: a dump file does not contain it
    # Counts the copies of a preview that copies another one. None: an import filled the database.
    copy_number: int | None = None


class ShadowRecord(LenientModel):
    """What the operator found out when it prepared a shadow.

    The worker reads it in the comment of its own role, and reports it. The swap reads the settings, and leaves settings
    and content in the comment of the target's owner.
    """

    notes: list[str] = Field(default=[])
    refused_extensions: list[RefusedExtension] = Field(default=[])
    settings: list[DatabaseSetting] = Field(default=[])  # of the source, which the copy gets at the swap
    imported: ImportedContent | None = None  # set by the swap; None: no import has filled the database


def format_owner_comment(mark: OwnerComment | None, record: ShadowRecord | None = None) -> str:
    """Formats the JSON text for COMMENT ON ROLE. A role that the command line created has a record and no mark."""
    content = {COMMENT_KEY: mark.to_json()} if mark is not None else {}
    if record is not None and record != ShadowRecord():
        content[RECORD_KEY] = record.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return json.dumps(content, sort_keys=True)


def parse_owner_comment(comment: str | None) -> OwnerComment | None:
    """Parses our comment. Returns None for a comment that is not ours."""
    try:
        return OwnerComment.model_validate(json.loads(comment or "")[COMMENT_KEY])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def parse_shadow_record(comment: str | None) -> ShadowRecord:
    """Parses the record in our comment. Returns an empty record if there is none."""
    try:
        return ShadowRecord.model_validate(json.loads(comment or "")[RECORD_KEY])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ShadowRecord()
