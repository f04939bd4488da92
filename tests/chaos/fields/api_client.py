"""Sends objects to the API server unchanged, unknown fields included, and returns its complete answers."""

import json
from dataclasses import dataclass
from typing import Any

from kubernetes import config
from tests.chaos.fields.crd_schema import KINDS, Json
from tests.support import kubectl

GROUP = "/apis/capydb.dev/v1alpha1"
_STRICT = "?fieldValidation=Strict&fieldManager=chaos-fields"  # as kubectl does
_SECONDS = 30


@dataclass(frozen=True)
class ApiResponse:
    """The object, or the Status that explains the refusal."""

    status: int
    body: Json

    @property
    def accepted(self) -> bool:
        return self.status < 400

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))


class ApiClient:
    """Client of the API server. Threads may share it."""

    def __init__(self) -> None:
        client = config.new_client_from_config(kubectl.environment()["KUBECONFIG"])
        self._host, self._pool = client.configuration.host, client.rest_client.pool_manager
        self._login = {"Authorization": client.configuration.api_key.get("authorization", "")}

    def call(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> ApiResponse:
        headers = {"Content-Type": kind, "Accept": "application/json", **{k: v for k, v in self._login.items() if v}}
        data = None if body is None else json.dumps(body)
        response = self._pool.request(method, self._host + path, body=data, headers=headers, timeout=_SECONDS)
        return ApiResponse(response.status, json.loads(response.data))

    def create(self, manifest: Json, dry_run: bool = False) -> ApiResponse:
        namespace = manifest["metadata"].get("namespace", "")
        return self.call(
            "POST", build_path(manifest["kind"], namespace) + _STRICT + _dry_run_parameter(dry_run), manifest
        )

    def change(self, kind: str, namespace: str, name: str, spec: Json, dry_run: bool = False) -> ApiResponse:
        """Replace the spec. A concurrent write of the status is no conflict."""
        patch = [{"op": "add", "path": "/spec", "value": spec}]
        path = build_path(kind, namespace, name) + _STRICT + _dry_run_parameter(dry_run)
        return self.call("PATCH", path, patch, "application/json-patch+json")

    def get(self, kind: str, namespace: str, name: str) -> Json | None:
        """Read one object; return None if it does not exist."""
        return self.read(build_path(kind, namespace, name))

    def read(self, path: str) -> Json | None:
        """Read any object or list; return None if it does not exist."""
        response = self.call("GET", path)
        if response.status == 404:
            return None
        assert response.accepted, f"GET {path}: {response.status} {response.message}"
        return response.body

    def delete(self, kind: str, namespace: str, name: str) -> None:
        response = self.call("DELETE", build_path(kind, namespace, name))
        assert response.accepted or response.status == 404, response.message


def build_path(kind: str, namespace: str, name: str = "") -> str:
    namespace_path = f"/namespaces/{namespace}" if namespace else ""
    return f"{GROUP}{namespace_path}/{KINDS[kind]}{f'/{name}' if name else ''}"


def _dry_run_parameter(dry_run: bool) -> str:
    return "&dryRun=All" if dry_run else ""
