"""Calls the API server with the admin's key and the standard library."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any

from tests.cluster.bare.control_plane import API_PORT
from tests.cluster.bare.pod_network import NODE_ADDRESS
from tests.cluster.errors import ClusterError
from tests.cluster.instance import Instance

SECONDS_TO_ANSWER = 5.0


@dataclass(frozen=True)
class Answer:
    status: int
    text: str

    def document(self) -> Any:
        return json.loads(self.text)


def ask(instance: Instance, method: str, path: str, body: object | None = None) -> Answer | None:
    """Sends a request. Returns None if the server does not answer."""
    keys = instance.folder / "keys"
    try:
        context = ssl.create_default_context(cafile=keys / "ca.crt")
        context.load_cert_chain(keys / "admin.crt", keys / "admin.key")
        connection = http.client.HTTPSConnection(NODE_ADDRESS, API_PORT, timeout=SECONDS_TO_ANSWER, context=context)
        text = json.dumps(body) if body is not None else None
        connection.request(method, path, text, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = Answer(response.status, response.read().decode())
        connection.close()
    except (OSError, http.client.HTTPException):
        return None
    return answer


def is_ready(instance: Instance) -> bool:
    answer = ask(instance, "GET", "/readyz")
    return answer is not None and answer.status == 200


def node_is_ready(instance: Instance, node: str) -> bool:
    answer = ask(instance, "GET", f"/api/v1/nodes/{node}")
    if answer is None or answer.status != 200:
        return False
    conditions = answer.document()["status"].get("conditions", [])
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def create(instance: Instance, path: str, document: object) -> None:
    """Creates an object unless it exists."""
    answer = ask(instance, "POST", path, document)
    if answer is None or answer.status not in (200, 201, 409):
        raise ClusterError(f"the API server did not create {path}: {answer.text if answer else 'no answer'}")
