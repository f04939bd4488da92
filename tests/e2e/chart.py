"""Installs and changes the Helm release of `make up`, as an admin does."""

import subprocess
import sys

from tests.e2e.postgres_pods import SYSTEM_NAMESPACE
from tests.support import kubectl

RELEASE = "pgimport"
CHART = str(kubectl.CHECKOUT / "charts" / "pgimport")
INSTALL_SECONDS = 300


def helm(*arguments: str) -> str:
    done = subprocess.run(
        ["helm", "--namespace", SYSTEM_NAMESPACE, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=INSTALL_SECONDS,
        env=kubectl.environment(),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def install() -> None:
    """Installs the chart as `make up` does; running parts of the cluster stay."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.cluster", "install"],
        capture_output=True,
        text=True,
        check=False,
        timeout=INSTALL_SECONDS,
        cwd=kubectl.CHECKOUT,
    )
    assert done.returncode == 0, done.stderr
