"""Checks that the worker starts without the Kubernetes client, kopf and the packages of the operator."""

import subprocess
import sys

PROGRAM = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("kopf", "kubernetes", "aiohttp") or name.startswith(
            (
                "pgimport.kubernetes_client",
                "pgimport.server",
                "pgimport.reconcile",
                "pgimport.decide",
                "pgimport.settings",
            )
        ):
            raise AssertionError(f"the worker imports {name}")

sys.meta_path.insert(0, Refuse())
import pgimport.worker.main
print(pgimport.worker.main.main(["nonsense"]))
"""


def test_the_worker_starts_without_the_operators_packages() -> None:
    process = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (process.returncode, process.stdout) == (0, "2\n"), process.stderr
