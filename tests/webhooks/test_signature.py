"""The signature of an event, also as OpenSSL computes it."""

import subprocess

from pgimport.webhooks.signature import sign


def test_the_signature_covers_time_and_body() -> None:
    """The value was computed with: printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac 0123456789abcdef"""
    computed = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", "0123456789abcdef"],
        input=b'1700000000.{"a":1}',
        capture_output=True,
        check=True,
    ).stdout.decode()
    digest = computed.split("= ")[1].strip()
    assert sign(b"0123456789abcdef", b'{"a":1}', 1700000000) == f"t=1700000000,v1={digest}"
    assert sign(b"0123456789abcdef", b'{"a":1}', 1700000001) != sign(b"0123456789abcdef", b'{"a":1}', 1700000000)
    assert sign(b"another key 1234", b'{"a":1}', 1700000000) != sign(b"0123456789abcdef", b'{"a":1}', 1700000000)
