"""Inputs that cannot be imported, and what the text that a person sees must contain: cause, object, next step."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pgimport.model.import_choices import Engine, Verify
from pgimport.model.import_spec import Filter


@dataclass(frozen=True, slots=True)
class BrokenInput:
    """One input. It has a URL, the content of a dump file, or SQL for the source."""

    name: str
    says: tuple[str, str, str]  # cause, object, next step
    url: str | None = None  # may contain {port}, {password} and {database}
    content: Callable[[bytes, bytes], bytes] | None = None  # custom and plain dump → content of the file
    sql: str | None = None
    order: dict[str, Any] = field(default_factory=dict)
    user: str = "postgres"
    status: int = 200  # of the HTTP server's answer
    runs: bool = False  # whether the import must run: the preflight cannot see the cause


def pack_tar(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def pack_zip(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


URLS = [
    BrokenInput("an empty URL", ("it is empty", "source URL", "postgresql://"), url=""),
    BrokenInput(
        "a URL of MySQL",
        ("another kind of database", "source URL", "Convert the data to PostgreSQL first"),
        url="mysql://u:p@127.0.0.1/shop",
    ),
    BrokenInput(
        "keywords of libpq",
        ("libpq's keywords", "source URL", "Write the source URL as"),
        url="host=127.0.0.1 dbname=shop",
    ),
    BrokenInput("a URL without a database", ("database", "URL", "postgresql://"), url="postgresql://u:p@127.0.0.1"),
    BrokenInput(
        "a URL without a user",
        ("names no user", "source URL", "user:password@, in front of the host"),
        url="postgresql://127.0.0.1/shop",
    ),
    BrokenInput(
        "an @ in the password",
        ("exactly one @", "source URL", "percent-encode"),
        url="postgresql://u:p@ss@127.0.0.1/shop",
    ),
    BrokenInput(
        "a % in the password",
        ("begins no percent-encoded character", "password", "%25"),
        url="postgresql://u:5%x@127.0.0.1/shop",
    ),
    BrokenInput(
        "two hosts", ("several hosts", "source URL", "name one"), url="postgresql://u:p@127.0.0.1,127.0.0.2/shop"
    ),
    BrokenInput(
        "a port of letters",
        ("not a number", "its port", "Write the source URL as"),
        url="postgresql://u:p@127.0.0.1:x/shop",
    ),
    BrokenInput(
        "an unknown sslmode",
        ("must be one of", "sslmode", "verify-full"),
        url="postgresql://u:p@127.0.0.1/shop?sslmode=on",
    ),
    BrokenInput(
        "a parameter that is not allowed",
        ("is not allowed", "parameter service", "Leave service out"),
        url="postgresql://u:p@127.0.0.1/s?service=x",
    ),
    BrokenInput(
        "a dump by http",
        ("must begin with https://", "source URL", "https://host/path"),
        url="http://127.0.0.1/shop.dump",
    ),
    BrokenInput(
        "a host that does not exist",
        ("cannot be resolved", "no-such-host.invalid", "Check the spelling of the host name"),
        url="postgresql://u:p@no-such-host.invalid/shop",
    ),
    BrokenInput(
        "an address that is not allowed",
        ("is not a public address", "10.1.2.3", "Use the public address of the source server, or ask"),
        url="postgresql://u:p@10.1.2.3/s",
    ),
    BrokenInput(
        "a closed port",
        ("refused", "127.0.0.1:1", "check host, port"),
        url="postgresql://u:p@127.0.0.1:1/shop?sslmode=disable",
    ),
    BrokenInput(
        "a wrong password",
        ("password authentication failed", "postgres", "password in the source URL"),
        url="postgresql://postgres:wrong@127.0.0.1:{port}/postgres?sslmode=disable",
    ),
    BrokenInput(
        "a missing password",
        ("no password supplied", "127.0.0.1", "Write the password"),
        url="postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable",
    ),
    BrokenInput(
        "a role that does not exist",
        ("authentication failed", "nobody", "user and password"),
        url="postgresql://nobody:x@127.0.0.1:{port}/postgres?sslmode=disable",
    ),
    BrokenInput(
        "a database that does not exist",
        ("does not exist", "nothing", "Check the database name"),
        url="postgresql://postgres:{password}@127.0.0.1:{port}/nothing?sslmode=disable",
    ),
    BrokenInput(
        "template0",
        ("not currently accepting connections", "template0", "Name the application's database"),
        url="postgresql://postgres:{password}@127.0.0.1:{port}/template0?sslmode=disable",
    ),
    BrokenInput(
        "TLS that the server lacks",
        ("does not support SSL", "127.0.0.1:5432/postgres", "sslmode=disable"),
        url="postgresql://postgres:{password}@127.0.0.1:{port}/postgres?sslmode=require",
    ),
]
URLS += [
    BrokenInput(
        "a URL that is too long",
        ("4096", "source URL", "Give the URL alone"),
        url="postgresql://u:p@127.0.0.1/" + "x" * 5000,
    ),
    BrokenInput(
        "the metadata address of a cloud",
        ("metadata service", "169.254.169.254", "Write the public host name"),
        url="postgresql://u:p@169.254.169.254/shop",
    ),
    BrokenInput(
        "a private IPv6 address",
        ("is not", "fd00::1", "Use the public address of the source server, or ask"),
        url="postgresql://u:p@[fd00::1]/shop",
    ),
    BrokenInput(
        "a certificate file in the URL",
        ("sslrootcert", "source URL", "set --ca"),
        url="postgresql://u:p@127.0.0.1/shop?sslmode=verify-full&sslrootcert=/tmp/ca.pem",
    ),
    BrokenInput(
        "options of the server in the URL",
        ("options", "source URL", "Leave options out"),
        url="postgresql://u:p@127.0.0.1/shop?options=-c%20x=1",
    ),
]
FILES = [
    BrokenInput(
        "a file that is not there",
        ("404", "localhost", "Check that the path or URL"),
        content=lambda custom, plain: b"",
        status=404,
    ),
    BrokenInput(
        "a file that the store refuses",
        ("403", "localhost", "has not expired"),
        content=lambda custom, plain: b"",
        status=403,
    ),
    BrokenInput(
        "a store that fails",
        ("500", "localhost", "Open the URL with another program"),
        content=lambda custom, plain: b"",
        status=500,
    ),
    BrokenInput("an empty file", ("it is empty", "dump file", "create it again"), content=lambda custom, plain: b""),
    BrokenInput(
        "an HTML page",
        ("web page", "the file", "check that the link"),
        content=lambda custom, plain: b"<!DOCTYPE html><html>login</html>",
    ),
    BrokenInput(
        "an error of a store",
        ("JSON or XML", "the file", "Open it and read it"),
        content=lambda custom, plain: b"<?xml version='1.0'?><Error/>",
    ),
    BrokenInput(
        "JSON",
        ("JSON or XML", "the file", "Open it and read it"),
        content=lambda custom, plain: b'{"error": "no such object"}',
    ),
    BrokenInput(
        "a dump of MySQL",
        ("MySQL", "the file", "pgloader"),
        content=lambda custom, plain: b"-- MySQL dump 10.13\n--\n-- Host: x\nCREATE TABLE `t` (`id` int);\n",
    ),
    BrokenInput(
        "a SQLite file",
        ("SQLite", "the file", "pgloader"),
        content=lambda custom, plain: b"SQLite format 3\x00" + bytes(100),
    ),
    BrokenInput(
        "a CSV",
        ("rows of one table", "the file", r"load the rows into it with \copy"),
        content=lambda custom, plain: b"id,name\n1,one\n2,two\n" * 20,
    ),
    BrokenInput(
        "an image",
        ("PNG image", "the file", "a file that pg_dump wrote"),
        content=lambda custom, plain: b"\x89PNG\r\n\x1a\n" + bytes(200),
    ),
    BrokenInput(
        "random bytes",
        ("is not a dump", "the file", "use pg_dump's custom, tar or plain format"),
        content=lambda custom, plain: bytes(range(256)) * 4,
    ),
    BrokenInput(
        "an age file",
        ("encrypted", "the file", "decrypt it"),
        content=lambda custom, plain: b"age-encryption.org/v1\n-> X25519 abc\n",
    ),
    BrokenInput(
        "a gpg message",
        ("encrypted", "the file", "decrypt it"),
        content=lambda custom, plain: b"-----BEGIN PGP MESSAGE-----\n\nabc\n",
    ),
    BrokenInput(
        "a truncated archive",
        ("ends inside its table of contents", "dump file", "create it again"),
        content=lambda custom, plain: custom[:300],
    ),
    BrokenInput(
        "an archive truncated in its rows",
        ("in the middle of its rows", "dump file", "create it again"),
        runs=True,
        content=lambda custom, plain: custom[:-200],
    ),
    BrokenInput(
        "a truncated plain dump",
        ("ends inside the rows of the COPY", "in line 41", "create it again"),
        runs=True,
        content=lambda custom, plain: plain[:-900],
    ),
    BrokenInput(
        "an archive that a terminal changed",
        ("CR LF", "dump file", "without a terminal"),
        content=lambda custom, plain: custom.replace(b"\n", b"\r\n"),
    ),
    BrokenInput(
        "stderr in front of an archive",
        ("begins with a message of a program", "pg_dump: warning: x", "without 2>&1"),
        content=lambda custom, plain: b"pg_dump: warning: x\n" + custom,
    ),
    BrokenInput(
        "text behind an archive",
        ("follows after its end", "real 0m3s", "pg_dump --file"),
        runs=True,
        content=lambda custom, plain: custom + b"real 0m3s\n",
    ),
    BrokenInput(
        "two archives in one file",
        ("two archives", "dump file", "Import each dump alone"),
        runs=True,
        content=lambda custom, plain: custom + custom,
    ),
    BrokenInput(
        "a truncated gzip",
        ("truncated", "gzip stream", "create it again"),
        runs=True,
        content=lambda c, plain: gzip.compress(c)[:-40],
    ),
    BrokenInput(
        "a tar with two dumps",
        ("2 dumps", "a.dump, b.sql", "pack only one"),
        content=lambda custom, plain: pack_tar(**{"a.dump": custom, "b.sql": plain}),
    ),
    BrokenInput(
        "a tar without a dump",
        ("only file in the tar or zip", "readme.txt", "Pack the file that pg_dump wrote"),
        content=lambda custom, plain: pack_tar(**{"readme.txt": b"hello"}),
    ),
    BrokenInput(
        "a zip without a dump",
        ("only file in the tar or zip", "readme.txt", "Pack the file that pg_dump wrote"),
        content=lambda custom, plain: pack_zip(**{"readme.txt": b"hello"}),
    ),
    BrokenInput(
        "a zip with two dumps",
        ("2 dumps", "a.sql, b.sql", "pack only one"),
        content=lambda custom, plain: pack_zip(**{"a.sql": plain, "b.sql": plain}),
    ),
    BrokenInput(
        "UTF-16 of PowerShell",
        ("UTF-16", "the file", "pg_dump --file"),
        content=lambda c, plain: plain.decode().encode("utf-16"),
    ),
    BrokenInput(
        "checksums of a file",
        ("needs a live source", "dump file", "set --sha256"),
        content=lambda custom, plain: custom,
        order={"verify": Verify.CHECKSUMS},
    ),
    BrokenInput(
        "the relay for a file",
        ("needs a live source", "dump file", "set it to auto or dump"),
        content=lambda custom, plain: custom,
        order={"engine": Engine.RELAY},
    ),
    BrokenInput(
        "a wrong checksum",
        ("SHA-256", "dump file", "Run sha256sum"),
        content=lambda custom, plain: custom,
        order={"sha256": "0" * 64},
        runs=True,
    ),
    BrokenInput(
        "an archive newer than the worker reads",
        ("archive of version 1.99", "PostgreSQL 19", "a release that imports from PostgreSQL 19"),
        content=lambda custom, plain: custom[:6] + b"\x63" + custom[7:].replace(b"16.", b"19.", 2),
    ),
    BrokenInput(
        "an archive of a version that its pg_dump does not write",
        ("archive of version 1.99", "pg_dump 16", "damaged"),
        content=lambda custom, plain: custom[:6] + b"\x63" + custom[7:],
    ),
]
SOURCES = [
    BrokenInput(
        "a table that the user cannot read",
        ("cannot read", "public.secret", "GRANT SELECT ON TABLE"),
        sql="CREATE TABLE secret (x int)",
        user="reader",
    ),
    BrokenInput(
        "a sequence that the user cannot read",
        ("cannot read", "public.ids", "GRANT SELECT ON SEQUENCE"),
        sql="CREATE SEQUENCE ids",
        user="reader",
    ),
    BrokenInput(
        "a schema that the user cannot enter",
        ("cannot read", "inner.t", "GRANT USAGE ON SCHEMA"),
        sql='CREATE SCHEMA "inner"; CREATE TABLE "inner".t (x int)',
        user="reader",
    ),
    BrokenInput(
        "row-level security",
        ("policies may hide rows", "tenants", "BYPASSRLS"),
        sql="CREATE TABLE tenants (x int); ALTER TABLE tenants ENABLE ROW LEVEL SECURITY; "
        "GRANT SELECT ON tenants TO reader",
        user="reader",
    ),
    BrokenInput(
        "a large object that the user cannot read",
        ("cannot read", "4711", "No filter leaves out large objects"),
        sql="SELECT lo_from_bytea(4711, 'x')",
        user="reader",
    ),
    BrokenInput(
        "an excluded table that does not exist",
        ("holds nothing", "nothing_here", "Correct the pattern"),
        sql="SELECT",
        order={"filter": Filter(exclude_tables=["nothing_here"])},
        runs=True,
    ),
    BrokenInput(
        "an included schema that does not exist",
        ("holds nothing", "no_schema", "Correct the pattern"),
        sql="SELECT",
        order={"filter": Filter(include_schemas=["no_schema"])},
        runs=True,
    ),
    BrokenInput(
        "a source that is newer than the target",
        ("is PostgreSQL 16", "only PostgreSQL 15", "Use a target server"),
        sql="SELECT",
        order={"target_version_num": 150004},
    ),
    BrokenInput(
        "a source that is too large",
        ("allows only", "the source has", "raise the Project's storageLimitBytes"),
        sql="SELECT",
        order={"storage_limit_bytes": 1000},
    ),
    BrokenInput(
        "a checksum for a database",
        ("only valid for a dump file", "is a database", "Leave out --sha256"),
        sql="SELECT",
        order={"sha256": "0" * 64},
    ),
    BrokenInput(
        "an extension that is not allowed",
        ("--allow-extension does not name", "vector", "Allow the extension"),
        sql="CREATE EXTENSION vector; CREATE TABLE v (x vector(3))",
        order={"allowed_extensions": []},
    ),
    BrokenInput(
        "an extension that the target lacks",
        ("does not have extensions", "vector", "Install the packages"),
        sql="CREATE EXTENSION vector; CREATE TABLE v (x vector(3))",
        order={"creatable_extensions": []},
    ),
    BrokenInput(
        "a role in a regrole column",
        ("does not exist", "public.people", "--exclude-table-data"),
        sql="CREATE TABLE people (r regrole); INSERT INTO people VALUES ('reader')",
        runs=True,
    ),
    BrokenInput(
        "a role in an access list",
        ("does not exist", "public.lists", "--exclude-table-data"),
        sql="CREATE TABLE lists (a aclitem[]); INSERT INTO lists VALUES ('{reader=r/reader}')",
        runs=True,
    ),
    BrokenInput(
        "a table of a skipped schema in a regclass column",
        ("does not exist", "public.objects", "--exclude-table-data"),
        sql="CREATE SCHEMA out; CREATE TABLE out.t (x int); CREATE TABLE objects (k regclass); "
        "INSERT INTO objects VALUES ('out.t')",
        order={"filter": Filter(exclude_schemas=["out"])},
        runs=True,
    ),
]
INPUTS = [*URLS, *FILES, *SOURCES]
