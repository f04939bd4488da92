"""Uploads of dump files: where they are put, whose they are, and who may come for them. Pure.

An object's key names the Project it belongs to and holds 32 hex digits of chance: nobody guesses one.
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
    """A store, as operator and HTTP API use it; what is secret comes by the environment."""

    endpoint: str = Field(pattern=r"^https?://[^/@?#\s]+$", description="URL of the store, without a path.")
    max_bytes: int = Field(default=100 * 1024**3, ge=1, description="Of one file.")
    expiry: Duration = Field(default=timedelta(hours=1), description="Within which a file must be put.")
    retention: Duration = Field(default=timedelta(hours=24), description="Of a file, after its import has ended.")


class S3Settings(UploadSettings):
    """An S3-compatible store."""

    store: Literal["s3"] = "s3"
    bucket: str = Field(min_length=1, description="It must exist; a lifecycle rule of its own deletes what is left.")
    region: str = Field(default="us-east-1", description="As the store wants it.")
    path_style: bool = Field(default=True, description="The bucket is in the path, not in the host's name.")


class EmbeddedSettings(UploadSettings):
    """A volume of the HTTP API; the endpoint is the API's own, as pods reach it."""

    store: Literal["embedded"] = "embedded"
    folder: str = Field(pattern="^/", description="Where the API has its volume.")
    capacity: Bytes = Field(ge=1, description="Of that volume.")


StoreSettings = Annotated[S3Settings | EmbeddedSettings, Field(discriminator="store")]


def build_object_key(project: str, chance: bytes) -> str:
    """`chance`: KEY_BYTES of it."""
    return f"uploads/{project}/{chance.hex()}"


def is_object_key_of(key: str, project: str) -> bool:
    """Nothing else reaches the store: no other path, no other Project's."""
    match = _KEY.fullmatch(key)
    return match is not None and match[1] == project


def sign(secret: bytes, method: str, key: str, expires: int) -> str:
    """For one method on one object of the embedded store, until `expires` (seconds since 1970)."""
    return hmac.new(secret, f"{method}\n{key}\n{expires}".encode(), sha256).hexdigest()


def is_signed(secret: bytes, method: str, key: str, expires: str, signature: str, now: float) -> bool:
    """By us, and its time is not over; all texts are as they came."""
    if not re.fullmatch("[0-9]{1,12}", expires, re.ASCII) or int(expires) < now:
        return False
    return hmac.compare_digest(sign(secret, method, key, int(expires)).encode(), signature.encode())
