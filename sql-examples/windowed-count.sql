-- Counting in windows: how often each page was seen, minute by minute. ROWTIME is a record's time.
SET 'auto.offset.reset' = 'earliest';

CREATE STREAM views (page STRING KEY, who STRING)
  WITH (KAFKA_TOPIC = 'views', PARTITIONS = 1, VALUE_FORMAT = 'JSON');

-- Every view changes the count at once; a view up to ten minutes late still finds its window.
CREATE TABLE views_per_minute AS
  SELECT page, COUNT(*) AS views, COLLECT_LIST(who) AS visitors
  FROM views WINDOW TUMBLING (SIZE 1 MINUTE, GRACE PERIOD 10 MINUTES)
  GROUP BY page
  EMIT CHANGES;

-- The final count of each session, told once, when nothing can change it any more.
CREATE TABLE visits AS
  SELECT page, COUNT(*) AS views
  FROM views WINDOW SESSION (30 SECONDS, GRACE PERIOD 0 SECONDS)
  GROUP BY page
  EMIT FINAL;

INSERT INTO views (ROWTIME, page, who) VALUES (1700000000000, 'home', 'ada');
INSERT INTO views (ROWTIME, page, who) VALUES (1700000010000, 'home', 'grace');
INSERT INTO views (ROWTIME, page, who) VALUES (1700000065000, 'home', 'ada');
INSERT INTO views (ROWTIME, page, who) VALUES (1700000015000, 'home', 'late');

SELECT page, TIMESTAMPTOSTRING(WINDOWSTART, 'HH:mm:ss', 'UTC') AS minute, views, visitors
  FROM views_per_minute WHERE page = 'home';
SELECT page, WINDOWEND - WINDOWSTART AS ms, views FROM visits EMIT CHANGES LIMIT 1;
