"""Reads the API server's audit log, and the rights that the chart gives."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from tests.support import kubectl

Right = tuple[str, str]  # verb, and resource with subresource, such as `pods/log`


def read_requests(account: str) -> Iterator[dict[str, Any]]:
    """Yields the requests of a service account for resources since the cluster was started, or skips the test."""
    paths = sorted((kubectl.cluster_folder() / "logs").glob("audit*.log"))  # the API server begins a file every 100 MB
    if not paths:
        pytest.skip("only the API server of CLUSTER=bare writes an audit log here")
    for path in paths:
        with path.open() as lines:
            for line in lines:
                event: dict[str, Any] = json.loads(line)
                if event["user"]["username"] == account and "resource" in event.get("objectRef", {}):
                    yield event


def is_allowed(event: dict[str, Any]) -> bool:
    decision: str = event.get("annotations", {}).get("authorization.k8s.io/decision", "")
    return decision == "allow"


def right_of(event: dict[str, Any]) -> Right:
    """Returns the right that a request needs."""
    reference = event["objectRef"]
    parts = (reference["resource"], reference.get("subresource"))
    return event["verb"], "/".join(part for part in parts if part)


def read_rights(*roles: tuple[str, str, str | None]) -> set[Right]:
    """Returns the rights in these roles, each given as kind, name and namespace."""
    rules = [rule for role in roles for rule in _read_rules(role)]
    return {(verb, resource) for rule in rules for verb in rule["verbs"] for resource in rule["resources"]}


def _read_rules(role: tuple[str, str, str | None]) -> Sequence[dict[str, Any]]:
    rules: Sequence[dict[str, Any]] = kubectl.get(*role)["rules"]
    return rules
