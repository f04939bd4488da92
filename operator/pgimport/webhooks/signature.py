"""Signs the body of an event, as CapyDB does: `t=<seconds>,v1=<HMAC-SHA256 of t.body in hexadecimal>`."""

import hashlib
import hmac


def sign(key: bytes, body: bytes, at: int) -> str:
    """Returns the value of the header X-CapyDB-Signature. `at`: seconds since 1970, which are signed too."""
    signed = f"{at}.".encode() + body
    return f"t={at},v1={hmac.new(key, signed, hashlib.sha256).hexdigest()}"
