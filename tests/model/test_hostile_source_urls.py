"""Known tricks with URLs: what each is taken for, and whether it may be reached.

Names are resolved as a system's resolver would: numbers in any spelling are addresses, `*.nip.io` names are what they
say, everything else is public.
"""

import ipaddress
import re
import socket

import pytest
from tests.support.source_url_tricks import HOSTS, INVALID, PARAMETERS, PG, PUBLIC, WHOLE

from pgimport.model.reasons import Failure, Reason
from pgimport.model.source_url import parse_source, resolve_source
from pgimport.model.spec import AllowedSources


def resolve(host: str, port: int) -> list[str]:
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    try:  # 2130706433, 0x7f.1, 0177.0.0.1, 127.1: what getaddrinfo makes of them
        return [socket.inet_ntoa(socket.inet_aton(host))]
    except OSError:
        pass
    if match := re.search(r"(\d+)[.-](\d+)[.-](\d+)[.-](\d+)\.nip\.io$", host):
        return [".".join(match.groups())]
    return {"localhost": ["127.0.0.1", "::1"], "mixed.example.com": [PUBLIC, "10.0.0.1"], "empty.example.com": []}.get(
        host, [PUBLIC]
    )


def outcome(text: str) -> Reason | str:
    url = parse_source(text)
    if isinstance(url, Failure):
        return url.reason
    pinned = resolve_source(url, resolve, AllowedSources())
    return pinned.reason if isinstance(pinned, Failure) else pinned.address


@pytest.mark.parametrize("scheme", [PG, "https://{}/dump"], ids=["live", "file"])
@pytest.mark.parametrize("name", HOSTS)
def test_a_host(name: str, scheme: str) -> None:
    host, expected = HOSTS[name]
    assert outcome(scheme.format(host)) is expected


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_a_parameter(parameter: str) -> None:
    assert outcome(PG.format("a.example.com") + f"?{parameter}") is INVALID


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_url(name: str) -> None:
    assert outcome(WHOLE[name]) is INVALID


@pytest.mark.parametrize(
    "host", ["a.example.com", "a.example.com.", "xn--exmple-cua.com", "8.8.8.8", "[2606:4700::1111]", "A.EXAMPLE.COM"]
)
def test_what_is_meant_well_passes(host: str) -> None:
    for text in (PG.format(host), f"https://{host}/dump?X-Signature=a%2Fb&c=d@e"):
        assert not isinstance(outcome(text), Reason)
