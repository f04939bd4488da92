"""`pgimport apply FILE`: applies one Project from a file by server-side apply. The chart calls it as a hook."""

import argparse
import time
from collections.abc import Mapping
from pathlib import Path

import yaml

from pgimport.cli.messages import print_error
from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import connect_kubernetes
from pgimport.model.errors import NotFound
from pgimport.model.names import API_VERSION, PROJECTS

CRD_SECONDS = 60  # A new CRD is served some seconds after its creation.
RETRY_SECONDS = 0.5


def main(arguments: argparse.Namespace, _environment: Mapping[str, str]) -> int:
    """Returns 0 if the Project exists, 1 if the file has no Project. Raises PgimportError."""
    try:
        project = yaml.safe_load(Path(arguments.file).read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        print_error(f"pgimport apply: {arguments.file} cannot be read: {error}")
        return 1
    if not isinstance(project, dict) or project.get("kind") != "Project" or project.get("apiVersion") != API_VERSION:
        print_error(f"pgimport apply: {arguments.file} is not a Project of {API_VERSION}")
        return 1
    name = project["metadata"]["name"]
    kubernetes, deadline = connect_kubernetes(), time.monotonic() + CRD_SECONDS
    while True:
        try:
            kubernetes.apply(api_paths.resource(PROJECTS, "", name), project)
        except NotFound:
            if time.monotonic() > deadline:
                raise
            time.sleep(RETRY_SECONDS)
        else:
            print(f"project {name} applied")
            return 0
