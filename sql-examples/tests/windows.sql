-- Tests of statements with windows: tidemill test sql-examples/tests

--@test: a late record still counts within the grace period, and not after it
CREATE STREAM views (page STRING KEY, ms INT) WITH (KAFKA_TOPIC='views', VALUE_FORMAT='JSON');
CREATE TABLE per_minute AS
  SELECT page, COUNT(*) AS views, MAX(ms) AS slowest
  FROM views WINDOW TUMBLING (SIZE 1 MINUTE, GRACE PERIOD 30 SECONDS)
  GROUP BY page;

INSERT INTO views (ROWTIME, page, ms) VALUES (10000, 'home', 12);
INSERT INTO views (ROWTIME, page, ms) VALUES (80000, 'home', 7);
INSERT INTO views (ROWTIME, page, ms) VALUES (59999, 'home', 40);
ASSERT VALUES per_minute (page, WINDOWSTART, views, slowest) VALUES
  ('home', 0, 1, 12),
  ('home', 60000, 1, 7),
  ('home', 0, 2, 40);
ASSERT NO PROCESSING LOG;

ADVANCE STREAM TIME TO 90000;
INSERT INTO views (ROWTIME, page, ms) VALUES (59999, 'home', 99);
ASSERT PROCESSING LOG CONTAINS 'expired window';
ASSERT NO VALUES per_minute;

--@test: a session ends after a minute without a view
CREATE STREAM views (visitor STRING KEY, page STRING) WITH (KAFKA_TOPIC='views', VALUE_FORMAT='JSON');
CREATE TABLE sessions AS
  SELECT visitor, COLLECT_LIST(page) AS pages
  FROM views WINDOW SESSION (1 MINUTE, GRACE PERIOD 0 SECONDS)
  GROUP BY visitor EMIT FINAL;

INSERT INTO views (ROWTIME, visitor, page) VALUES (0, 'ada', 'home');
INSERT INTO views (ROWTIME, visitor, page) VALUES (50000, 'ada', 'cart');
INSERT INTO views (ROWTIME, visitor, page) VALUES (60000, 'bob', 'home');
ASSERT NO VALUES sessions;
ADVANCE STREAM TIME BY 10 MINUTES;
ASSERT VALUES sessions (visitor, WINDOWSTART, WINDOWEND, pages) VALUES
  ('ada', 0, 50000, ARRAY['home', 'cart']),
  ('bob', 60000, 60000, ARRAY['home']);

--@test: a stream can't be made twice
--@expected.message: A stream with the same name already exists
CREATE STREAM views (page STRING KEY) WITH (KAFKA_TOPIC='views', VALUE_FORMAT='NONE');
CREATE STREAM views (page STRING KEY) WITH (KAFKA_TOPIC='views', VALUE_FORMAT='NONE');
