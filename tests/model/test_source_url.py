"""Checks which source URLs and addresses are accepted, and that no error contains a password."""

import pytest

from pgimport.model.project_spec import AllowedSources, SSLMode
from pgimport.model.reasons import Failure, Reason
from pgimport.model.source_addresses import decide_address
from pgimport.model.source_url import PinnedURL, SourceURL, parse_source_url, resolve_source

PASSWORD = "hunter2"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            " postgresql://u:hunter2@db.example.com:6000/shop\n",
            SourceURL(host="db.example.com", port=6000, user="u", password=PASSWORD, dbname="shop"),
            id="all parts",
        ),
        pytest.param(
            "postgres://u@DB.Example.com./shop",
            SourceURL(host="db.example.com", port=5432, user="u", password=None, dbname="shop"),
            id="no password, no port, a final dot",
        ),
        pytest.param(
            "postgresql://a%40b:p%3Aw%2F%25@[2001:DB8::1]:5433/my%20db?sslmode=verify-full&sslrootcert=system",
            SourceURL(
                host="2001:db8::1",
                port=5433,
                user="a@b",
                password="p:w/%",
                dbname="my db",
                sslmode=SSLMode.VERIFY_FULL,
                system_roots=True,
            ),
            id="percent-encoded, IPv6",
        ),
        pytest.param(
            "postgresql://u:p@h/d?connect_timeout=9999&application_name=me&channel_binding=require"
            "&options=endpoint%3Dep-cool-1",
            SourceURL(
                host="h",
                port=5432,
                user="u",
                password="p",
                dbname="d",
                connect_timeout=60,
                application_name="me",
                channel_binding="require",
                endpoint="ep-cool-1",
            ),
            id="every other parameter",
        ),
    ],
)
def test_a_valid_url_is_parsed(text: str, expected: SourceURL) -> None:
    assert parse_source_url(text) == expected


def test_a_password_is_not_in_the_repr() -> None:
    assert PASSWORD not in repr(parse_source_url("postgresql://u:hunter2@h/d"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "empty", id="empty"),
        pytest.param("mysql://u:hunter2@h/d", "must begin with", id="another scheme"),
        pytest.param("host=h password=hunter2", "must be a URL", id="keywords"),
        pytest.param("postgresql://h/d", "names no user", id="no user"),
        pytest.param("postgresql://u:hunter2@x@h/d", "exactly one @", id="@ in the password"),
        pytest.param("postgresql://u:hunter2/x@h/d", "exactly one @", id="/ in the password"),
        pytest.param("postgresql://u:1?hunter2=x@h/d", "exactly one @", id="? in the password"),
        pytest.param("postgresql://u:1#hunter2@h/d", "exactly one @", id="# in the password"),
        pytest.param("postgresql://u:hunter2%zz@h/d", "percent-encoded", id="bad escape"),
        pytest.param("postgresql://u:hunter2%00@h/d", "control character", id="NUL"),
        pytest.param("postgresql://u:hunter2@/d", "no host", id="no host"),
        pytest.param("postgresql://u:hunter2@%2Fvar%2Frun/d", "sockets", id="socket"),
        pytest.param("postgresql://u:hunter2@a,b/d", "several hosts", id="several hosts"),
        pytest.param("postgresql://u:hunter2@h:0/d", "its port", id="port 0"),
        pytest.param("postgresql://u:hunter2@h:5432x/d", "its port", id="port no number"),
        pytest.param("postgresql://u:hunter2@[fe80::1%25eth0]/d", "no host", id="zone"),
        pytest.param("postgresql://u:hunter2@h", "no database", id="no database"),
        pytest.param("postgresql://u:hunter2@h/d/e", "database name alone", id="two databases"),
        pytest.param("postgresql://u:hunter2@h/d#x", "fragment", id="fragment"),
        pytest.param("postgresql://u:hunter2@h/d?hostaddr=10.0.0.1", "hostaddr is not allowed", id="hostaddr"),
        pytest.param("postgresql://u:hunter2@h/d?service=x", "service is not allowed", id="service"),
        pytest.param("postgresql://u:hunter2@h/d?sslkey=/etc/x", "sslkey is not allowed", id="key file"),
        pytest.param("postgresql://u:hunter2@h/d?sslrootcert=/etc/x", "only be system", id="CA file"),
        pytest.param("postgresql://u:hunter2@h/d?sslrootcert=system", "verify-full", id="system CA, no check"),
        pytest.param("postgresql://u:hunter2@h/d?options=-csearch_path%3Dx", "endpoint", id="options"),
        pytest.param("postgresql://u:hunter2@h/d?sslmode=on", "sslmode must be", id="sslmode"),
        pytest.param("postgresql://u:hunter2@h/d?sslmode=require&sslmode=disable", "twice", id="twice"),
    ],
)
def test_an_invalid_url_is_refused_without_showing_the_password(text: str, words: str) -> None:
    failure = parse_source_url(text)
    assert isinstance(failure, Failure)
    assert failure.reason is Reason.SOURCE_URL_INVALID
    assert words in failure.message
    assert PASSWORD not in failure.message


INSIDE = AllowedSources(allowed_hosts=["db.inside", "*.svc.cluster.local"], allowed_cidrs=["10.9.0.0/16"])


@pytest.mark.parametrize(
    ("host", "addresses", "allowed"),
    [
        pytest.param("h", ["93.184.216.34"], True, id="public"),
        pytest.param("h", ["2a00:1450::1"], True, id="public v6"),
        pytest.param("h", [], False, id="no answer"),
        pytest.param("h", ["127.0.0.1"], False, id="loopback"),
        pytest.param("h", ["::1"], False, id="loopback v6"),
        pytest.param("h", ["0.0.0.1"], False, id="unspecified"),
        pytest.param("h", ["10.0.0.1"], False, id="private"),
        pytest.param("h", ["100.64.0.1"], False, id="CGNAT"),
        pytest.param("h", ["169.254.169.254"], False, id="metadata"),
        pytest.param("h", ["224.0.0.1"], False, id="multicast"),
        pytest.param("h", ["fd00::1"], False, id="ULA"),
        pytest.param("h", ["fe80::1"], False, id="link-local v6"),
        pytest.param("h", ["fe80::1%eth0"], False, id="zone"),
        pytest.param("h", ["::ffff:10.0.0.1"], False, id="mapped private"),
        pytest.param("h", ["::ffff:93.184.216.34"], True, id="mapped public"),
        pytest.param("h", ["64:ff9b::a00:1"], False, id="NAT64 private"),
        pytest.param("h", ["64:ff9b::5db8:d822"], True, id="NAT64 public"),
        pytest.param("h", ["2002:a00:1::"], False, id="6to4 private"),
        pytest.param("h", ["2001:0:5db8:d822::f5ff:fffe"], False, id="Teredo private"),
        pytest.param("h", ["93.184.216.34", "10.0.0.1"], False, id="one of two"),
        pytest.param("h", ["10.9.1.1"], True, id="private, by CIDR"),
        pytest.param("h", ["::ffff:10.9.1.1"], True, id="mapped private, by CIDR"),
        pytest.param("db.inside", ["10.0.0.1"], True, id="private, by host"),
        pytest.param("db.svc.cluster.local", ["10.0.0.1"], True, id="private, by suffix"),
        pytest.param("svc.cluster.local", ["10.0.0.1"], False, id="the suffix alone"),
        pytest.param("evilsvc.cluster.local", ["10.0.0.1"], False, id="no label of its own"),
        pytest.param("db.inside", ["127.0.0.1"], False, id="loopback, by host"),
        pytest.param("db.inside", ["169.254.169.254"], False, id="metadata, by host"),
        pytest.param("db.inside", ["fd00:ec2::254"], False, id="metadata v6, by host"),
    ],
)
def test_each_address_of_a_host_is_checked(host: str, addresses: list[str], allowed: bool) -> None:
    decision = decide_address(host, addresses, INSIDE)
    if allowed:
        assert decision == addresses[0]
    else:
        assert isinstance(decision, Failure)
        assert decision.reason is Reason.SOURCE_ADDRESS_FORBIDDEN


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.170.23",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "fd00:c1::a9fe:a9fe",
        "fd00:42::42",
        "fd00:a9fe:a9fe::1",
    ],
)
def test_a_host_that_is_allowed_by_name_is_no_metadata_service_of_a_cloud(address: str) -> None:
    decision = decide_address("db.inside", [address], INSIDE)
    assert isinstance(decision, Failure)
    assert "metadata service" in decision.message


@pytest.mark.parametrize("address", ["100.100.100.200", "fd00:ec2::254", "169.254.169.254"])
def test_a_network_does_not_allow_a_metadata_service_within_it(address: str) -> None:
    """Seen before: fd00::/8 or 100.64.0.0/10, allowed for the cluster's own servers, also allowed the credentials."""
    networks = ["100.64.0.0/10", "fd00::/8", "169.254.0.0/16"]
    assert isinstance(decide_address("h", [address], AllowedSources(allowed_cidrs=networks)), Failure)
    assert decide_address("h", [address], AllowedSources(allowed_cidrs=[*networks, address])) == address


def test_the_checked_address_is_pinned_and_the_host_name_is_kept() -> None:
    url = parse_source_url("postgresql://u:p@db.example.com/d")
    assert isinstance(url, SourceURL)
    assert resolve_source(url, lambda host, port: ["93.184.216.34"], AllowedSources()) == PinnedURL(
        url, "93.184.216.34"
    )


def test_a_host_that_cannot_be_resolved_is_unreachable() -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise OSError(-2, "Name or service not known")

    url = parse_source_url("postgresql://u:p@nowhere.invalid/d")
    assert isinstance(url, SourceURL)
    failure = resolve_source(url, resolve, AllowedSources())
    assert isinstance(failure, Failure)
    assert failure.reason is Reason.SOURCE_UNREACHABLE
    assert "nowhere.invalid" in failure.message


@pytest.mark.parametrize(
    ("text", "step"),
    [
        pytest.param("mongodb+srv://u:hunter2@h/d", "Convert the data to PostgreSQL", id="another database"),
        pytest.param("jdbc:postgresql://h/d?user=u&password=hunter2", "Remove what the driver added", id="JDBC"),
        pytest.param("postgresql+psycopg2://u:hunter2@h/d", "Remove what the driver added", id="SQLAlchemy"),
        pytest.param("s3://backups/shop.dump", "presigned URL", id="object store"),
        pytest.param("hunter2://u:p@h/d", "Write the source URL as", id="unknown"),
    ],
)
def test_a_url_of_another_kind_is_refused_with_the_next_step(text: str, step: str) -> None:
    failure = parse_source_url(text)
    assert isinstance(failure, Failure)
    assert step in failure.hint
    assert "hunter2" not in failure.format_with_hint()
