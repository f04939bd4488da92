-- A small database with one of everything that an import brings.
CREATE SCHEMA "Büro & Lager";
COMMENT ON SCHEMA "Büro & Lager" IS 'a name that must be quoted';

CREATE TYPE public.status AS ENUM ('new', 'paid', 'sent');
CREATE DOMAIN public.email AS text CONSTRAINT has_an_at CHECK (VALUE LIKE '%_@_%');
CREATE TYPE public.address AS (street text, town text);
CREATE SEQUENCE public.invoice_numbers START 1000 INCREMENT 7;
SELECT setval('public.invoice_numbers', 1777, false);

CREATE TABLE public.customers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mail public.email NOT NULL UNIQUE,
    home public.address,
    tags text[] DEFAULT '{}' NOT NULL,
    notes jsonb,
    joined timestamptz DEFAULT '2020-01-01 00:00:00+00' NOT NULL
);
COMMENT ON TABLE public.customers IS 'who buys';
COMMENT ON COLUMN public.customers.mail IS 'one account a mail';
INSERT INTO public.customers (mail, home, tags, notes, joined)
SELECT 'c' || n || '@example.org', row('Street ' || n, E'Tab\tand "quote" \\')::public.address,
       array['a' || n, NULL, ''], jsonb_build_object('n', n, 'ümlaut', 'ß'), timestamptz '2021-03-04 05:06:07+02' + n * interval '1 day'
FROM generate_series(1, 500) AS n;

CREATE TABLE public.orders (
    id bigserial,
    customer bigint NOT NULL REFERENCES public.customers ON DELETE CASCADE,
    state public.status DEFAULT 'new' NOT NULL,
    amount numeric(12, 2) NOT NULL CHECK (amount >= 0),
    ordered date NOT NULL,
    gross numeric GENERATED ALWAYS AS (amount * 1.19) STORED,
    PRIMARY KEY (id, ordered)
) PARTITION BY RANGE (ordered);
CREATE TABLE public.orders_2023 PARTITION OF public.orders FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE public.orders_2024 PARTITION OF public.orders FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE public.orders_rest PARTITION OF public.orders DEFAULT;
CREATE INDEX orders_by_state ON public.orders (state, ordered DESC) INCLUDE (amount);
INSERT INTO public.orders (customer, state, amount, ordered)
SELECT 1 + n % 500, (enum_range(NULL::public.status))[1 + n % 3], n / 100.0, date '2022-12-01' + n % 900
FROM generate_series(1, 3000) AS n;

CREATE TABLE public.by_state (state public.status, note text) PARTITION BY HASH (state);
CREATE TABLE public.by_state_0 PARTITION OF public.by_state FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE public.by_state_1 PARTITION OF public.by_state FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO public.by_state SELECT (enum_range(NULL::public.status))[1 + n % 3], 'row ' || n FROM generate_series(1, 90) AS n;

CREATE FUNCTION public.stamp() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    NEW.note := coalesce(NEW.note, '') || ' (stamped)';
    RETURN NEW;
END $$;
CREATE TABLE "Büro & Lager"."Table ""7""" (
    "Select" integer PRIMARY KEY,
    note text,
    "From" tstzrange,
    EXCLUDE USING gist ("From" WITH &&)
);
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON "Büro & Lager"."Table ""7""" FOR EACH ROW EXECUTE FUNCTION public.stamp();
INSERT INTO "Büro & Lager"."Table ""7"""
SELECT n, 'line' || E'\n' || n, tstzrange(timestamptz '2024-01-01 00:00+00' + n * interval '1 hour', timestamptz '2024-01-01 00:30+00' + n * interval '1 hour')
FROM generate_series(1, 40) AS n;

CREATE VIEW public.paid AS SELECT id, customer, amount FROM public.orders WHERE state = 'paid';
CREATE VIEW public.paid_by_customer WITH (security_barrier) AS SELECT customer, sum(amount) AS total FROM public.paid GROUP BY customer;
CREATE MATERIALIZED VIEW public.totals AS SELECT state, count(*) AS orders, sum(amount) AS amount FROM public.orders GROUP BY state;
CREATE UNIQUE INDEX totals_by_state ON public.totals (state);
CREATE MATERIALIZED VIEW public.never_filled AS SELECT 1 AS one WITH NO DATA;

-- The owner itself sees one of ten rows.
CREATE TABLE public.guarded (id integer PRIMARY KEY, tenant integer NOT NULL);
INSERT INTO public.guarded SELECT n, n % 10 FROM generate_series(1, 200) AS n;
ALTER TABLE public.guarded ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.guarded FORCE ROW LEVEL SECURITY;
CREATE POLICY only_mine ON public.guarded USING (tenant = 1);

-- Not valid at the source, and so not valid in the copy.
CREATE TABLE public.half_checked (id integer, parent integer);
INSERT INTO public.half_checked VALUES (1, 99), (2, NULL);
ALTER TABLE public.half_checked ADD CONSTRAINT small CHECK (id < 2) NOT VALID;
CREATE UNLOGGED TABLE public.unlogged AS SELECT n FROM generate_series(1, 10) AS n;
CREATE TABLE public.empty (id integer PRIMARY KEY, at timestamp);
CREATE STATISTICS public.towns (dependencies) ON state, ordered FROM public.orders;

SELECT lo_from_bytea(4711, decode(repeat('00ff10', 30000), 'hex')), lo_from_bytea(4712, ''), lo_from_bytea(0, 'small');
COMMENT ON LARGE OBJECT 4711 IS 'ninety thousand bytes';
