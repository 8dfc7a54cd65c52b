-- Enriching a stream from a table: each order finds what its customer is at that moment.
SET 'auto.offset.reset' = 'earliest';

CREATE TABLE customers (id INT PRIMARY KEY, name STRING, city STRING)
  WITH (KAFKA_TOPIC = 'customers', PARTITIONS = 4, VALUE_FORMAT = 'JSON');
CREATE STREAM orders (order_id STRING KEY, customer_id INT, amount DECIMAL(8, 2))
  WITH (KAFKA_TOPIC = 'orders', PARTITIONS = 4, VALUE_FORMAT = 'JSON');

-- The stream's key is another: it is repartitioned by itself.
CREATE STREAM enriched AS
  SELECT o.customer_id AS customer_id, o.order_id AS order_id, c.city AS city, o.amount AS amount
  FROM orders o LEFT JOIN customers c ON o.customer_id = c.id
  EMIT CHANGES;

CREATE TABLE sales_per_city AS
  SELECT city, COUNT(*) AS orders, SUM(amount) AS total
  FROM enriched
  GROUP BY city
  HAVING COUNT(*) > 1
  EMIT CHANGES;

INSERT INTO customers (ROWTIME, id, name, city) VALUES (1, 1, 'Ada', 'London');
INSERT INTO customers (ROWTIME, id, name, city) VALUES (1, 2, 'Edsger', 'Rotterdam');
INSERT INTO orders (ROWTIME, order_id, customer_id, amount) VALUES (10, 'a', 1, 12.50);
INSERT INTO orders (ROWTIME, order_id, customer_id, amount) VALUES (11, 'b', 2, 3.00);
INSERT INTO orders (ROWTIME, order_id, customer_id, amount) VALUES (12, 'c', 1, 7.25);

SELECT * FROM sales_per_city;
