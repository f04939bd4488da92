"""Builds the objects that commands create for an import. Pure."""

import argparse
import re
from collections.abc import Iterator
from itertools import count
from typing import Any

from pgimport.cli.cluster_commands.errors import CommandFailed, WrongUsage
from pgimport.cli.cluster_commands.objects import Json, has_ended, name_of, read, state_of
from pgimport.model.names import API_VERSION, SECRET_KEY_URL, source_secret_name

NAME_LIMIT = 253
SCHEMES = ("postgresql://", "postgres://", "https://")
_FILTERS = {
    "includeSchemas": "include_schema",
    "excludeSchemas": "exclude_schema",
    "excludeTables": "exclude_table",
    "excludeTableData": "exclude_table_data",
    "excludeExtensions": "exclude_extension",
}


def build_import(name: str, spec: Json, namespace: str | None = None) -> Json:
    """Builds a PostgresImport. Without a namespace, kubectl chooses that of its context."""
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": API_VERSION, "kind": "PostgresImport", "metadata": metadata, "spec": spec}


def build_spec(arguments: argparse.Namespace, project: str, source: Json) -> Json:
    """Builds the spec of an import from options. Options that are absent leave the default to the API server."""
    filters = {field: values for field, option in _FILTERS.items() if (values := getattr(arguments, option))}
    options: dict[str, Any] = {
        "engine": arguments.engine,
        "verify": arguments.verify,
        "onObjectError": arguments.on_object_error,
        "jobs": arguments.jobs,
        "timeout": arguments.import_timeout,
    }
    spec: Json = {"project": project, "source": source}
    spec |= {field: value for field, value in options.items() if value is not None}
    if arguments.post_import:
        spec["postImport"] = {"sqlConfigMapRef": parse_key(arguments.post_import, "CONFIGMAP/KEY")}
    if filters:
        spec["filter"] = filters
    return spec


def parse_key(text: str, form: str, default_key: str | None = None) -> dict[str, str]:
    """Parses NAME/KEY. Raises WrongUsage."""
    name, _, key = text.partition("/")
    key = key or default_key or ""
    if not name or not key or "/" in key:
        raise WrongUsage(f"{text!r} names no key: write {form}")
    return {"name": name, "key": key}


def check_url(text: str, where: str) -> str:
    """Returns the URL in a text, without the newline of a file. Raises CommandFailed, which does not quote the text."""
    url = text.strip()
    if not url.startswith(SCHEMES) or any(character.isspace() for character in url):
        raise CommandFailed(
            f"{where} holds no URL. Write one line such as postgresql://user:password@host:5432/database"
        )
    return url


def build_source_secret(owner: Json, data: dict[str, str], *, encoded: bool = False) -> Json:
    """Builds the Secret of an import's source. Kubernetes deletes it with the import `owner`.

    `encoded`: the values are Base64, as in a Secret that was read.
    """
    meta = owner["metadata"]
    reference = {"apiVersion": API_VERSION, "kind": "PostgresImport", "name": meta["name"], "uid": meta["uid"]}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "immutable": True,
        "metadata": {
            "name": source_secret_name(meta["name"]),
            "namespace": meta["namespace"],
            "ownerReferences": [reference],
        },
        "data" if encoded else "stringData": data,
    }


def secret_reference(import_name: str) -> Json:
    """Returns the source of an import whose Secret is created with it."""
    return {"urlSecretRef": {"name": source_secret_name(import_name), "key": SECRET_KEY_URL}}


def list_retry_names(name: str) -> Iterator[str]:
    """Yields names for a new import with the spec of an earlier one: `shop-retry`, `shop-retry-2`, …"""
    base = re.sub(r"-retry(-[0-9]+)?$", "", name)[: NAME_LIMIT - len("-retry-999")].rstrip("-.")
    yield f"{base}-retry"
    for number in count(2):
        yield f"{base}-retry-{number}"


def build_retry_spec(body: Json, *, recreate: bool) -> Json:
    """Returns the spec for a new import like this one. Raises CommandFailed if it cannot run again."""
    name = name_of(body)
    if not has_ended(body):
        raise CommandFailed(f"import {name} has not ended: it is {state_of(body)}. Cancel it first.")
    if read(body, "status", "uploadDeleted"):
        raise CommandFailed(
            f"import {name} cannot be repeated: its uploaded file was deleted. Create an import with --dump."
        )
    spec = {field: value for field, value in body["spec"].items() if field not in ("suspend", "cancel")}
    return {**spec, "recreate": True} if recreate else spec


def is_owned_by(secret: Json, body: Json) -> bool:
    """Tells whether Kubernetes deletes the Secret with this import."""
    owners = read(secret, "metadata", "ownerReferences") or []
    return any(owner.get("uid") == body["metadata"]["uid"] for owner in owners)
