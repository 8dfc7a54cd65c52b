-- A stream, and a stream made from it: rows that pass a filter, with columns computed from them.
SET 'auto.offset.reset' = 'earliest';

CREATE STREAM readings (sensor STRING KEY, celsius DOUBLE, tags ARRAY<STRING>, place STRUCT<room STRING, floor INT>)
  WITH (KAFKA_TOPIC = 'readings', PARTITIONS = 2, VALUE_FORMAT = 'JSON');

CREATE STREAM warm AS
  SELECT
    sensor,
    ROUND(celsius * 9 / 5 + 32, 1) AS fahrenheit,
    UCASE(place->room) AS room,
    TRANSFORM(tags, tag => '#' + tag) AS tags,
    CASE WHEN celsius >= 30 THEN 'hot' ELSE 'warm' END AS feeling
  FROM readings
  WHERE celsius > 20
  EMIT CHANGES;

INSERT INTO readings VALUES ('s1', 21.5, ARRAY['new', 'roof'], STRUCT(room := 'attic', floor := 3));
INSERT INTO readings VALUES ('s1', 12.0, ARRAY['new'], STRUCT(room := 'attic', floor := 3));
INSERT INTO readings VALUES ('s1', 33.0, ARRAY['new', 'roof'], STRUCT(room := 'attic', floor := 3));

-- A stream can be asked, too: it is read from its beginning to its end.
SELECT * FROM warm;
