"""The start of the API's process: libraries of options that are not configured are not loaded."""

import subprocess
import sys

OPTIONAL_LIBRARIES = ("jwt", "cryptography", "obstore")


def test_libraries_of_clerk_and_s3_are_not_imported_at_start() -> None:
    program = f"import sys, pgimport.api.main; print([name for name in {OPTIONAL_LIBRARIES} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
