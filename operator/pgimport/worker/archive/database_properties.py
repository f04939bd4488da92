"""Reads encoding and locale of a dumped database from its CREATE DATABASE statement. Pure."""

import re
from dataclasses import dataclass, replace

from pgimport.worker.archive.windows_locales import is_windows_locale, translate_windows_locale

DEFAULT_ENCODING = "UTF8"
# No server converts text of these encodings to UTF8, so the copy needs the same encoding.
_KEPT_ENCODINGS = frozenset({"SQL_ASCII", "MULE_INTERNAL"})
_OPTION = re.compile(
    r"\b(LOCALE_PROVIDER|ICU_LOCALE|BUILTIN_LOCALE|LC_COLLATE|LC_CTYPE|LOCALE|ENCODING) = (?:'((?:[^']|'')*)'|(\w+))"
)
_PROVIDERS = {"icu": "i", "builtin": "b", "libc": "c"}


@dataclass(frozen=True, slots=True)
class DatabaseProperties:
    """Encoding and locale of a dumped database."""

    encoding: str = DEFAULT_ENCODING
    collate: str = "C"
    ctype: str = "C"
    locale_provider: str = "c"
    locale: str | None = None
    locale_known: bool = False
    windows_locales: tuple[str, ...] = ()  # names that only Windows has, before their translation


def guess_properties(client_encoding: str) -> DatabaseProperties:
    """Returns the properties for a dump that does not contain them, which is most plain SQL.

    `client_encoding` is only the encoding of the text in the file: `pg_dump --encoding` chooses it freely.
    """
    name = client_encoding.upper()
    return DatabaseProperties(encoding=name if name in _KEPT_ENCODINGS else DEFAULT_ENCODING)


def parse_create_database(statement: str, client_encoding: str) -> DatabaseProperties:
    """Returns the properties that the statement contains, and defaults for the others."""
    options = {name: text.replace("''", "'") or word for name, text, word in _OPTION.findall(statement)}
    guess = guess_properties(client_encoding)
    encoding = options.get("ENCODING", guess.encoding)
    locale = options.get("LOCALE")
    collate, ctype = options.get("LC_COLLATE") or locale, options.get("LC_CTYPE") or locale
    provider = _PROVIDERS.get(options.get("LOCALE_PROVIDER", "libc").lower(), "c")
    if collate is None and ctype is None:
        return replace(guess, encoding=encoding)
    own_locale = options.get("ICU_LOCALE") or options.get("BUILTIN_LOCALE")
    return _translate_windows_names(
        DatabaseProperties(
            encoding=encoding,
            collate=collate or ctype or "C",
            ctype=ctype or collate or "C",
            locale_provider=provider,
            locale=(own_locale or locale) if provider != "c" else None,
            locale_known=True,
        )
    )


def _translate_windows_names(properties: DatabaseProperties) -> DatabaseProperties:
    """Replaces libc names that only Windows has. If one is unknown, the locale of the database is unknown."""
    names = dict.fromkeys(name for name in (properties.collate, properties.ctype) if is_windows_locale(name))
    if not names:
        return properties
    translations = {name: translate_windows_locale(name, properties.encoding) for name in names}
    known = None not in translations.values() or properties.locale_provider != "c"
    return replace(
        properties,
        collate=translations.get(properties.collate, properties.collate) or "C",
        ctype=translations.get(properties.ctype, properties.ctype) or "C",
        locale_known=known,
        windows_locales=tuple(names),
    )
