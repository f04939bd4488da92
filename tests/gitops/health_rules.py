"""Reads the health rules that the documentation gives to users of Flux and Argo CD."""

import yaml
from tests.docs.blocks import ROOT, parse_blocks

PAGE = ROOT / "docs/gitops.md"


def read_block(file: str) -> str:
    """Returns the block that a reader of the page saves under this name."""
    return next(block.text for block in parse_blocks(PAGE) if block.marks.get("file") == file)


def read_health_checks() -> str:
    """Returns `spec.healthCheckExprs` of the page's Kustomization, as YAML."""
    return yaml.safe_dump(yaml.safe_load(read_block("kustomization.yaml"))["spec"]["healthCheckExprs"])


def read_health_script() -> str:
    return read_block("health.lua")
