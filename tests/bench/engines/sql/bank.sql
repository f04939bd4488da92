-- Tables like those of pgbench: most of the data is in one wide table with a small key and :accounts rows.
CREATE SCHEMA bank;
CREATE TABLE bank.branches (bid int NOT NULL, bbalance int, filler char(88));
CREATE TABLE bank.tellers (tid int NOT NULL, bid int, tbalance int, filler char(84));
CREATE TABLE bank.accounts (aid int NOT NULL, bid int, abalance int, filler char(84));
CREATE TABLE bank.history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
INSERT INTO bank.branches SELECT n, 0, NULL FROM generate_series(1, 1 + :accounts / 100000) AS n;
INSERT INTO bank.tellers SELECT n, 1 + (n - 1) / 10, 0, NULL FROM generate_series(1, 10 * (1 + :accounts / 100000)) AS n;
INSERT INTO bank.accounts SELECT n, 1 + (n - 1) / 100000, pg_temp.pick(n, 1, 10000), '' FROM generate_series(1, :accounts) AS n;
INSERT INTO bank.history
SELECT 1 + (n - 1) / 10000, 1 + (n - 1) / 100000, n, pg_temp.pick(n, 2, 10000) - 5000,
       timestamp '2026-01-01' + n * interval '1 second', NULL
FROM generate_series(1, :accounts, 50) AS n;
ALTER TABLE bank.branches ADD PRIMARY KEY (bid);
ALTER TABLE bank.tellers ADD PRIMARY KEY (tid), ADD FOREIGN KEY (bid) REFERENCES bank.branches;
ALTER TABLE bank.accounts ADD PRIMARY KEY (aid), ADD FOREIGN KEY (bid) REFERENCES bank.branches;
ALTER TABLE bank.history ADD FOREIGN KEY (aid) REFERENCES bank.accounts;
