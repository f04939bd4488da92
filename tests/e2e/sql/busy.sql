-- A megabyte with everything that takes a phase of its own: rows, indexes, keys between tables, a view to fill.
CREATE TABLE public.accounts (id integer PRIMARY KEY, name text NOT NULL, note text);
INSERT INTO public.accounts SELECT n, 'account ' || n, repeat(md5(n::text), 8) FROM generate_series(1, 2000) AS n;
CREATE TABLE public.entries (
    id bigserial PRIMARY KEY,
    account integer NOT NULL REFERENCES public.accounts,
    amount numeric(12, 2) NOT NULL,
    at timestamptz NOT NULL
);
INSERT INTO public.entries (account, amount, at)
SELECT 1 + n % 2000, n / 100.0, timestamptz '2024-01-01 00:00+00' + n * interval '1 minute' FROM generate_series(1, 5000) AS n;
CREATE INDEX entries_by_account ON public.entries (account, at DESC);
CREATE UNIQUE INDEX accounts_by_name ON public.accounts (name);
CREATE MATERIALIZED VIEW public.balances AS SELECT account, sum(amount) AS balance FROM public.entries GROUP BY account;
SELECT lo_from_bytea(4711, decode(repeat('00ff10', 3000), 'hex'));
