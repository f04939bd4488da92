-- How a database was made. The column of the ICU or builtin locale has changed its name in 17.
SELECT pg_encoding_to_char(d.encoding)::text, d.datcollate::text, d.datctype::text, d.datlocprovider::text,
       coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale')
  FROM pg_database AS d
 WHERE d.datname = %(database)s
