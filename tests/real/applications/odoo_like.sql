-- The shape of Odoo's database: hundreds of models of one pattern, cycles of foreign keys between companies, partners and
-- users, translations in jsonb, many-to-many tables without a key, views for reports, and attachments.
CREATE EXTENSION pg_trgm;
CREATE EXTENSION unaccent;
CREATE SEQUENCE base_registry_signaling INCREMENT BY 1 START WITH 1;
CREATE SEQUENCE base_cache_signaling INCREMENT BY 1 START WITH 1;
SELECT nextval('base_registry_signaling'), setval('base_cache_signaling', 41);
CREATE TABLE res_users (id serial PRIMARY KEY, login varchar NOT NULL UNIQUE, company_id int, partner_id int, create_uid int, write_uid int);
CREATE TABLE res_company (id serial PRIMARY KEY, name varchar NOT NULL, partner_id int, parent_path varchar, create_uid int REFERENCES res_users ON DELETE SET NULL);
CREATE TABLE res_partner (id serial PRIMARY KEY, company_id int REFERENCES res_company, parent_id int REFERENCES res_partner ON DELETE SET NULL,
    name varchar, ref varchar, complete_name varchar, credit_limit jsonb, barcode jsonb, user_id int REFERENCES res_users,
    CONSTRAINT res_partner_check_name CHECK ((name IS NOT NULL) OR (ref IS NOT NULL)));
COMMENT ON TABLE res_partner IS 'Contact';
COMMENT ON COLUMN res_partner.ref IS 'Reference';
COMMENT ON CONSTRAINT res_partner_check_name ON res_partner IS 'CHECK( (name IS NOT NULL) OR (ref IS NOT NULL) )';
ALTER TABLE res_users ADD FOREIGN KEY (company_id) REFERENCES res_company, ADD FOREIGN KEY (partner_id) REFERENCES res_partner,
    ADD FOREIGN KEY (create_uid) REFERENCES res_users ON DELETE SET NULL, ADD FOREIGN KEY (write_uid) REFERENCES res_users ON DELETE SET NULL;
ALTER TABLE res_company ADD FOREIGN KEY (partner_id) REFERENCES res_partner;
INSERT INTO res_users (login) VALUES ('__system__'), ('admin');
INSERT INTO res_company (name, create_uid) VALUES ('My Company', 1);
INSERT INTO res_partner (company_id, name, user_id) SELECT 1, 'Pärtner ' || i, 1 + i % 2 FROM generate_series(1, 500) AS i;
UPDATE res_partner SET parent_id = id / 2 WHERE id > 1;
UPDATE res_users SET company_id = 1, partner_id = id, create_uid = 1, write_uid = 2;
UPDATE res_company SET partner_id = 1;
SELECT format($model$
    CREATE TABLE model_%1$s (id serial PRIMARY KEY, create_uid int, write_uid int, create_date timestamp, write_date timestamp,
        name jsonb NOT NULL, description text, active boolean DEFAULT true, sequence int, amount numeric, date date, state varchar,
        partner_id int, parent_id int, properties jsonb, CONSTRAINT model_%1$s_amount CHECK (amount >= 0));
    COMMENT ON TABLE model_%1$s IS 'Model %1$s';
    INSERT INTO model_%1$s (create_uid, create_date, name, amount, date, partner_id, properties)
    SELECT 1, timestamp '2026-01-01 00:00:00.123456' + i * interval '1 s', jsonb_build_object('en_US', 'Name ' || i, 'fr_FR', 'Nom é ' || i),
        i * 1.005, date '2026-01-01' + i, 1 + i %% 500, '{"a": [1, 2.50]}' FROM generate_series(1, 40) AS i;
    UPDATE model_%1$s SET parent_id = id - 1 WHERE id > 1;
    ALTER TABLE model_%1$s ADD FOREIGN KEY (create_uid) REFERENCES res_users ON DELETE SET NULL, ADD FOREIGN KEY (partner_id) REFERENCES res_partner ON DELETE RESTRICT,
        ADD FOREIGN KEY (parent_id) REFERENCES model_%1$s ON DELETE CASCADE;
    CREATE INDEX model_%1$s_name_index ON model_%1$s USING gin ((name ->> 'en_US') gin_trgm_ops);
    CREATE INDEX model_%1$s_partner_id_index ON model_%1$s (partner_id) WHERE partner_id IS NOT NULL;
    CREATE TABLE model_%1$s_res_partner_rel (model_%1$s_id int NOT NULL REFERENCES model_%1$s ON DELETE CASCADE, res_partner_id int NOT NULL REFERENCES res_partner ON DELETE CASCADE,
        UNIQUE (model_%1$s_id, res_partner_id));
    INSERT INTO model_%1$s_res_partner_rel SELECT i, i + 1 FROM generate_series(1, 40) AS i;
    CREATE VIEW model_%1$s_report AS SELECT min(m.id) AS id, m.partner_id, sum(m.amount) AS amount, date_trunc('month', m.date) AS month
        FROM model_%1$s AS m JOIN res_partner AS p ON p.id = m.partner_id GROUP BY m.partner_id, date_trunc('month', m.date);
$model$, i) FROM generate_series(1, 60) AS i \gexec
CREATE TABLE ir_attachment (id serial PRIMARY KEY, name varchar NOT NULL, db_datas bytea, raw oid, checksum varchar(40), company_id int REFERENCES res_company);
INSERT INTO ir_attachment (name, db_datas, raw) SELECT 'a' || i, decode(repeat('00ff5c', i * 10), 'hex'), lo_from_bytea(0, ('raw ' || i)::bytea) FROM generate_series(1, 20) AS i;
CREATE FUNCTION unaccent_immutable(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT public.unaccent('public.unaccent', $1) $$;
CREATE INDEX res_partner_name_unaccent ON res_partner USING gin (unaccent_immutable(name) gin_trgm_ops);
