-- What source and preview must agree on.
SELECT
    (SELECT count(*) FROM package) AS packages,
    (SELECT count(*) FROM dependency) AS dependencies,
    (SELECT count(*) FROM section) + (SELECT count(*) FROM maintainer) + (SELECT count(*) FROM source)
    + (SELECT count(*) FROM package) + (SELECT count(*) FROM version) + (SELECT count(*) FROM capability)
    + (SELECT count(*) FROM provides) + (SELECT count(*) FROM dependency) + (SELECT count(*) FROM facet)
    + (SELECT count(*) FROM tag) + (SELECT count(*) FROM package_tag) + (SELECT count(*) FROM license) AS rows,
    (SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND n.nspname = 'public') AS tables,
    (SELECT sum(length(lo_get(content))) FROM license) AS license_bytes,
    (SELECT sum(needed_by) FROM report.most_needed) AS needs,
    (SELECT count(*) FROM package WHERE search @@ websearch_to_tsquery('english', 'kubernetes')) AS about_kubernetes;
