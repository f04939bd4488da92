-- Returns encoding and locale of a database. PostgreSQL 17 renamed the column of the ICU or builtin locale.
SELECT pg_encoding_to_char(d.encoding)::text, d.datcollate::text, d.datctype::text, d.datlocprovider::text,
       coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale')
  FROM pg_database AS d
 WHERE d.datname = %(database)s
