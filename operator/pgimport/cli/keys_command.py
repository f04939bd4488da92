"""`pgimport keys create|list|revoke`: API keys of the HTTP API, in one Secret of the operator's namespace."""

import argparse
import json
import secrets
import sys
from datetime import UTC, datetime
from typing import Any

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
from pgimport.model.errors import Conflict, PgimportError
from pgimport.model.names import LABEL_MANAGED_BY


def keys(words: argparse.Namespace, cluster: KubernetesClient | None = None) -> int:
    """0, or 1 with the reason on stderr."""
    try:
        cluster = cluster or connect_kubernetes()
        match words.verb:
            case "create":
                return _create(cluster, words)
            case "list":
                return _list(cluster, words)
            case _:
                return _revoke(cluster, words)
    except PgimportError as error:
        print(f"keys: {error}", file=sys.stderr)
        return 1


def _create(cluster: KubernetesClient, words: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    made = build_api_key(
        secrets.token_bytes(ID_BYTES + RANDOM_BYTES), organization=words.organization, project=words.project,
        scopes=tuple(ApiScope(one) for one in words.scope) or tuple(ApiScope), name=words.name, created_at=now,
        expires_at=now + words.expires if words.expires else None,
    )  # fmt: skip
    if words.secret is not None:
        return _into_secret(cluster, words, made)
    ensure_entry(cluster, _manifest(words.namespace, API_KEYS_SECRET), made.id, format_entry(made.entry))
    print(made.text)
    print(f"This is the only time that it is shown. Revoke it: pgimport keys revoke {made.id}", file=sys.stderr)
    return 0


def _into_secret(cluster: KubernetesClient, words: argparse.Namespace, made: NewApiKey) -> int:
    """Once: a Secret that is there holds a key already."""
    path = f"kubectl -n {words.namespace} get secret {words.secret} -o jsonpath='{{.data.key}}' | base64 -d"
    if read_secret(cluster, words.namespace, words.secret) is None:
        ensure_entry(cluster, _manifest(words.namespace, API_KEYS_SECRET), made.id, format_entry(made.entry))
        manifest = _manifest(words.namespace, words.secret)
        manifest["metadata"]["ownerReferences"] = []
        try:
            create_secret(cluster, words.namespace, manifest, {"key": made.text.encode(), "id": made.id.encode()})
        except Conflict:  # somebody was faster: one key is enough
            ensure_entry(cluster, _manifest(words.namespace, API_KEYS_SECRET), made.id, None)
    print(f"read the key with: {path}")
    return 0


def _manifest(namespace: str, name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": {LABEL_MANAGED_BY: "pgimport"}},
    }  # fmt: skip


def _list(cluster: KubernetesClient, words: argparse.Namespace) -> int:
    ring = parse_api_keys(read_secret(cluster, words.namespace, API_KEYS_SECRET) or {})
    for problem in ring.problems:
        print(f"keys: {problem}: passed over", file=sys.stderr)
    if words.json:
        print(json.dumps([{"id": one, **_shown(entry)} for one, entry in ring.entries.items()], indent=2))
        return 0
    rows = [("ID", "NAME", "ORGANIZATION", "PROJECT", "SCOPES", "EXPIRES")]
    for one, entry in ring.entries.items():
        expires = entry.expires_at.strftime("%Y-%m-%d %H:%M") if entry.expires_at else "never"
        rows.append(
            (one, entry.name or "-", entry.organization, entry.project or "all", ",".join(entry.scopes), expires)
        )
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _shown(entry: ApiKeyEntry) -> dict[str, Any]:
    return {name: value for name, value in entry.to_json().items() if name != "hash"}


def _revoke(cluster: KubernetesClient, words: argparse.Namespace) -> int:
    if words.id not in (read_secret(cluster, words.namespace, API_KEYS_SECRET) or {}):
        print(f"keys: there is no key {words.id} in namespace {words.namespace}", file=sys.stderr)
        return 1
    ensure_entry(cluster, _manifest(words.namespace, API_KEYS_SECRET), words.id, None)
    print(f"{words.id} is revoked")
    return 0
