"""The installed chart goes in; where its HTTP API is, and the file with a key for it, come out."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from tests.cluster.chart_release import kubectl
from tests.cluster.env_file import write_environment
from tests.cluster.instance import Instance
from tests.cluster.provider import Provider

SERVICE, KEY_SECRET = "pgimport-api", "pgimport-initial-key"


def write_api(instance: Instance, provider: Provider) -> tuple[str | None, Path]:
    """Into the `env` file too. No URL where this host has no way to a Service."""
    url = provider.api_url(json.loads(kubectl(instance, "get", "service", SERVICE, "--output=json")))
    secret = json.loads(kubectl(instance, "get", "secret", KEY_SECRET, "--output=json"))
    key = base64.b64decode(secret["data"]["key"]).decode()
    path = instance.folder / "api-key"
    path.touch(mode=0o600)
    path.write_text(key + "\n")
    write_environment(instance, {"PGIMPORT_API_KEY": key} | ({"PGIMPORT_API_URL": url} if url else {}))
    return url, path
