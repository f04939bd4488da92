-- Keys, indexes and views: quicker to make once the rows are there.
\set ON_ERROR_STOP on
SET maintenance_work_mem = '128MB';

ALTER TABLE section ADD PRIMARY KEY (id), ADD UNIQUE (name);
ALTER TABLE maintainer ADD PRIMARY KEY (id), ADD UNIQUE (name, email);
ALTER TABLE source ADD PRIMARY KEY (id), ADD UNIQUE (name);
ALTER TABLE package ADD PRIMARY KEY (id), ADD UNIQUE (name);
ALTER TABLE version ADD PRIMARY KEY (package_id, suite, version);
ALTER TABLE capability ADD PRIMARY KEY (id), ADD UNIQUE (name);
ALTER TABLE provides ADD UNIQUE NULLS NOT DISTINCT (package_id, capability_id, version);
ALTER TABLE dependency ADD PRIMARY KEY (package_id, kind, place, choice);
ALTER TABLE facet ADD PRIMARY KEY (id), ADD UNIQUE (name);
ALTER TABLE tag ADD PRIMARY KEY (id), ADD UNIQUE (name);
ALTER TABLE package_tag ADD PRIMARY KEY (package_id, tag_id);
ALTER TABLE license ADD PRIMARY KEY (id), ADD UNIQUE (name);

ALTER TABLE source
    ADD FOREIGN KEY (maintainer_id) REFERENCES maintainer,
    ADD FOREIGN KEY (section_id) REFERENCES section;
ALTER TABLE package
    ADD FOREIGN KEY (source_id) REFERENCES source,
    ADD FOREIGN KEY (maintainer_id) REFERENCES maintainer,
    ADD FOREIGN KEY (section_id) REFERENCES section;
ALTER TABLE version ADD FOREIGN KEY (package_id) REFERENCES package ON DELETE CASCADE;
ALTER TABLE provides
    ADD FOREIGN KEY (package_id) REFERENCES package ON DELETE CASCADE,
    ADD FOREIGN KEY (capability_id) REFERENCES capability;
ALTER TABLE dependency
    ADD FOREIGN KEY (package_id) REFERENCES package ON DELETE CASCADE,
    ADD FOREIGN KEY (target_id) REFERENCES package,
    ADD FOREIGN KEY (capability_id) REFERENCES capability,
    ADD CONSTRAINT dependency_speaks_of_one CHECK (num_nonnulls(target_id, capability_id) = 1);
ALTER TABLE tag ADD FOREIGN KEY (facet_id) REFERENCES facet;
ALTER TABLE package_tag
    ADD FOREIGN KEY (package_id) REFERENCES package ON DELETE CASCADE,
    ADD FOREIGN KEY (tag_id) REFERENCES tag;

CREATE INDEX package_search ON package USING gin (search);
COMMENT ON INDEX package_search IS 'For: search @@ websearch_to_tsquery(''english'', …)';
CREATE INDEX package_of_source ON package (source_id);
CREATE INDEX package_of_maintainer ON package (maintainer_id);
CREATE INDEX dependency_on ON dependency (target_id) WHERE target_id IS NOT NULL;

CREATE VIEW report.package_overview AS
SELECT p.name, v.suite, v.version, s.name AS section, m.name AS maintainer, v.size, p.summary
FROM package p
JOIN version v ON v.package_id = p.id
JOIN section s ON s.id = p.section_id
JOIN maintainer m ON m.id = p.maintainer_id;

CREATE MATERIALIZED VIEW report.most_needed AS
SELECT p.id, p.name, count(DISTINCT d.package_id) AS needed_by
FROM dependency d
JOIN package p ON p.id = d.target_id
WHERE d.kind IN ('pre_depends', 'depends')
GROUP BY p.id;
CREATE UNIQUE INDEX ON report.most_needed (id);
COMMENT ON MATERIALIZED VIEW report.most_needed IS 'How many packages cannot be installed without this one';
