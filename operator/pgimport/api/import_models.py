"""Request and response bodies of imports, jobs and uploads."""

import json
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from pgimport.api.rest_models import MAX_ID, RequestModel
from pgimport.model.rest_views import Job, ResponseModel
from pgimport.model.scalar_types import Time
from pgimport.model.source_url import MAX_URL_LENGTH

EXAMPLE_SOURCE = "postgresql://reader:secret@db.example.com:5432/shop?sslmode=require"
SourceText = Annotated[str, StringConstraints(min_length=1, max_length=MAX_URL_LENGTH)]
SOURCE_DESCRIPTION = "The source is a postgresql:// URL of a live database or an https:// URL of a dump file."


class ImportRequest(RequestModel):
    """Asks for one import. Give exactly one of source_url and upload_key."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"source_url": EXAMPLE_SOURCE, "preview_database_id": "shop.pr-42", "recreate": True}
        }
    )

    source_url: SourceText | None = Field(default=None, description=SOURCE_DESCRIPTION)
    upload_key: Annotated[str, StringConstraints(min_length=1, max_length=253)] | None = Field(
        default=None, description="The source is the uploaded file with this object_key."
    )
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None, description="The dump file must have this SHA-256 checksum, in hexadecimal."
    )
    recreate: bool = Field(
        default=False, strict=True, description="If true, the import replaces a preview database that has objects."
    )
    preview_database_id: Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID)] | None = Field(
        default=None, description="The import writes to this preview database; without it, to a new one."
    )
    dry_run: bool = Field(default=False, strict=True, description="If true, only the preflight runs.")
    confirm: Literal[True] | None = Field(
        default=None, description="The client may acknowledge the import with true; the value changes nothing."
    )

    @model_validator(mode="after")
    def _exactly_one_source(self) -> "ImportRequest":
        if (self.source_url is None) == (self.upload_key is None):
            raise ValueError("exactly one of source_url and upload_key must be given")
        return self

    def to_canonical_json(self) -> str:
        """Returns the same text for the same request, also if a later version has more fields or another order."""
        return json.dumps(self.model_dump(mode="json", exclude_defaults=True), sort_keys=True)


class JobsAnswer(ResponseModel):
    """A response with jobs of a project, newest first."""

    jobs: list[Job]


class Upload(ResponseModel):
    """A URL to which one dump file can be uploaded once."""

    object_key: str = Field(description="Send this value as upload_key when you create the import.")
    upload_url: str = Field(description="Upload the file to this URL with PUT, without an API key.")
    expires_at: Time = Field(description="The URL is valid until this time.")


class UploadAnswer(ResponseModel):
    """A response with one upload."""

    upload: Upload
