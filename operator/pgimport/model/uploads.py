"""Uploads of dump files: where they are put, and whose they are. Pure.

An object's key names the Project it belongs to and holds 32 hex digits of chance: nobody guesses one.
"""

import re
from datetime import timedelta

from pydantic import Field

from pgimport.model.base import Asked, Duration

KEY_BYTES = 16
_KEY = re.compile(r"uploads/([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)/[0-9a-f]{32}")


class UploadSettings(Asked):
    """An S3-compatible store, as operator and HTTP API use it; credentials come by the environment."""

    bucket: str = Field(min_length=1, description="It must exist; a lifecycle rule of its own deletes what is left.")
    endpoint: str = Field(pattern=r"^https?://[^/@?#\s]+$", description="URL of the store, without a path.")
    region: str = Field(default="us-east-1", description="As the store wants it.")
    path_style: bool = Field(default=True, description="The bucket is in the path, not in the host's name.")
    max_bytes: int = Field(default=100 * 1024**3, ge=1, description="Of one file.")
    expiry: Duration = Field(default=timedelta(hours=1), description="Within which a file must be put.")
    retention: Duration = Field(default=timedelta(hours=24), description="Of a file, after its import has ended.")


def make_object_key(project: str, chance: bytes) -> str:
    """`chance`: KEY_BYTES of it."""
    return f"uploads/{project}/{chance.hex()}"


def is_object_key_of(key: str, project: str) -> bool:
    """Nothing else reaches the store: no other path, no other Project's."""
    match = _KEY.fullmatch(key)
    return match is not None and match[1] == project
