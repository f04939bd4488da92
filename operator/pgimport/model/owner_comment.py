"""The comment that we leave on every database and role we make: whose it is, so that a sweep knows its own."""

import json

from pydantic import ConfigDict

from pgimport.model.base_models import LenientModel

COMMENT_KEY = "pgimport"


class OwnerComment(LenientModel):
    """Uids of the objects that something on a target server belongs to, and the name of the nearest one.

    `import_uid` is absent on a preview's own database and role. The sweep of one Project touches only marks that
    carry this Project's uid: two installations may share a server.
    """

    model_config = ConfigDict(frozen=True)

    project_uid: str
    preview_uid: str | None = None
    import_uid: str | None = None
    pod_uid: str | None = None
    owner_name: str | None = (
        None  # of the import, else of the preview: by it the API server is asked whether it is gone
    )

    @property
    def owner_uid(self) -> str | None:
        """Of the object that `owner_name` names."""
        return self.import_uid or self.preview_uid


def format_owner_comment(mark: OwnerComment) -> str:
    """JSON for COMMENT ON DATABASE / ROLE."""
    return json.dumps({COMMENT_KEY: mark.to_json()}, sort_keys=True)


def parse_owner_comment(comment: str | None) -> OwnerComment | None:
    """The mark in a comment; None for anybody else's comment."""
    try:
        return OwnerComment.model_validate(json.loads(comment or "")[COMMENT_KEY])
    except (ValueError, KeyError, TypeError):
        return None
