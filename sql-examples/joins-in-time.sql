-- Two streams joined in time, and two tables joined on their keys; all of them on several partitions.
SET 'auto.offset.reset' = 'earliest';

CREATE STREAM orders (id STRING KEY, item STRING)
  WITH (KAFKA_TOPIC = 'orders', PARTITIONS = 4, VALUE_FORMAT = 'JSON');
CREATE STREAM payments (payment STRING KEY, order_id STRING, amount INT)
  WITH (KAFKA_TOPIC = 'payments', PARTITIONS = 2, VALUE_FORMAT = 'JSON');

-- A payment counts if it comes within an hour. Orders without one are told when that hour and the grace period are over.
-- The payments have another key and another number of partitions: they go through a topic of their own.
CREATE STREAM paid AS
  SELECT o.id AS id, o.item AS item, p.amount AS amount
  FROM orders o LEFT JOIN payments p WITHIN (0 SECONDS, 1 HOUR) GRACE PERIOD 1 MINUTE ON o.id = p.order_id
  EMIT CHANGES;

INSERT INTO orders (ROWTIME, id, item) VALUES (0, 'o1', 'tea');
INSERT INTO orders (ROWTIME, id, item) VALUES (1000, 'o2', 'cups');
INSERT INTO orders (ROWTIME, id, item) VALUES (2000, 'o3', 'milk');
INSERT INTO payments (ROWTIME, payment, order_id, amount) VALUES (60000, 'p1', 'o1', 5);
INSERT INTO payments (ROWTIME, payment, order_id, amount) VALUES (61000, 'p2', 'o3', 1);

SELECT id, item, amount FROM paid WHERE id = 'o1';
SELECT id, item, amount FROM paid WHERE id = 'o3';

CREATE TABLE people (id STRING PRIMARY KEY, name STRING, team STRING)
  WITH (KAFKA_TOPIC = 'people', PARTITIONS = 4, VALUE_FORMAT = 'JSON');
CREATE TABLE desks (id STRING PRIMARY KEY, room STRING)
  WITH (KAFKA_TOPIC = 'desks', PARTITIONS = 4, FORMAT = 'JSON');

-- Whoever has no desk stays in, and a desk of nobody, too. The key is neither side's alone: it is called ROWKEY.
CREATE TABLE seats AS
  SELECT ROWKEY AS id, p.name AS name, p.team AS team, d.room AS room
  FROM people p FULL OUTER JOIN desks d ON p.id = d.id
  EMIT CHANGES;

CREATE TABLE rooms AS
  SELECT room, COUNT(*) AS seats, SUM(CASE WHEN name IS NULL THEN 1 ELSE 0 END) AS free
  FROM seats WHERE room IS NOT NULL GROUP BY room EMIT CHANGES;

INSERT INTO people (id, name, team) VALUES ('1', 'ada', 'engines');
INSERT INTO people (id, name, team) VALUES ('2', 'grace', 'compilers');
INSERT INTO desks (id, room) VALUES ('1', 'attic');
INSERT INTO desks (id, room) VALUES ('3', 'attic');
INSERT INTO desks (id, room) VALUES ('2', 'cellar');
INSERT INTO desks (id, room) VALUES ('4', 'attic');
INSERT INTO people (id, name, team) VALUES ('3', 'edsger', 'paths');

SELECT * FROM rooms WHERE room = 'attic';
SELECT * FROM rooms WHERE room = 'cellar';

-- A foreign key: the room of each desk is the key of another table, with other partitions. A room that moves takes its
-- desks along, and a desk that moves changes its floor.
CREATE TABLE plan (room STRING PRIMARY KEY, floor INT)
  WITH (KAFKA_TOPIC = 'plan', PARTITIONS = 3, VALUE_FORMAT = 'JSON');
CREATE TABLE placed AS
  SELECT d.id AS id, d.room AS room, p.floor AS floor
  FROM desks d JOIN plan p ON d.room = p.room
  EMIT CHANGES;
CREATE TABLE floors AS
  SELECT floor, COUNT(*) AS desks FROM placed GROUP BY floor EMIT CHANGES;

INSERT INTO plan (room, floor) VALUES ('attic', 5);
INSERT INTO plan (room, floor) VALUES ('cellar', -1);
INSERT INTO plan (room, floor) VALUES ('attic', 4);
INSERT INTO desks (id, room) VALUES ('4', 'cellar');

SELECT * FROM floors WHERE floor = 4;
SELECT * FROM floors WHERE floor = -1;
SELECT * FROM floors WHERE floor = 5;
