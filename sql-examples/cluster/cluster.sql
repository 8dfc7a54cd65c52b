-- What three servers share: a count of page views in all, and by page and window, over a topic of twelve partitions.
SET 'auto.offset.reset' = 'earliest';

CREATE STREAM pageviews (pageid STRING KEY, viewtime BIGINT, userid STRING)
  WITH (KAFKA_TOPIC = 'pageviews', PARTITIONS = 12, VALUE_FORMAT = 'JSON');

CREATE TABLE views_of_pages AS
  SELECT pageid, COUNT(*) AS views FROM pageviews GROUP BY pageid;

CREATE TABLE views_per_window AS
  SELECT pageid, COUNT(*) AS views FROM pageviews WINDOW TUMBLING (SIZE 5 SECONDS) GROUP BY pageid;
