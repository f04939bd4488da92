-- Returns whether the admin may replace this database and this role; NULL for one that does not exist.
SELECT (SELECT pg_has_role(current_user, d.datdba, 'USAGE') FROM pg_database AS d WHERE d.datname = %(target)s),
       (SELECT CASE WHEN current_setting('server_version_num')::int < 160000
                    THEN NOT r.rolsuper OR (SELECT a.rolsuper FROM pg_roles AS a WHERE a.rolname = current_user)
                    ELSE pg_has_role(current_user, r.oid, 'MEMBER WITH ADMIN OPTION') END
          FROM pg_roles AS r WHERE r.rolname = %(owner)s)
