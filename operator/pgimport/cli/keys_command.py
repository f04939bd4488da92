"""`pgimport keys create|list|revoke`: manages the API keys of the HTTP API.

One Secret in the operator's namespace holds the hashes of all keys.
"""

import argparse
import json
import secrets
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pgimport.cli.arguments import DEFAULT_NAMESPACE
from pgimport.cli.messages import print_error
from pgimport.kubernetes_client.api_client import KubernetesClient, connect_kubernetes
from pgimport.kubernetes_client.secrets_and_config_maps import create_secret, ensure_entry, read_secret
from pgimport.model.api_caller import ApiScope
from pgimport.model.api_keys import (
    API_KEYS_SECRET,
    ID_BYTES,
    RANDOM_BYTES,
    ApiKeyEntry,
    NewApiKey,
    build_api_key,
    format_entry,
    parse_api_keys,
)
from pgimport.model.errors import Conflict
from pgimport.model.names import LABEL_MANAGED_BY
from pgimport.model.visible_text import show_controls_of_line

COLUMNS = ("ID", "NAME", "ORGANIZATION", "PROJECT", "SCOPES", "EXPIRES")


def main(arguments: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Returns the exit code. Raises PgimportError."""
    if "namespace" not in arguments:
        arguments.namespace = environment.get("PGIMPORT_NAMESPACE", DEFAULT_NAMESPACE)
    return run_keys(arguments, connect_kubernetes())


def run_keys(arguments: argparse.Namespace, kubernetes: KubernetesClient) -> int:
    """Runs one verb; returns 1 if the key to revoke does not exist. Raises PgimportError."""
    match arguments.verb:
        case "create":
            return _create_key(kubernetes, arguments)
        case "list":
            return _list_keys(kubernetes, arguments)
        case _:
            return _revoke_key(kubernetes, arguments)


def _create_key(kubernetes: KubernetesClient, arguments: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    key = build_api_key(
        secrets.token_bytes(ID_BYTES + RANDOM_BYTES),
        organization=arguments.organization,
        project=arguments.project,
        scopes=tuple(ApiScope(scope) for scope in arguments.scope) or tuple(ApiScope),
        name=arguments.name,
        created_at=now,
        expires_at=now + arguments.expires if arguments.expires else None,
    )
    if arguments.secret is not None:
        return _write_key_to_secret(kubernetes, arguments, key)
    _add_entry(kubernetes, arguments.namespace, key)
    print(key.text)
    where = "" if arguments.namespace == DEFAULT_NAMESPACE else f" -n {arguments.namespace}"
    print(f"The key is not shown again. To revoke it, run `pgimport keys{where} revoke {key.id}`.", file=sys.stderr)
    return 0


def _write_key_to_secret(kubernetes: KubernetesClient, arguments: argparse.Namespace, key: NewApiKey) -> int:
    """Creates the Secret with the key. An existing Secret already has a key and is left alone."""
    namespace, name = arguments.namespace, arguments.secret
    if read_secret(kubernetes, namespace, name) is None:
        _add_entry(kubernetes, namespace, key)
        manifest = _build_manifest(namespace, name)
        manifest["metadata"]["ownerReferences"] = []
        try:
            create_secret(kubernetes, namespace, manifest, {"key": key.text.encode(), "id": key.id.encode()})
        except Conflict:  # Another process created the Secret first, so this key is not needed.
            _remove_entry(kubernetes, namespace, key.id)
    print(f"read the key with: kubectl -n {namespace} get secret {name} -o jsonpath='{{.data.key}}' | base64 -d")
    return 0


def _list_keys(kubernetes: KubernetesClient, arguments: argparse.Namespace) -> int:
    ring = parse_api_keys(read_secret(kubernetes, arguments.namespace, API_KEYS_SECRET) or {})
    for problem in ring.problems:
        print_error(f"pgimport keys: {problem}: skipped")
    if arguments.json:
        print(json.dumps([{"id": key_id, **_format_json(entry)} for key_id, entry in ring.entries.items()], indent=2))
        return 0
    now = datetime.now(UTC)
    rows = [COLUMNS, *(_format_row(key_id, entry, now) for key_id, entry in ring.entries.items())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        print(show_controls_of_line(line))
    return 0


def _revoke_key(kubernetes: KubernetesClient, arguments: argparse.Namespace) -> int:
    if arguments.id not in (read_secret(kubernetes, arguments.namespace, API_KEYS_SECRET) or {}):
        print(f"pgimport keys: there is no key {arguments.id} in namespace {arguments.namespace}", file=sys.stderr)
        return 1
    _remove_entry(kubernetes, arguments.namespace, arguments.id)
    print(f"key {arguments.id} is revoked")
    return 0


def _add_entry(kubernetes: KubernetesClient, namespace: str, key: NewApiKey) -> None:
    ensure_entry(kubernetes, _build_manifest(namespace, API_KEYS_SECRET), key.id, format_entry(key.entry))


def _remove_entry(kubernetes: KubernetesClient, namespace: str, key_id: str) -> None:
    ensure_entry(kubernetes, _build_manifest(namespace, API_KEYS_SECRET), key_id, None)


def _build_manifest(namespace: str, name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": {LABEL_MANAGED_BY: "pgimport"}},
    }


def _format_row(key_id: str, entry: ApiKeyEntry, now: datetime) -> tuple[str, ...]:
    expires = f"{entry.expires_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if entry.expires_at else "never"
    expires += " (expired)" if entry.expires_at and entry.expires_at <= now else ""
    return (key_id, entry.name or "-", entry.organization, entry.project or "all", ",".join(entry.scopes), expires)


def _format_json(entry: ApiKeyEntry) -> dict[str, Any]:
    return {name: value for name, value in entry.to_json().items() if name != "hash"}
