-- The rows, from the files that the image carries.
\set ON_ERROR_STOP on

\copy section (id, name) FROM PROGRAM 'gzip -dc /srv/demo/index/section.gz'
\copy maintainer (id, name, email) FROM PROGRAM 'gzip -dc /srv/demo/index/maintainer.gz'
\copy source (id, name, version, maintainer_id, section_id) FROM PROGRAM 'gzip -dc /srv/demo/index/source.gz'
\copy package (id, name, source_id, maintainer_id, section_id, priority, architecture, essential, homepage, summary, description) FROM PROGRAM 'gzip -dc /srv/demo/index/package.gz'
\copy version (package_id, suite, version, filename, size, installed_size, sha256) FROM PROGRAM 'gzip -dc /srv/demo/index/version.gz'
\copy capability (id, name) FROM PROGRAM 'gzip -dc /srv/demo/index/capability.gz'
\copy provides (package_id, capability_id, version) FROM PROGRAM 'gzip -dc /srv/demo/index/provides.gz'
\copy dependency (package_id, kind, place, choice, target_id, capability_id, comparison, version) FROM PROGRAM 'gzip -dc /srv/demo/index/dependency.gz'
\copy facet (id, name) FROM PROGRAM 'gzip -dc /srv/demo/index/facet.gz'
\copy tag (id, facet_id, name) FROM PROGRAM 'gzip -dc /srv/demo/index/tag.gz'
\copy package_tag (package_id, tag_id) FROM PROGRAM 'gzip -dc /srv/demo/index/package_tag.gz'

\lo_import '/usr/share/common-licenses/Apache-2.0' 'Apache License 2.0'
INSERT INTO license (name, content) VALUES ('Apache-2.0', :LASTOID);
\lo_import '/usr/share/common-licenses/Artistic' 'Artistic License'
INSERT INTO license (name, content) VALUES ('Artistic', :LASTOID);
\lo_import '/usr/share/common-licenses/GPL-2' 'GNU General Public License 2'
INSERT INTO license (name, content) VALUES ('GPL-2', :LASTOID);
\lo_import '/usr/share/common-licenses/GPL-3' 'GNU General Public License 3'
INSERT INTO license (name, content) VALUES ('GPL-3', :LASTOID);
\lo_import '/usr/share/common-licenses/LGPL-2.1' 'GNU Lesser General Public License 2.1'
INSERT INTO license (name, content) VALUES ('LGPL-2.1', :LASTOID);
\lo_import '/usr/share/common-licenses/MPL-2.0' 'Mozilla Public License 2.0'
INSERT INTO license (name, content) VALUES ('MPL-2.0', :LASTOID);

-- The rows came with their numbers: the next one is one more.
SELECT setval(pg_get_serial_sequence('section', 'id'), max(id)) FROM section;
SELECT setval(pg_get_serial_sequence('maintainer', 'id'), max(id)) FROM maintainer;
SELECT setval(pg_get_serial_sequence('source', 'id'), max(id)) FROM source;
SELECT setval(pg_get_serial_sequence('package', 'id'), max(id)) FROM package;
SELECT setval(pg_get_serial_sequence('capability', 'id'), max(id)) FROM capability;
SELECT setval(pg_get_serial_sequence('facet', 'id'), max(id)) FROM facet;
SELECT setval(pg_get_serial_sequence('tag', 'id'), max(id)) FROM tag;
