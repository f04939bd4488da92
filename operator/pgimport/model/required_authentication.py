"""Decides which authentication a client accepts, so that no password is sent in clear text without TLS. Pure."""

from pgimport.model.project_spec import SSLMode

# Value of libpq's require_auth: a server may ask for every method except the password in clear text.
# https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-REQUIRE-AUTH
NO_CLEAR_PASSWORD = "!password"  # noqa: S105 (the name of a method)
CLEAR_PASSWORD_REFUSED = "the server asks for the password in clear text, and the connection has no TLS"  # noqa: S105


def required_authentication(sslmode: str) -> str | None:
    """Returns libpq's `require_auth`, or None if the server may ask for every method.

    Only `prefer`, a default, can connect without TLS although no user asked for that. Whoever writes `disable` or
    `allow` accepts a connection without TLS. All other modes use TLS.
    """
    return NO_CLEAR_PASSWORD if sslmode == SSLMode.PREFER else None


def has_refused_clear_password(error: str) -> bool:
    """Returns whether libpq's error says that the server asked for the password in clear text."""
    return f'"{NO_CLEAR_PASSWORD}"' in error
