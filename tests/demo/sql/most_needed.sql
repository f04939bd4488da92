SELECT p.name AS package, s.name AS section, count(DISTINCT d.package_id) AS "needed by", p.summary
FROM dependency d
JOIN package p ON p.id = d.target_id
JOIN section s ON s.id = p.section_id
WHERE d.kind IN ('pre_depends', 'depends')
GROUP BY p.id, s.name
ORDER BY "needed by" DESC
LIMIT 5;
