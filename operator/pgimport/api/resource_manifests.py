"""A checked request and derived names come in; the resources to be written go out. Pure."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pgimport.api.rest_models import ImportRequest, PreviewRequest
from pgimport.model.names import (
    API_VERSION,
    GROUP,
    LABEL_EPHEMERAL,
    LABEL_MANAGED_BY,
    SECRET_KEY_URL,
    short_hash,
)
from pgimport.model.scalar_types import format_duration, format_time

Json = dict[str, Any]
MANAGED_BY = "pgimport-api"
ANNOTATION_REQUEST = f"{GROUP}/request-id"
ANNOTATION_CALLER = f"{GROUP}/requested-by"
ANNOTATION_BODY = f"{GROUP}/request-hmac"
_NAME_LENGTH = 20  # hex digits of a derived name


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOrigin:
    """Of one request: who made it, under which id, and what its body was."""

    request_id: str
    caller: str
    body_hmac: str = ""


def name_of_request(prefix: str, project: str, idempotency_key: str | None, chance: bytes) -> str:
    """The same key in the same project is the same object; without a key, one of its own."""
    text = f"{project}\0{idempotency_key}" if idempotency_key is not None else chance.hex()
    return f"{prefix}-{short_hash(text, _NAME_LENGTH)}"


def sign_body(secret: bytes, body: str) -> str:
    """Keyed, for the body may hold a password that a plain hash would let be guessed."""
    return hmac.new(secret, body.encode(), hashlib.sha256).hexdigest()


def secret_name(import_name: str) -> str:
    return f"{import_name}-source"


def _metadata(name: str, namespace: str, origin: RequestOrigin, **labels: str) -> Json:
    annotations = {ANNOTATION_REQUEST: origin.request_id, ANNOTATION_CALLER: origin.caller}
    if origin.body_hmac:
        annotations[ANNOTATION_BODY] = origin.body_hmac
    return {
        "name": name, "namespace": namespace, "annotations": annotations,
        "labels": {LABEL_MANAGED_BY: MANAGED_BY, **labels},
    }  # fmt: skip


def build_import(
    project: str, namespace: str, name: str, asked: ImportRequest, target: str | None, origin: RequestOrigin,
    *, ephemeral: bool = False,
) -> Json:  # fmt: skip
    """`target` is a preview's name."""
    source: Json = {"uploadKey": asked.upload_key} if asked.upload_key else {
        "urlSecretRef": {"name": secret_name(name), "key": SECRET_KEY_URL}
    }  # fmt: skip
    if asked.sha256:
        source["sha256"] = asked.sha256
    spec: Json = {"project": project, "source": source}
    if target is not None:
        spec["target"] = {"previewDatabase": target}
    spec |= {key: True for key, wanted in (("recreate", asked.recreate), ("dryRun", asked.dry_run)) if wanted}
    labels = {LABEL_EPHEMERAL: "true"} if ephemeral else {}
    return {
        "apiVersion": API_VERSION, "kind": "PostgresImport",
        "metadata": _metadata(name, namespace, origin, **labels), "spec": spec,
    }  # fmt: skip


def build_source_secret(owner: Json, url: str) -> Json:
    """Owned by the import: it goes with it."""
    meta = owner["metadata"]
    return {
        "apiVersion": "v1", "kind": "Secret", "immutable": True, "stringData": {SECRET_KEY_URL: url},
        "metadata": {
            "name": secret_name(meta["name"]), "namespace": meta["namespace"],
            "labels": {LABEL_MANAGED_BY: MANAGED_BY},
            "ownerReferences": [
                {"apiVersion": API_VERSION, "kind": "PostgresImport", "name": meta["name"], "uid": meta["uid"]}
            ],
        },
    }  # fmt: skip


def build_preview(project: str, namespace: str, name: str, asked: PreviewRequest, origin: RequestOrigin) -> Json:
    spec = {"project": project, "mode": asked.mode.value, "ttl": format_duration(timedelta(hours=asked.ttl_hours))}
    return {
        "apiVersion": API_VERSION, "kind": "PreviewDatabase",
        "metadata": _metadata(name, namespace, origin), "spec": spec,
    }  # fmt: skip


def build_extension(hours: int, now: datetime) -> Json:
    """A patch: the life counts from now."""
    return {"spec": {"ttl": format_duration(timedelta(hours=hours)), "renewedAt": format_time(now)}}
