-- Body of a block of PL/pgSQL. Drops the CHECKs and foreign keys that rows of the table in `taker` meet, and collects
-- their definitions in `released`. Those of a parent also hold for its children, and rows of a partitioned table meet
-- those of its partitions. A constraint can only be dropped where it is not inherited: each pass takes the next one of
-- these, and a child that has the constraint on its own follows its parent.
LOOP
    WITH RECURSIVE above (oid) AS (
        SELECT taker
        UNION
        SELECT i.inhparent FROM pg_catalog.pg_inherits AS i JOIN above AS a ON a.oid = i.inhrelid
    ), below (oid) AS (
        SELECT taker
        UNION
        SELECT i.inhrelid
        FROM pg_catalog.pg_inherits AS i
        JOIN below AS b ON b.oid = i.inhparent
        JOIN pg_catalog.pg_class AS k ON k.oid = i.inhrelid AND k.relispartition
    )
    SELECT c.contype, n.nspname, k.relname, c.conname, pg_catalog.pg_get_constraintdef(c.oid) AS definition
    INTO waiting
    FROM pg_catalog.pg_constraint AS c
    JOIN pg_catalog.pg_class AS k ON k.oid = c.conrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = k.relnamespace
    WHERE c.contype IN ('c', 'f')
        AND c.conparentid = 0
        AND c.coninhcount = 0
        AND pg_catalog.pg_get_userbyid(k.relowner) = current_user
        AND (
            c.conrelid IN (SELECT b.oid FROM below AS b)
            OR c.conrelid IN (SELECT a.oid FROM above AS a) AND NOT c.connoinherit
        )
    LIMIT 1;
    EXIT WHEN NOT FOUND;
    EXECUTE pg_catalog.format(
        'ALTER TABLE %I.%I DROP CONSTRAINT %I', waiting.nspname, waiting.relname, waiting.conname
    );
    released := released || pg_catalog.jsonb_build_array(
        pg_catalog.jsonb_build_array(
            waiting.contype, waiting.nspname, waiting.relname, waiting.conname, waiting.definition
        )
    );
END LOOP;
