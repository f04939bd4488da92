"""Guesses from an object's name which missing extension it belongs to. Pure.

Plain SQL has no dependencies, and an archive of single tables does not list their extensions. The table contains the
names by which definitions use the extensions that databases of applications have most often.
"""

from collections.abc import Collection, Iterable, Mapping

_OBJECTS: Mapping[str, tuple[str, ...]] = {
    "btree_gin": ("gin_btree_consistent",),
    "btree_gist": ("gist_int4_ops", "gist_int8_ops", "gist_text_ops", "gist_uuid_ops", "gist_timestamptz_ops"),
    "citext": ("citext",),
    "cube": ("cube",),
    "earthdistance": ("earth", "ll_to_earth", "earth_box", "earth_distance"),
    "fuzzystrmatch": ("levenshtein", "soundex", "metaphone", "dmetaphone"),
    "h3": ("h3index",),
    "hstore": ("hstore", "hstore_to_json", "gin_hstore_ops", "gist_hstore_ops"),
    "intarray": ("gin__int_ops", "gist__int_ops", "gist__intbig_ops", "query_int"),
    "isn": ("ean13", "isbn", "isbn13", "ismn", "issn", "upc"),
    "ltree": ("ltree", "lquery", "ltxtquery", "gist_ltree_ops"),
    "pg_trgm": ("gin_trgm_ops", "gist_trgm_ops", "similarity", "word_similarity"),
    "pgcrypto": ("crypt", "gen_salt", "digest", "hmac", "gen_random_bytes", "pgp_sym_encrypt", "pgp_sym_decrypt"),
    "postgis": ("geometry", "geography", "box2d", "box3d", "st_makepoint", "st_setsrid", "gist_geometry_ops_2d"),
    "postgis_raster": ("raster",),
    "seg": ("seg",),
    "tablefunc": ("crosstab", "connectby"),
    "unaccent": ("unaccent",),
    "uuid-ossp": ("uuid_generate_v1", "uuid_generate_v1mc", "uuid_generate_v4", "uuid_generate_v5"),
    "vector": ("vector", "halfvec", "sparsevec", "vector_cosine_ops", "vector_l2_ops", "vector_ip_ops"),
}
_EXTENSIONS = {name: extension for extension, names in _OBJECTS.items() for name in names}


def find_extension(mentions: Iterable[tuple[str, str]]) -> str | None:
    """Returns the extension to which one of the mentioned names (schema, name) most likely belongs, or None."""
    return next((_EXTENSIONS[name] for _, name in sorted(mentions) if name in _EXTENSIONS), None)


def describe_missing_extension(mentions: Iterable[tuple[str, str]], in_dump: Collection[str]) -> str | None:
    """Returns what to do if one of the mentioned names (schema, name) most likely belongs to an extension, else None.

    `in_dump`: extensions that the dump creates.
    """
    extension = find_extension(mentions)
    if extension is None:
        return None
    if extension in in_dump:
        return f"it needs extension {extension}, which is not in the copy"
    return (
        f"the dump does not create extension {extension}: add `--extension={extension}` to pg_dump (14 or newer), or"
        " dump without --table and --schema"
    )
