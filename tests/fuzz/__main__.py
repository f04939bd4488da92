"""Feeds the parser of source URLs with texts that Atheris derives: `python -m tests.fuzz SECONDS`."""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import atheris

with atheris.instrument_imports(include=["pgimport.model.source_url", "urllib.parse", "ipaddress"]):
    from tests.fuzz.source_url_check import check_url
    from tests.support.source_url_tricks import HOSTS, PARAMETERS, PG, WHOLE

SEEDS = [
    *(PG.format(host) for host, _ in HOSTS.values()),
    *(f"https://{host}/dump?a=b" for host, _ in HOSTS.values()),
    *(PG.format("a.example.com") + f"?{parameter}" for parameter in PARAMETERS),
    *WHOLE.values(),
    "postgresql://u:p@a.example.com:5432/d?sslmode=verify-full&sslrootcert=system&application_name=x",
]


def main(seconds: int) -> None:
    """Fuzz in one process, from the known tricks on. A finding ends the process and prints the text that caused it."""
    text_count, accepted_count = 0, 0

    def check(data: bytes) -> None:
        nonlocal text_count, accepted_count
        text_count += 1
        accepted_count += check_url(data.decode("utf-8", "ignore"))
        if text_count % 100_000 == 0:
            print(f"{text_count} texts, {accepted_count} accepted", flush=True)

    with TemporaryDirectory() as folder:
        for number, seed in enumerate(SEEDS):
            (Path(folder) / str(number)).write_text(seed, encoding="utf-8")
        options = [f"-max_total_time={seconds}", "-max_len=512", "-verbosity=0", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], *options, folder], check)
        atheris.Fuzz()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("seconds", type=int)
    main(parser.parse_args().seconds)
