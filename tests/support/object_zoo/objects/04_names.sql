-- Unusual names.
CREATE SCHEMA "Odd Schema";
CREATE SCHEMA "DATA";
CREATE SCHEMA "select";
CREATE SCHEMA "naïve ☃ 数据";
CREATE SCHEMA "$x.y-z%s\n";
CREATE TABLE "Odd Schema"."Semi;colon ""quoted"" 'single'" ("Select" int PRIMARY KEY, "from" text, "a.b" int, " " int, "%s" int, "\" text, "é" text);
INSERT INTO "Odd Schema"."Semi;colon ""quoted"" 'single'" VALUES (1, E'tab\tnewline\nbackslash\\', 2, 3, 4, '\', 'é');
COMMENT ON COLUMN "Odd Schema"."Semi;colon ""quoted"" 'single'"."a.b" IS 'c';
CREATE TABLE "select"."table" ("user" int, "order" serial, CONSTRAINT "check" CHECK ("user" > 0), CONSTRAINT "primary" PRIMARY KEY ("order"));
INSERT INTO "select"."table" ("user") VALUES (1);
CREATE INDEX "index" ON "select"."table" ("user");
CREATE TABLE "DATA".data (data text);
INSERT INTO "DATA".data VALUES ('data');
CREATE TABLE "DATA"."DATA" (data text);
CREATE TABLE "naïve ☃ 数据"."表 🐘" ("列" text, "Ünï" int GENERATED ALWAYS AS IDENTITY);
INSERT INTO "naïve ☃ 数据"."表 🐘" ("列") VALUES ('值'), ('🐘');
CREATE TABLE "$x.y-z%s\n"."--comment" ("/* a */" int);
INSERT INTO "$x.y-z%s\n"."--comment" VALUES (1);
CREATE TABLE public.a23456789_123456789_123456789_123456789_123456789_123456789_123 (
    a23456789_123456789_123456789_123456789_123456789_123456789_123 serial PRIMARY KEY);
INSERT INTO public.a23456789_123456789_123456789_123456789_123456789_123456789_123 DEFAULT VALUES;
CREATE FUNCTION "Odd Schema"."F (x)"("In put" int, OUT "Out;" int) LANGUAGE sql AS 'SELECT $1';
COMMENT ON FUNCTION "Odd Schema"."F (x)"(int) IS 'odd';
CREATE TYPE "Odd Schema"."Type, of" AS ENUM ('A b', 'c''d');
CREATE TABLE "Odd Schema".uses ("A" "Odd Schema"."Type, of" DEFAULT 'A b', b "Odd Schema"."Type, of"[]);
INSERT INTO "Odd Schema".uses VALUES ('c''d', '{"A b"}');
CREATE VIEW "Odd Schema"."V w" AS SELECT "A" AS "A ""b""" FROM "Odd Schema".uses;
CREATE SEQUENCE "Odd Schema"."Seq ""1""";
SELECT setval('"Odd Schema"."Seq ""1"""', 11);
CREATE POLICY "P ol;icy" ON "Odd Schema".uses USING (true);
CREATE TRIGGER "T 'rig' ger" BEFORE INSERT ON "Odd Schema".uses FOR EACH ROW EXECUTE FUNCTION code.stamp();
CREATE RULE "R ""ule" AS ON DELETE TO "Odd Schema".uses DO INSTEAD NOTHING;
CREATE STATISTICS "Odd Schema"."S tat" ON "A", b FROM "Odd Schema".uses;
CREATE TABLE public.lineage ("new
line" int);
INSERT INTO public.lineage VALUES (1);
COMMENT ON TABLE public.lineage IS E'\\restrict x\n\\! false\n-- no comment';
