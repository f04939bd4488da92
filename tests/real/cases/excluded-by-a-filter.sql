CREATE TABLE kept (id int PRIMARY KEY);
INSERT INTO kept VALUES (1), (2);
CREATE TABLE audit (id serial PRIMARY KEY, other int GENERATED ALWAYS AS IDENTITY, kept int REFERENCES kept, at timestamptz DEFAULT now());
INSERT INTO audit (kept) VALUES (1);
CREATE VIEW audited AS SELECT kept FROM audit;
CREATE TABLE points_at_audit (id int REFERENCES audit, note text);
INSERT INTO points_at_audit VALUES (1, 'x');
