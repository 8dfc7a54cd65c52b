-- Statements of an application, as docs/testing.md runs them from a test.
CREATE STREAM clicks (user STRING KEY, page STRING) WITH (KAFKA_TOPIC='clicks', VALUE_FORMAT='JSON');
CREATE SOURCE CONNECTOR browsers WITH ('connector.class'='of.the.application', 'topic'='clicks');
CREATE TABLE clicks_per_user AS SELECT user, COUNT(*) AS n FROM clicks GROUP BY user;
SELECT * FROM clicks_per_user EMIT CHANGES;
