-- Lists the databases and roles whose comment may contain a mark, databases first. For a role, this is its own comment.
-- For the database of an attempt, it is that of the role with the same name, and for any other that of its owner. The
-- comment on a database belongs to its source, except on a database that a swap has replaced. Tenants can write comments
-- on databases whose owner they are a member of, not on roles. So the comment on a replaced database counts only if no
-- role has one and the admin owns it. A long comment is left out; octet_length does not read a long value. For a role
-- that was to be dropped, `holders` names databases in which something depends on it. Any tenant can grant millions of
-- objects to it, so only some are read. `owner`: the role from which a database has its mark.
WITH mark AS (
    SELECT s.classoid, s.objoid, s.description
      FROM pg_shdescription AS s
     WHERE CASE WHEN s.classoid = 'pg_database'::regclass AND octet_length(s.description) > 65536 THEN false
                ELSE s.description LIKE '{%%"pgimport"%%' END
)
SELECT 'database' AS kind, d.datname::text AS name,
       coalesce(same.description, owner.description, own.description) AS comment, '{}'::text[] AS holders,
       NULL::int AS connection_limit,
       CASE WHEN same.description IS NULL AND owner.description IS NOT NULL THEN pg_get_userbyid(d.datdba)::text END AS owner
  FROM pg_database AS d
  LEFT JOIN pg_roles AS r ON r.rolname = d.datname AND d.datname ~ '^pgimport_(old_)?[0-9a-f]{20}$'
  LEFT JOIN mark AS own ON own.classoid = 'pg_database'::regclass AND own.objoid = d.oid
        AND d.datname ~ '^pgimport_old_' AND pg_get_userbyid(d.datdba) = current_user
  LEFT JOIN mark AS same ON same.classoid = 'pg_authid'::regclass AND same.objoid = r.oid
  LEFT JOIN mark AS owner ON owner.classoid = 'pg_authid'::regclass AND owner.objoid = d.datdba
 WHERE coalesce(own.description, same.description, owner.description) IS NOT NULL
 UNION ALL
SELECT 'role', r.rolname::text, m.description,
       CASE WHEN m.description LIKE '%%"dropped"%%' THEN ARRAY(
           SELECT DISTINCT 'database ' || d.datname
             FROM (SELECT h.dbid, h.classid, h.objid
                     FROM pg_shdepend AS h
                    WHERE h.refclassid = 'pg_authid'::regclass AND h.refobjid = r.oid
                    LIMIT 1000) AS s
             JOIN pg_database AS d ON d.oid = s.dbid OR (s.classid = 'pg_database'::regclass AND d.oid = s.objid)
            ORDER BY 1 LIMIT 5) ELSE '{}' END,
       r.rolconnlimit, NULL
  FROM pg_roles AS r
  JOIN mark AS m ON m.classoid = 'pg_authid'::regclass AND m.objoid = r.oid
 ORDER BY 1, 2
