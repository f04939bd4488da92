"""Defines the upload store: its settings, the keys of uploaded dump files, and signed URLs. Pure.

An object key contains the name of its Project and 32 random hex digits, so that nobody can guess it.
"""

import hmac
import re
from datetime import timedelta
from hashlib import sha256
from typing import Annotated, Literal

from pydantic import Field

from pgimport.model.base_models import StrictModel
from pgimport.model.scalar_types import Bytes, Duration

KEY_BYTES = 16
_KEY = re.compile(r"uploads/([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)/[0-9a-f]{32}")


class UploadSettings(StrictModel):
    """Settings of a store for the operator and the HTTP API. Its credentials are environment variables."""

    endpoint: str = Field(pattern=r"^https?://[^/@?#\s]+$", description="The URL of the store, without a path.")
    max_bytes: int = Field(default=100 * 1024**3, ge=1, description="The largest size of one file.")
    expiry: Duration = Field(default=timedelta(hours=1), description="The time within which a file must be uploaded.")
    retention: Duration = Field(
        default=timedelta(hours=24), description="The time from the end of an import to the deletion of its file."
    )


class S3Settings(UploadSettings):
    """Settings of an S3-compatible store."""

    store: Literal["s3"] = "s3"
    bucket: str = Field(
        min_length=1, description="The name of an existing bucket. Give it a lifecycle rule that deletes old files."
    )
    region: str = Field(default="us-east-1", description="The region that the store expects in signatures.")
    path_style: bool = Field(default=True, description="The bucket name is part of the URL's path instead of its host.")


class EmbeddedSettings(UploadSettings):
    """Settings of the store on a volume of the HTTP API. Its endpoint is the URL at which pods reach the API."""

    store: Literal["embedded"] = "embedded"
    folder: str = Field(pattern="^/", description="The folder in which the API's volume is mounted.")
    capacity: Bytes = Field(ge=1, description="The capacity of the volume.")
    project_percent: int = Field(
        default=50, ge=1, le=100, description="The part of the capacity that the files of one Project may fill."
    )


StoreSettings = Annotated[S3Settings | EmbeddedSettings, Field(discriminator="store")]


def build_object_key(project: str, random_bytes: bytes) -> str:
    """Builds an object key from KEY_BYTES random bytes."""
    return f"uploads/{project}/{random_bytes.hex()}"


def is_object_key_of(key: str, project: str) -> bool:
    """Says whether a text is an object key of the Project. Only such keys are sent to the store."""
    match = _KEY.fullmatch(key)
    return match is not None and match[1] == project


def sign(secret: bytes, method: str, key: str, expires: int) -> str:
    """Signs one method on one object of the embedded store, valid until `expires` (seconds since 1970)."""
    return hmac.new(secret, f"{method}\n{key}\n{expires}".encode(), sha256).hexdigest()


def is_signed(secret: bytes, method: str, key: str, expires: str, signature: str, now: float) -> bool:
    """Says whether the signature is ours and has not expired. The arguments are texts of the request."""
    if not re.fullmatch("[0-9]{1,12}", expires, re.ASCII) or int(expires) < now:
        return False
    return hmac.compare_digest(sign(secret, method, key, int(expires)).encode(), signature.encode())
