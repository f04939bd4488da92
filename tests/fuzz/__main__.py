"""Feeds a parser with input that Atheris derives: `python -m tests.fuzz SECONDS [urls|dumps]`."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import atheris

PARSERS = ["pgimport.model.source_url", "pgimport.worker.engines.file", "pgimport.worker.archive"]

with atheris.instrument_imports(include=[*PARSERS, "urllib.parse", "ipaddress"]):
    from tests.fuzz.dump_file_check import SEEDS as DUMPS
    from tests.fuzz.dump_file_check import check_dump
    from tests.fuzz.source_url_check import check_url
    from tests.support.source_url_tricks import HOSTS, PARAMETERS, PG, WHOLE

URLS = [
    *(PG.format(host) for host, _ in HOSTS.values()),
    *(f"https://{host}/dump?a=b" for host, _ in HOSTS.values()),
    *(PG.format("a.example.com") + f"?{parameter}" for parameter in PARAMETERS),
    *WHOLE.values(),
    "postgresql://u:p@a.example.com:5432/d?sslmode=verify-full&sslrootcert=system&application_name=x",
]
# Parser → its check, its seeds, and the longest input in bytes.
TARGETS: dict[str, tuple[Callable[[bytes], bool], list[bytes], int]] = {
    "urls": (lambda data: check_url(data.decode("utf-8", "ignore")), [url.encode() for url in URLS], 512),
    "dumps": (check_dump, list(DUMPS.values()), 16384),
}


def main(seconds: int, target: str) -> None:
    """Fuzz in one process, from the seeds on. A finding ends the process and prints the input that caused it."""
    run_check, seeds, max_length = TARGETS[target]
    input_count, accepted_count = 0, 0

    def check(data: bytes) -> None:
        nonlocal input_count, accepted_count
        input_count += 1
        accepted_count += run_check(data)
        if input_count % 100_000 == 0:
            print(f"{input_count} inputs, {accepted_count} accepted", flush=True)

    with TemporaryDirectory() as folder:
        for number, seed in enumerate(seeds):
            (Path(folder) / str(number)).write_bytes(seed)
        options = [f"-max_total_time={seconds}", f"-max_len={max_length}", "-verbosity=0", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], *options, folder], check)
        atheris.Fuzz()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("seconds", type=int)
    parser.add_argument("target", choices=TARGETS, nargs="?", default="urls")
    arguments = parser.parse_args()
    main(arguments.seconds, arguments.target)
