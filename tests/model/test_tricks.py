"""Known tricks with URLs: what each is taken for, and whether it may be reached.

Names are resolved as a system's resolver would: numbers in any spelling are addresses, `*.nip.io` names are what they
say, everything else is public.
"""

import ipaddress
import re
import socket

import pytest

from pgimport.model.reasons import Failure, Reason
from pgimport.model.source_url import parse_source, resolve_source
from pgimport.model.spec import Sources

PUBLIC = "93.184.216.34"
INVALID, FORBIDDEN = Reason.SOURCE_URL_INVALID, Reason.SOURCE_ADDRESS_FORBIDDEN


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


PG = "postgresql://u:p@{}/d"
HOSTS: dict[str, tuple[str, Reason]] = {
    "loopback": ("127.0.0.1", FORBIDDEN),
    "loopback's other end": ("127.255.255.254", FORBIDDEN),
    "loopback by name": ("localhost", FORBIDDEN),
    "loopback by name with a dot": ("localhost.", FORBIDDEN),
    "decimal": ("2130706433", FORBIDDEN),
    "hexadecimal": ("0x7f000001", FORBIDDEN),
    "octal": ("017700000001", FORBIDDEN),
    "dotted hexadecimal": ("0x7f.0x0.0x0.0x1", FORBIDDEN),
    "dotted octal": ("0177.0.0.1", FORBIDDEN),
    "two parts": ("127.1", FORBIDDEN),
    "three parts": ("127.0.1", FORBIDDEN),
    "mixed spellings": ("0x7f.1", FORBIDDEN),
    "zero": ("0", FORBIDDEN),
    "all zeros": ("0.0.0.0", FORBIDDEN),  # noqa: S104 (nobody binds to it)
    "private ten": ("10.1.2.3", FORBIDDEN),
    "private ten in decimal": ("167772161", FORBIDDEN),
    "private 172": ("172.16.0.1", FORBIDDEN),
    "private 192": ("192.168.1.1", FORBIDDEN),
    "carrier's": ("100.64.0.1", FORBIDDEN),
    "link-local": ("169.254.1.1", FORBIDDEN),
    "metadata": ("169.254.169.254", FORBIDDEN),
    "metadata in decimal": ("2852039166", FORBIDDEN),
    "metadata of Alibaba": ("100.100.100.200", FORBIDDEN),
    "metadata of Azure": ("168.63.129.16", FORBIDDEN),
    "benchmarks": ("198.18.0.1", FORBIDDEN),
    "documentation": ("203.0.113.1", FORBIDDEN),
    "IETF": ("192.0.0.1", FORBIDDEN),
    "multicast": ("224.0.0.1", FORBIDDEN),
    "reserved": ("240.0.0.1", FORBIDDEN),
    "broadcast": ("255.255.255.255", FORBIDDEN),
    "IPv6 loopback": ("[::1]", FORBIDDEN),
    "IPv6 any": ("[::]", FORBIDDEN),
    "mapped loopback": ("[::ffff:127.0.0.1]", FORBIDDEN),
    "mapped in hexadecimal": ("[::ffff:7f00:1]", FORBIDDEN),
    "mapped private": ("[::ffff:10.0.0.1]", FORBIDDEN),
    "compatible loopback": ("[::127.0.0.1]", FORBIDDEN),
    "written out": ("[0:0:0:0:0:ffff:7f00:0001]", FORBIDDEN),
    "NAT64 of loopback": ("[64:ff9b::7f00:1]", FORBIDDEN),
    "NAT64 of private": ("[64:ff9b::a00:1]", FORBIDDEN),
    "local NAT64": ("[64:ff9b:1::7f00:1]", FORBIDDEN),
    "6to4 of loopback": ("[2002:7f00:1::]", FORBIDDEN),
    "6to4 of private": ("[2002:c0a8:101::1]", FORBIDDEN),
    "Teredo": ("[2001:0:7f00:1::]", FORBIDDEN),
    "unique local": ("[fd00::1]", FORBIDDEN),
    "IPv6 link-local": ("[fe80::1]", FORBIDDEN),
    "IPv6 site-local": ("[fec0::1]", FORBIDDEN),
    "IPv6 multicast": ("[ff02::1]", FORBIDDEN),
    "IPv6 metadata of AWS": ("[fd00:ec2::254]", FORBIDDEN),
    "IPv6 documentation": ("[2001:db8::1]", FORBIDDEN),
    "a zone": ("[fe80::1%25eth0]", INVALID),
    "a name that is an address": ("127.0.0.1.nip.io", FORBIDDEN),
    "a name that is a private address": ("app-10-0-0-5.nip.io", FORBIDDEN),
    "one private address among public ones": ("mixed.example.com", FORBIDDEN),
    "no address": ("empty.example.com", FORBIDDEN),
    "percent-encoded loopback": ("%31%32%37.0.0.1", INVALID),
    "percent-encoded dot": ("127%2e0%2e0%2e1", INVALID),
    "percent-encoded slash": ("a%2fb", INVALID),
    "a socket": ("%2Fvar%2Frun%2Fpostgresql", INVALID),
    "no host": ("", INVALID),
    "two hosts": ("a.example.com,127.0.0.1", INVALID),
    "two hosts with ports": ("a.example.com:5432,127.0.0.1:5432", INVALID),
    "IDN dots": ("127。0。0。1", INVALID),
    "full-width digits": ("１２７.0.0.1", INVALID),
    "IDN name": ("exämple.com", INVALID),
    "circled letters": ("ⓛocalhost", INVALID),
    "a backslash": ("a.example.com\\@127.0.0.1", INVALID),
    "a second @": ("a.example.com@127.0.0.1", INVALID),
    "a tab": ("a.exam\tple.com", INVALID),
    "CRLF": ("a.example.com\r\nHost: b", INVALID),
    "a zero byte": ("a.example.com\x00.b", INVALID),
    "a space": ("a.example.com b", INVALID),
    "an empty port": ("127.0.0.1:", FORBIDDEN),
    "a port with a sign": ("a.example.com:+5432", INVALID),
    "port zero": ("a.example.com:0", INVALID),
    "a port too many": ("a.example.com:65536", INVALID),
    "Arabic digits as port": ("a.example.com:٥٤٣٢", INVALID),
    "two dots": ("a..example.com", INVALID),
    "a dash in front": ("-a.example.com", INVALID),
    "an open bracket": ("[::1", INVALID),
    "brackets around a name": ("[localhost]", INVALID),
}
PARAMETERS = [
    "host=127.0.0.1", "hostaddr=127.0.0.1", "host=", "port=22", "user=postgres", "password=x", "dbname=other",
    "service=internal", "servicefile=/tmp/x", "passfile=/etc/passwd", "sslkey=/etc/passwd", "sslcert=/etc/passwd",
    "sslrootcert=/etc/passwd", "sslcrl=/etc/passwd", "sslcrldir=/etc", "sslkeylogfile=/tmp/x", "sslpassword=x",
    "krbsrvname=x", "gsslib=x", "gssencmode=require", "options=-c%20role%3Dx", "options=endpoint%3Da%20-c%20b",
    "replication=database", "target_session_attrs=any", "load_balance_hosts=random", "require_auth=none",
    "oauth_issuer=https://a", "channel_binding=yes", "sslmode=none", "sslmode=require&sslmode=disable",
    "SSLMODE=disable", "sslmode=disable%00", "connect_timeout=-1", "application_name=a%0ab", "sslmode", "=x",
    "sslrootcert=system", "requirepeer=x", "client_encoding=x", "keepalives=0", "tcp_user_timeout=1",
]  # fmt: skip
WHOLE = {
    "another scheme": "mysql://u:p@a.example.com/d",
    "no scheme": "//u:p@a.example.com/d",
    "no slashes": "postgresql:u:p@a.example.com/d",
    "one slash": "postgresql:/u:p@a.example.com/d",
    "a keyword string": "host=127.0.0.1 dbname=d",
    "a file": "file:///etc/passwd",
    "plain http": "http://a.example.com/dump",
    "https with a user": "https://u:p@a.example.com/dump",
    "https with a fragment": "https://a.example.com/dump#x",
    "https with two hosts": "https://a.example.com,127.0.0.1/dump",
    "a fragment": "postgresql://u:p@a.example.com/d#@127.0.0.1",
    "an @ in the password": "postgresql://u:p@x@a.example.com/d",
    "an @ in the query": "postgresql://u:p@a.example.com/d?application_name=@127.0.0.1",
    "a slash in the database": "postgresql://u:p@a.example.com/d/../e",
    "no user": "postgresql://a.example.com/d",
    "no database": "postgresql://u:p@a.example.com/",
    "a newline in the password": "postgresql://u:p%0a@a.example.com/d",
    "a broken escape": "postgresql://u:p%zz@a.example.com/d",
    "too long": "postgresql://u:p@a.example.com/" + "d" * 5000,
}


def outcome(text: str) -> Reason | str:
    url = parse_source(text)
    if isinstance(url, Failure):
        return url.reason
    pinned = resolve_source(url, resolve, Sources())
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
