"""Checks how hostile URLs are parsed, and whether their addresses may be reached.

`resolve` acts like a system resolver: it accepts numbers in any notation, resolves `*.nip.io` names to the address that
they contain, and all other names to a public address.
"""

import ipaddress
import re
import socket

import pytest
from tests.support.source_url_tricks import HOSTS, INVALID, PARAMETERS, PG, PUBLIC, WHOLE

from pgimport.model.project_spec import AllowedSources
from pgimport.model.reasons import Failure, Reason
from pgimport.model.source_url import parse_source, resolve_source


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


def find_outcome(text: str) -> Reason | str:
    url = parse_source(text)
    if isinstance(url, Failure):
        return url.reason
    pinned = resolve_source(url, resolve, AllowedSources())
    return pinned.reason if isinstance(pinned, Failure) else pinned.address


@pytest.mark.parametrize("scheme", [PG, "https://{}/dump"], ids=["live", "file"])
@pytest.mark.parametrize("name", HOSTS)
def test_a_hostile_host_is_refused_or_resolved_safely(name: str, scheme: str) -> None:
    host, expected = HOSTS[name]
    assert find_outcome(scheme.format(host)) is expected


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_a_hostile_parameter_is_refused(parameter: str) -> None:
    assert find_outcome(PG.format("a.example.com") + f"?{parameter}") is INVALID


@pytest.mark.parametrize("name", WHOLE)
def test_a_hostile_url_is_refused(name: str) -> None:
    assert find_outcome(WHOLE[name]) is INVALID


@pytest.mark.parametrize(
    "host", ["a.example.com", "a.example.com.", "xn--exmple-cua.com", "8.8.8.8", "[2606:4700::1111]", "A.EXAMPLE.COM"]
)
def test_a_harmless_host_is_accepted(host: str) -> None:
    for text in (PG.format(host), f"https://{host}/dump?X-Signature=a%2Fb&c=d@e"):
        assert not isinstance(find_outcome(text), Reason)
