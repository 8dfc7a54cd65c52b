-- Every flight that left New York in 2013: delays of each carrier in each hour, cancellations of each airport on each day.
-- The topics are there before (see README.md). A record's time is the flight's departure.
SET 'auto.offset.reset' = 'earliest';

CREATE STREAM flights (carrier STRING KEY, flight INT, tailnum STRING, origin STRING, dest STRING,
    dep_delay INT, arr_delay INT, distance INT)
  WITH (KAFKA_TOPIC = 'flights', VALUE_FORMAT = 'JSON');

CREATE TABLE airlines (carrier STRING PRIMARY KEY, name STRING)
  WITH (KAFKA_TOPIC = 'airlines', VALUE_FORMAT = 'JSON');

-- Both topics are keyed by carrier and have the same number of partitions, so nothing is moved for the join. Their own
-- times are more than ten years old: without RETENTION_MS the broker would delete the results as soon as it looks.
CREATE STREAM named_flights WITH (KAFKA_TOPIC = 'named_flights', RETENTION_MS = -1) AS
  SELECT f.carrier AS carrier, a.name AS airline, f.origin AS origin, f.dep_delay AS dep_delay, f.arr_delay AS arr_delay
  FROM flights f INNER JOIN airlines a ON f.carrier = a.carrier
  EMIT CHANGES;

-- Records come in the order of the schedule, so a flight that left late comes up to 21 hours before its time, and those that
-- left on time after it: the grace must be longer. The retention keeps the whole year for queries.
CREATE TABLE delays_per_hour WITH (KAFKA_TOPIC = 'delays_per_hour', RETENTION_MS = -1) AS
  SELECT carrier,
    LATEST_BY_OFFSET(airline) AS airline,
    COUNT(*) AS flights,
    COUNT(dep_delay) AS departed,
    SUM(CASE WHEN dep_delay > 15 THEN 1 ELSE 0 END) AS late,
    SUM(dep_delay) AS delay_minutes,
    AVG(dep_delay) AS mean_delay,
    MIN(dep_delay) AS least_delay,
    MAX(dep_delay) AS worst_delay,
    COUNT(arr_delay) AS arrived,
    MAX(arr_delay) AS worst_arrival
  FROM named_flights
  WINDOW TUMBLING (SIZE 1 HOUR, RETENTION 400 DAYS, GRACE PERIOD 2 DAYS)
  GROUP BY carrier
  EMIT CHANGES;

-- By another column than the key: the rows move to other partitions first, where those of a partition that is read quickly
-- come months before those of a slow one. So the grace is the whole year.
CREATE TABLE cancellations_per_day WITH (KAFKA_TOPIC = 'cancellations_per_day', RETENTION_MS = -1) AS
  SELECT origin, COUNT(*) AS flights, COUNT(*) - COUNT(dep_delay) AS cancelled
  FROM named_flights
  WINDOW TUMBLING (SIZE 1 DAY, RETENTION 500 DAYS, GRACE PERIOD 400 DAYS)
  GROUP BY origin
  EMIT CHANGES;
