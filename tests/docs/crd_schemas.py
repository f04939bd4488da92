"""Schemas of the CRDs."""

from functools import cache
from typing import Any

from tests.docs.blocks import ROOT
from tests.support.yaml_files import read_yaml


@cache
def read_schemas() -> dict[str, Any]:
    """Returns kind → schema, with unknown fields refused as `kubectl apply` refuses them."""
    schemas = {}
    for path in (ROOT / "crds").glob("*.yaml"):
        body = read_yaml(path)
        schema = body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        schema["properties"] |= {name: {} for name in ("apiVersion", "kind", "metadata")}
        _close(schema)
        schemas[body["spec"]["names"]["kind"]] = schema
    return schemas


def _close(schema: dict[str, Any]) -> None:
    if schema.pop("x-kubernetes-int-or-string", None):
        schema["type"] = ["integer", "string"]
    if properties := schema.get("properties"):
        schema.setdefault("additionalProperties", False)
        for child in properties.values():
            _close(child)
    if items := schema.get("items"):
        _close(items)
