"""Makes folders of PostgreSQL client programs that report another minor version than they have."""

from pathlib import Path

from tests.support.postgres import installation

CURRENT_MINORS = {16: "16.99", 18: "18.99"}


def current_clients(folder: Path) -> dict[str, str]:
    """Wraps the test servers' own clients, so that the worker takes them for the latest minor version.

    The real ones are a few minors old and built without lz4. Returns the environment variable that names the folder.
    """
    home = folder / "current"
    for major, number in CURRENT_MINORS.items():
        (home / str(major) / "bin").mkdir(parents=True)
        for name in ("pg_dump", "pg_restore", "psql"):
            program = home / str(major) / "bin" / name
            program.write_text(
                "#!/bin/bash\n"
                f'if [ "$1" = --version ]; then echo "{name} (PostgreSQL) {number}"; exit; fi\n'
                f'exec {installation(major) / "bin" / name} "${{@/--compress=lz4/--compress=gzip:1}}"\n'
            )
            program.chmod(0o755)
    return {"PGIMPORT_CLIENTS": str(home)}
