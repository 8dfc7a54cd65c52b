-- The main job: a filter, a windowed count and a stream-table join over a lively stream of page views.
SET 'auto.offset.reset' = 'earliest';

CREATE TABLE users (userid STRING PRIMARY KEY, name STRING, plan STRING)
  WITH (KAFKA_TOPIC = 'users', PARTITIONS = 4, VALUE_FORMAT = 'JSON');

INSERT INTO users (userid, name, plan) VALUES ('User_1', 'Ada', 'paid');
INSERT INTO users (userid, name, plan) VALUES ('User_2', 'Grace', 'free');
INSERT INTO users (userid, name, plan) VALUES ('User_3', 'Edsger', 'paid');
INSERT INTO users (userid, name, plan) VALUES ('User_4', 'Barbara', 'free');
INSERT INTO users (userid, name, plan) VALUES ('User_5', 'Donald', 'paid');

CREATE STREAM pageviews (pageid STRING KEY, viewtime BIGINT, userid STRING)
  WITH (KAFKA_TOPIC = 'pageviews', PARTITIONS = 4, VALUE_FORMAT = 'JSON');

-- A filter: only the most popular pages.
CREATE STREAM popular AS
  SELECT pageid, userid, viewtime FROM pageviews WHERE pageid IN ('Page_0', 'Page_1', 'Page_2');

-- A windowed count: views of each page in five seconds.
CREATE TABLE views_per_page AS
  SELECT pageid, COUNT(*) AS views FROM pageviews WINDOW TUMBLING (SIZE 5 SECONDS) GROUP BY pageid;

-- A join: who looks at what. The stream is keyed by page, so it is repartitioned by user first.
CREATE STREAM views_with_names AS
  SELECT v.userid AS userid, v.pageid AS pageid, u.name AS name, u.plan AS plan
  FROM pageviews v INNER JOIN users u ON v.userid = u.userid;

-- A table over the join: views of each plan.
CREATE TABLE views_per_plan AS
  SELECT plan, COUNT(*) AS views FROM views_with_names GROUP BY plan;
