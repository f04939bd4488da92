"""The API server as plain HTTP: what is sent is sent as it is, unknown fields too; a refusal comes back whole."""

import json
from dataclasses import dataclass
from typing import Any

from kubernetes import config
from tests.chaos.fields.crd_schema import KINDS, Json
from tests.support import kubectl

GROUP = "/apis/capydb.dev/v1alpha1"
_STRICT = "?fieldValidation=Strict&fieldManager=chaos-fields"  # as kubectl asks
_SECONDS = 30


@dataclass(frozen=True)
class Answer:
    """The object, or why there is none."""

    status: int
    body: Json

    @property
    def accepted(self) -> bool:
        return self.status < 400

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))


class Api:
    """Safe to share between threads."""

    def __init__(self) -> None:
        client = config.new_client_from_config(kubectl.environment()["KUBECONFIG"])
        self._host, self._pool = client.configuration.host, client.rest_client.pool_manager
        self._login = {"Authorization": client.configuration.api_key.get("authorization", "")}

    def call(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Answer:
        headers = {"Content-Type": kind, "Accept": "application/json", **{k: v for k, v in self._login.items() if v}}
        data = None if body is None else json.dumps(body)
        answer = self._pool.request(method, self._host + path, body=data, headers=headers, timeout=_SECONDS)
        return Answer(answer.status, json.loads(answer.data))

    def create(self, manifest: Json, dry: bool = False) -> Answer:
        namespace = manifest["metadata"].get("namespace", "")
        return self.call("POST", path_of(manifest["kind"], namespace) + _STRICT + _dry(dry), manifest)

    def change(self, kind: str, namespace: str, name: str, spec: Json, dry: bool = False) -> Answer:
        """The whole spec, whoever writes the status meanwhile."""
        patch = [{"op": "add", "path": "/spec", "value": spec}]
        path = path_of(kind, namespace, name) + _STRICT + _dry(dry)
        return self.call("PATCH", path, patch, "application/json-patch+json")

    def get(self, kind: str, namespace: str, name: str) -> Json | None:
        """None where there is none."""
        return self.read(path_of(kind, namespace, name))

    def read(self, path: str) -> Json | None:
        """Any object or list."""
        answer = self.call("GET", path)
        if answer.status == 404:
            return None
        assert answer.accepted, f"GET {path}: {answer.status} {answer.message}"
        return answer.body

    def delete(self, kind: str, namespace: str, name: str) -> None:
        answer = self.call("DELETE", path_of(kind, namespace, name))
        assert answer.accepted or answer.status == 404, answer.message


def path_of(kind: str, namespace: str, name: str = "") -> str:
    where = f"/namespaces/{namespace}" if namespace else ""
    return f"{GROUP}{where}/{KINDS[kind]}{f'/{name}' if name else ''}"


def _dry(dry: bool) -> str:
    return "&dryRun=All" if dry else ""
