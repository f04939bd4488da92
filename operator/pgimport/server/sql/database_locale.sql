-- Returns encoding, locale and ICU rules of a database, and whether this role may copy it. PostgreSQL 17 renamed the
-- column of the ICU or builtin locale.
SELECT pg_encoding_to_char(d.encoding)::text, d.datcollate::text, d.datctype::text, d.datlocprovider::text,
       coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'), to_jsonb(d) ->> 'daticurules',
       d.datistemplate OR pg_has_role(current_user, d.datdba, 'USAGE')
  FROM pg_database AS d
 WHERE d.datname = %(database)s
