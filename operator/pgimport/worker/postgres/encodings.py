"""Finds Python's codec for an encoding of PostgreSQL. Pure.

The names are those of PostgreSQL's documentation, "Character Set Support". Texts in an encoding that Python lacks, or
without an encoding, are read as LATIN1, in which each byte is a character. Names then look wrong in messages, but each
byte stays as it is.
"""

import re

_ISO = {
    "LATIN1": 1,
    "LATIN2": 2,
    "LATIN3": 3,
    "LATIN4": 4,
    "LATIN5": 9,
    "LATIN6": 10,
    "LATIN7": 13,
    "LATIN8": 14,
    "LATIN9": 15,
    "LATIN10": 16,
    "ISO_8859_5": 5,
    "ISO_8859_6": 6,
    "ISO_8859_7": 7,
    "ISO_8859_8": 8,
}
_OTHERS = {
    "EUC_JP": "euc_jp",
    "EUC_JIS_2004": "euc_jis_2004",
    "EUC_KR": "euc_kr",
    "EUC_CN": "gb2312",
    "GBK": "gbk",
    "GB18030": "gb18030",
    "BIG5": "big5",
    "SJIS": "cp932",
    "SHIFT_JIS_2004": "shift_jis_2004",
    "JOHAB": "johab",
    "UHC": "cp949",
    "KOI8R": "koi8_r",
    "KOI8U": "koi8_u",
}
_ENCODING_VALUE = re.compile(r"(?:names|client_encoding'?)(?:\s*=|\s+to|\s*,)?\s*['\"]?([a-z0-9_-]+)", re.IGNORECASE)
UTF8 = "utf-8"
BYTES_CODEC = "iso8859-1"  # keeps every byte
UNKNOWN_TO_PYTHON = ("EUC_TW", "MULE_INTERNAL")
_NO_ENCODING = "SQL_ASCII"


def find_codec(name: str) -> str:
    """Returns `iso8859-1` for `LATIN1`."""
    name = name.upper()
    if name == _NO_ENCODING or name in UNKNOWN_TO_PYTHON:
        return BYTES_CODEC
    if name in _ISO:
        return f"iso8859-{_ISO[name]}"
    if name.startswith("WIN") and name[3:].isdigit():
        return f"cp{name[3:]}"
    return _OTHERS.get(name, UTF8)


def find_client_encoding(server_encoding: str) -> str:
    """Returns the client_encoding of sessions in a database.

    For SQL_ASCII this is LATIN1: a server converts nothing between the two, and psycopg returns SQL_ASCII as `bytes`,
    but LATIN1 as `str`.
    """
    return "LATIN1" if server_encoding.upper() == _NO_ENCODING else server_encoding


def find_client_encoding_codec(statement: str) -> str:
    """Returns the codec of the statement `SET client_encoding = 'LATIN1';`, which every dump contains.

    People also write `SET client_encoding TO LATIN1` and `SET NAMES 'LATIN1'`.
    """
    match = _ENCODING_VALUE.search(statement)
    return find_codec(match[1].replace("-", "")) if match else UTF8
