-- Builds the statements that give the objects of some roles in this database to a new owner: schemas first, because the
-- new owner needs CREATE on the schema of each object. Leaves out sequences of columns, which follow their table. Policies
-- for these roles apply to the new owner instead, after the tables belong to it. PostgreSQL has no statement for the owner
-- of an extension, of default privileges and of a user mapping. Temporary objects that a crash of the server has left
-- stay as they are: nobody has CREATE on their schema, and the next session with this schema drops them.
(SELECT format('ALTER %%s %%s OWNER TO %%I', k.keyword, o.identity, %(owner)s::text)
  FROM pg_shdepend AS s
  JOIN pg_database AS d ON d.oid = s.dbid
  JOIN pg_roles AS r ON r.oid = s.refobjid
  CROSS JOIN LATERAL pg_identify_object(s.classid, s.objid, s.objsubid) AS o
  JOIN (VALUES ('schema', 'SCHEMA'), ('table', 'TABLE'), ('view', 'VIEW'), ('materialized view', 'MATERIALIZED VIEW'),
               ('foreign table', 'FOREIGN TABLE'), ('sequence', 'SEQUENCE'), ('type', 'TYPE'),
               ('function', 'ROUTINE'), ('procedure', 'ROUTINE'), ('aggregate', 'ROUTINE'), ('collation', 'COLLATION'),
               ('conversion', 'CONVERSION'), ('operator', 'OPERATOR'), ('operator class', 'OPERATOR CLASS'),
               ('operator family', 'OPERATOR FAMILY'), ('statistics object', 'STATISTICS'),
               ('text search dictionary', 'TEXT SEARCH DICTIONARY'),
               ('text search configuration', 'TEXT SEARCH CONFIGURATION'), ('large object', 'LARGE OBJECT'),
               ('publication', 'PUBLICATION'), ('server', 'SERVER'), ('language', 'LANGUAGE')) AS k(type, keyword) ON k.type = o.type
 WHERE s.refclassid = 'pg_authid'::regclass AND s.deptype = 'o'
   AND d.datname = current_database() AND r.rolname = ANY (%(owners)s::text[])
   AND coalesce(o.schema, '') !~ '^pg_temp_'
   AND NOT (o.type = 'sequence' AND EXISTS (
           SELECT FROM pg_depend AS p
            WHERE p.classid = 'pg_class'::regclass AND p.objid = s.objid
              AND p.refclassid = 'pg_class'::regclass AND p.refobjsubid > 0 AND p.deptype IN ('a', 'i')))
 ORDER BY o.type <> 'schema', s.classid, s.objid)
 UNION ALL
(SELECT format('ALTER POLICY %%I ON %%I.%%I TO %%s', p.polname, n.nspname, c.relname,
               string_agg(DISTINCT CASE WHEN r.rolname = ANY (%(owners)s::text[]) THEN quote_ident(%(owner)s::text)
                                        ELSE coalesce(quote_ident(r.rolname), 'PUBLIC') END, ', '))
   FROM pg_policy AS p
   JOIN pg_class AS c ON c.oid = p.polrelid
   JOIN pg_namespace AS n ON n.oid = c.relnamespace
  CROSS JOIN unnest(p.polroles) AS u(role)
   LEFT JOIN pg_roles AS r ON r.oid = u.role
  WHERE n.nspname !~ '^pg_temp_'
  GROUP BY p.oid, p.polname, n.nspname, c.relname
 HAVING bool_or(r.rolname = ANY (%(owners)s::text[]))
  ORDER BY p.oid)
