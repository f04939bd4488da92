"""`python -m tests.docs [PAGE …]`: runs the local blocks of the pages, and writes their output into the pages."""

import sys
import tempfile
from pathlib import Path

from tests.docs.blocks import ROOT, find_pages, parse_blocks, runs_on
from tests.docs.local import open_session
from tests.docs.update import update_page
from tests.support.postgres import run_postgres


def main(arguments: list[str]) -> int:
    """Returns 1 if a command ended with another exit code than its page says."""
    pages = [Path(name).resolve() for name in arguments] or [page for page in find_pages() if runs_on(page, "local")]
    failed = 0
    with run_postgres(16) as source, run_postgres(18) as target:
        for page in pages:
            with (
                tempfile.TemporaryDirectory(prefix="pgimport-docs-") as folder,
                open_session(source, target, Path(folder)) as session,
            ):
                outcomes = session.run(parse_blocks(page), "local")
            for outcome in outcomes:
                if outcome.exit_code != outcome.step.exit_code:
                    failed = 1
                    print(f"{outcome.step.block.title}: exit code {outcome.exit_code}\n{outcome.output}")
            print(f"{page.relative_to(ROOT)}: {update_page(page, outcomes)} outputs written")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
