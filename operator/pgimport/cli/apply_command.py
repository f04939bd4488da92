"""`pgimport apply FILE`: one Project from a file into the cluster, by server-side apply; the chart's own hook."""

import sys
import time
from pathlib import Path

import yaml

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import connect_kubernetes
from pgimport.model.errors import NotFound, PgimportError
from pgimport.model.names import API_VERSION, PROJECTS

PATIENCE = 60  # seconds for a CRD that was installed a moment ago to be served


def apply(file: str) -> int:
    """0 when the Project is there; 1 with the reason on stderr."""
    body = yaml.safe_load(Path(file).read_text())
    if not isinstance(body, dict) or body.get("kind") != "Project" or body.get("apiVersion") != API_VERSION:
        print(f"apply: {file}: not a Project of {API_VERSION}", file=sys.stderr)
        return 1
    cluster, deadline = connect_kubernetes(), time.monotonic() + PATIENCE
    while True:
        try:
            cluster.apply(api_paths.resource(PROJECTS, "", body["metadata"]["name"]), body)
        except NotFound as absent:
            if time.monotonic() > deadline:
                print(f"apply: {absent}", file=sys.stderr)
                return 1
            time.sleep(0.5)
            continue
        except PgimportError as error:
            print(f"apply: {error}", file=sys.stderr)
            return 1
        print(f"project {body['metadata']['name']} applied")
        return 0
