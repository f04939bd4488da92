"""Formats and parses the mark: the comment on databases and roles that we create, which names their owner.

The sweep recognises our databases and roles by it.
"""

import json

from pydantic import ConfigDict

from pgimport.model.base_models import LenientModel

COMMENT_KEY = "pgimport"


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
    owner_name: str | None = None

    @property
    def owner_uid(self) -> str | None:
        """Returns the UID of the resource that `owner_name` names."""
        return self.import_uid or self.preview_uid


def format_owner_comment(mark: OwnerComment) -> str:
    """Formats the JSON text for COMMENT ON DATABASE or ROLE."""
    return json.dumps({COMMENT_KEY: mark.to_json()}, sort_keys=True)


def parse_owner_comment(comment: str | None) -> OwnerComment | None:
    """Parses our comment. Returns None for a comment that is not ours."""
    try:
        return OwnerComment.model_validate(json.loads(comment or "")[COMMENT_KEY])
    except (ValueError, KeyError, TypeError):
        return None
