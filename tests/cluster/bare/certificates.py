"""Creates a certificate authority, and keys with certificates that it signed, with openssl."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.cluster.commands import run

# A test cluster is younger than this, and a forgotten one should not be trusted for ever.
DAYS = "365"


@dataclass(frozen=True)
class Pair:
    """The files of a key and of its certificate."""

    key: Path
    certificate: Path


@dataclass(frozen=True)
class Authority:
    folder: Path

    def pair(self, name: str) -> Pair:
        return Pair(self.folder / f"{name}.key", self.folder / f"{name}.crt")

    @property
    def certificate(self) -> Path:
        return self.pair("ca").certificate

    @property
    def service_accounts(self) -> Path:
        """The key with which service account tokens are signed and checked."""
        return self.folder / "service-accounts.key"


def _new_key(path: Path) -> None:
    run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path])
    path.chmod(0o600)


def create_authority(folder: Path) -> Authority:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    authority = Authority(folder)
    pair = authority.pair("ca")
    _new_key(pair.key)
    run(
        [
            "openssl",
            "req",
            "-x509",
            "-new",
            "-key",
            pair.key,
            "-days",
            DAYS,
            "-subj",
            "/CN=pgimport test cluster",
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign",
            "-out",
            pair.certificate,
        ]
    )
    _new_key(authority.service_accounts)
    return authority


def issue(authority: Authority, name: str, subject: str, alternatives: str = "") -> Pair:
    """Issues a certificate for a subject such as `/O=group/CN=user`.

    `alternatives`, such as `IP:127.0.0.1,DNS:localhost`, make it a server certificate.
    """
    pair, ca = authority.pair(name), authority.pair("ca")
    _new_key(pair.key)
    request, extensions = pair.key.with_suffix(".csr"), pair.key.with_suffix(".ext")
    lines = [
        "keyUsage=critical,digitalSignature",
        "extendedKeyUsage=clientAuth,serverAuth",
        # Python from 3.13 on refuses a certificate that does not name its authority's key.
        "subjectKeyIdentifier=hash",
        "authorityKeyIdentifier=keyid",
    ]
    extensions.write_text("\n".join(lines + ([f"subjectAltName={alternatives}"] if alternatives else [])))
    run(["openssl", "req", "-new", "-key", pair.key, "-subj", subject, "-out", request])
    run(
        [
            "openssl",
            "x509",
            "-req",
            "-in",
            request,
            "-CA",
            ca.certificate,
            "-CAkey",
            ca.key,
            "-CAcreateserial",
            "-days",
            DAYS,
            "-extfile",
            extensions,
            "-out",
            pair.certificate,
        ]
    )
    request.unlink()
    extensions.unlink()
    return pair
