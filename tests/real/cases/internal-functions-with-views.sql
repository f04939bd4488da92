CREATE TABLE base (id int PRIMARY KEY);
INSERT INTO base VALUES (1), (-2);
SELECT format('CREATE FUNCTION absolute_value_of_a_number_%s(int) RETURNS int LANGUAGE internal IMMUTABLE STRICT AS ''int4abs'';'
    'CREATE VIEW absolute_values_of_all_numbers_%s AS SELECT absolute_value_of_a_number_%s(id) AS a FROM base;', i, i, i)
FROM generate_series(1, 80) AS i \gexec
