-- Body of a block of PL/pgSQL. Drops the CHECKs and foreign keys that rows of the table in `taker` meet, and collects
-- their definitions in `released`. Those of a parent also hold for its children, and rows of a partitioned table meet
-- those of its partitions. A constraint can only be dropped where it is not inherited. So the outer loop repeats until
-- there is none: a child that has the constraint on its own follows its parent.
below := ARRAY(SELECT t.relid::pg_catalog.oid FROM pg_catalog.pg_partition_tree(taker) AS t) || taker;
parents := ARRAY[taker];
WHILE parents <> '{}' LOOP
    parents := ARRAY(SELECT i.inhparent FROM pg_catalog.pg_inherits AS i WHERE i.inhrelid = ANY (parents));
    above := above || parents;
END LOOP;
LOOP
    has_more := false;
    FOR waiting IN
        SELECT c.contype, n.nspname, k.relname, c.conname, pg_catalog.pg_get_constraintdef(c.oid) AS definition
        FROM pg_catalog.pg_constraint AS c
        JOIN pg_catalog.pg_class AS k ON k.oid = c.conrelid
        JOIN pg_catalog.pg_namespace AS n ON n.oid = k.relnamespace
        WHERE c.conrelid = ANY (below || above)
            AND c.contype IN ('c', 'f')
            AND c.conparentid = 0
            AND c.coninhcount = 0
            AND (c.conrelid = ANY (below) OR NOT c.connoinherit)
            AND pg_catalog.pg_get_userbyid(k.relowner) = current_user
    LOOP
        has_more := true;
        EXECUTE pg_catalog.format(
            'ALTER TABLE %I.%I DROP CONSTRAINT %I', waiting.nspname, waiting.relname, waiting.conname
        );
        released := released || pg_catalog.jsonb_build_array(
            pg_catalog.jsonb_build_array(
                waiting.contype, waiting.nspname, waiting.relname, waiting.conname, waiting.definition
            )
        );
    END LOOP;
    EXIT WHEN NOT has_more;
END LOOP;
