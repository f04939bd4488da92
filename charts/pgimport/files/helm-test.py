"""Waits until the operator is healthy and the given Projects are ready: `helm-test.py ADDRESS [PROJECT …]`.

The exit code is 0 if all are, and 1 after a timeout.
"""

import json
import ssl
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

TIMEOUT_SECONDS = 90
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def read_health(address: str) -> str:
    with urllib.request.urlopen(f"{address}/healthz", timeout=5) as response:  # noqa: S310 (the chart wrote the address)
        return f"the operator responded with {response.status}"


def read_project(name: str) -> str:
    request = urllib.request.Request(
        f"https://kubernetes.default.svc/apis/capydb.dev/v1alpha1/projects/{name}",
        headers={"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}"},
    )
    trust = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, timeout=5, context=trust) as response:  # noqa: S310 (https)
        conditions = json.load(response).get("status", {}).get("conditions", [])
    ready = next((condition for condition in conditions if condition["type"] == "Ready"), {})
    if ready.get("status") != "True":
        raise OSError(f"not ready: {ready.get('reason', 'no condition yet')}: {ready.get('message', '')}")
    return f"project {name} is ready"


def wait_for(title: str, read: Callable[[str], str], argument: str) -> bool:
    end = time.monotonic() + TIMEOUT_SECONDS
    while True:
        try:
            print(read(argument), flush=True)
            return True
        except OSError as error:
            print(f"{title}: {error}", flush=True)
        if time.monotonic() > end:
            return False
        time.sleep(2)


if __name__ == "__main__":
    healthy = wait_for("operator", read_health, sys.argv[1])
    for name in sys.argv[2:]:
        healthy = wait_for(f"project {name}", read_project, name) and healthy
    sys.exit(0 if healthy else 1)
