"""`python -m tests.fuzz SECONDS`: texts without number go into the parser of source URLs; their number comes out."""

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
    """One process, one core, from what is known on; a finding ends it with the text that led to it."""
    counts = [0, 0]

    def one(data: bytes) -> None:
        counts[0] += 1
        counts[1] += check_url(data.decode("utf-8", "ignore"))
        if counts[0] % 100_000 == 0:
            print(f"{counts[0]} texts, {counts[1]} accepted", flush=True)

    with TemporaryDirectory() as folder:
        for number, seed in enumerate(SEEDS):
            (Path(folder) / str(number)).write_text(seed, encoding="utf-8")
        options = [f"-max_total_time={seconds}", "-max_len=512", "-verbosity=0", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], *options, folder], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main(int(sys.argv[1]))
