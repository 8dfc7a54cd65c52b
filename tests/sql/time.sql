--@test: final behind a repartition, several partitions
CREATE STREAM a (id INT KEY, v INT) WITH (kafka_topic='x', value_format='JSON', partitions=4);
CREATE TABLE b AS SELECT v, COUNT(*) AS n FROM a WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 0 SECONDS) GROUP BY v EMIT FINAL;
CREATE STREAM c (v INT KEY, n BIGINT) WITH (kafka_topic='B', value_format='JSON', window_type='tumbling', window_size='10 seconds');
CREATE STREAM d AS SELECT v, n * 2 AS m FROM c;
INSERT INTO a (rowtime, id, v) VALUES (1000, 1, 0);
INSERT INTO a (rowtime, id, v) VALUES (5000, 2, 0);
INSERT INTO a (rowtime, id, v) VALUES (5000, 3, 1);
ASSERT NO VALUES b;
ADVANCE STREAM TIME TO 9999;
ASSERT NO VALUES b;
ADVANCE STREAM TIME TO '1970-01-01T00:00:10';
ASSERT VALUES d (m) VALUES (4), (2);
INSERT INTO a (rowtime, id, v) VALUES (5000, 2, 0);
ASSERT PROCESSING LOG CONTAINS 'expired window [0, 10000)';
ASSERT NO VALUES d;
--@test: full join in time
CREATE STREAM l (id INT KEY, x INT) WITH (kafka_topic='l', value_format='JSON');
CREATE STREAM r (id INT KEY, y INT) WITH (kafka_topic='r', value_format='JSON');
CREATE STREAM j AS SELECT ROWKEY AS id, x, y FROM l FULL OUTER JOIN r WITHIN 1 MINUTE GRACE PERIOD 1 MINUTE ON l.id = r.id;
INSERT INTO l (ROWTIME, id, x) VALUES (0, 1, 1);
INSERT INTO r (ROWTIME, id, y) VALUES (1000, 2, 2);
ASSERT NO VALUES j;
ADVANCE STREAM TIME BY 1 HOUR;
ASSERT VALUES j (id, x, y) VALUES (1, 1, NULL), (2, NULL, 2);
--@test: back in time
--@expected.message: Time only goes on
ADVANCE STREAM TIME TO 5;
ADVANCE STREAM TIME TO 4;
