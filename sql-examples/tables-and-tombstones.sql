-- A table follows its keys: an update replaces, a null value deletes, and what was counted before is taken back.
SET 'auto.offset.reset' = 'earliest';

CREATE TABLE players (name STRING PRIMARY KEY, team STRING, points INT)
  WITH (KAFKA_TOPIC = 'players', PARTITIONS = 1, VALUE_FORMAT = 'JSON');
CREATE TABLE teams AS
  SELECT team, COUNT(*) AS members, SUM(points) AS points FROM players GROUP BY team EMIT CHANGES;

INSERT INTO players VALUES ('ann', 'red', 5);
INSERT INTO players VALUES ('bob', 'red', 7);
INSERT INTO players VALUES ('cid', 'blue', 1);
-- Bob changes sides.
INSERT INTO players VALUES ('bob', 'blue', 8);

SELECT * FROM teams;
