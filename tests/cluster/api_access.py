"""Writes the URL of the installed HTTP API, and a key for it, into files of the instance."""

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
    """Writes URL and key, also into the `env` file, and returns the URL and the key's file.

    The URL is None if this host cannot reach Services.
    """
    url = provider.api_url(json.loads(kubectl(instance, "get", "service", SERVICE, "--output=json")))
    secret = json.loads(kubectl(instance, "get", "secret", KEY_SECRET, "--output=json"))
    key = base64.b64decode(secret["data"]["key"]).decode()
    path = instance.folder / "api-key"
    path.touch(mode=0o600)
    path.write_text(key + "\n")
    write_environment(instance, {"PGIMPORT_API_KEY": key} | ({"PGIMPORT_API_URL": url} if url else {}))
    return url, path
