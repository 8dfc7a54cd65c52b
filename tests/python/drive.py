#!/usr/bin/env python3
"""Drives a running server from outside, as its users do: confluent-kafka produces, the server transforms,
confluent-kafka reads the sink topic and compares.

    drive.py --bootstrap HOST:PORT --server http://HOST:PORT [--events N]

Exits with 0 and one line `ok: …`, or with 1 and what was wrong.

Clients on librdkafka partition by CRC32 unless told otherwise, and a join would then silently find only some of its
rows: hence `partitioner=murmur2_random`, which is what Java's clients and Tidemill do.
"""

import argparse
import json
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

PARTITIONS = 3
CUSTOMERS = 50
PATIENCE_S = 90


class Mismatch(Exception):
    """The server's answer is not what it must be."""


def statement(server, sql):
    """Runs statements from the first record on."""
    body = json.dumps({"ksql": sql, "streamsProperties": {"auto.offset.reset": "earliest"}}).encode()
    request = urllib.request.Request(f"{server}/ksql", body, {"Content-Type": "application/vnd.ksql.v1+json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise Mismatch(f"{error.code} for {sql!r}: {error.read().decode()}") from error


def pull(server, sql):
    """The rows of a pull query."""
    body = json.dumps({"ksql": sql}).encode()
    request = urllib.request.Request(f"{server}/query", body, {"Content-Type": "application/vnd.ksql.v1+json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return [entry["row"]["columns"] for entry in json.load(answer) if "row" in entry]


def create_topics(bootstrap, names):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    config = {"retention.ms": "-1"}
    for future in admin.create_topics([NewTopic(name, PARTITIONS, 1, config=config) for name in names]).values():
        future.result(30)


def produce(bootstrap, topic, records):
    """Writes (key, value, timestamp) and waits until all are there."""
    failures = []
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "linger.ms": 5})

    def delivered(error, _message):
        if error:
            failures.append(str(error))

    for key, value, timestamp in records:
        payload = None if value is None else json.dumps(value)
        while True:
            try:
                producer.produce(topic, payload, key, timestamp=timestamp, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    producer.flush(60)
    if failures:
        raise Mismatch(f"{len(failures)} records were not delivered to {topic}: {failures[0]}")


def consume(bootstrap, topic, is_complete):
    """Reads a topic from its beginning until the records are complete; (partition, key, value, timestamp) of each."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "drive", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(PARTITIONS)])
    records, deadline = [], time.monotonic() + PATIENCE_S
    try:
        while not is_complete(records):
            if time.monotonic() > deadline:
                raise Mismatch(f"{topic}: {len(records)} records came, and they are not complete")
            for message in consumer.consume(1000, timeout=0.5):
                if message.error():
                    raise KafkaException(message.error())
                key = None if message.key() is None else message.key().decode()
                value = None if message.value() is None else json.loads(message.value())
                records.append((message.partition(), key, value, message.timestamp()[1]))
        # Nothing may come after the last.
        late = consumer.consume(1, timeout=1.0)
        if any(not message.error() for message in late):
            raise Mismatch(f"{topic}: a record too many")
    finally:
        consumer.close()
    return records


def expect(what, found, wanted):
    if found != wanted:
        raise Mismatch(f"{what}: found {found!r}, wanted {wanted!r}")


def orders(count):
    """Orders with event times that advance, some of them small."""
    base = 1_700_000_000_000
    for number in range(count):
        customer = f"customer-{number * 7 % CUSTOMERS}"
        yield customer, {"number": number, "amount": (number * 37) % 1000, "note": f"n°{number} \"ü\""}, base + number * 10


def check_filter(bootstrap, sent):
    """CREATE STREAM AS SELECT with WHERE: the right records, in order by key, with their times and partitions."""
    wanted = [(key, value, timestamp) for key, value, timestamp in sent if value["amount"] >= 500]
    read = consume(bootstrap, "drive-large", lambda records: len(records) >= len(wanted))
    expect("records of the filter", len(read), len(wanted))
    partitions = {}
    for partition, key, _, _ in read:
        expect(f"partition of {key}", partitions.setdefault(key, partition), partition)
    for customer in {key for key, _, _ in wanted}:
        expect(
            f"large orders of {customer}",
            [(value, timestamp) for _, key, value, timestamp in read if key == customer],
            [
                ({"NUMBER": value["number"], "DOUBLED": 2 * value["amount"], "NOTE": value["note"].upper()}, timestamp)
                for key, value, timestamp in wanted
                if key == customer
            ],
        )


def check_join(bootstrap, sent, names):
    """A stream-table join: a row for each order of a known customer, whichever client filled the table."""
    wanted = Counter(names[key] for key, _, _ in sent if key in names)
    read = consume(bootstrap, "drive-named", lambda records: len(records) >= sum(wanted.values()))
    expect("joined rows by name", Counter(value["NAME"] for _, _, value, _ in read), wanted)


def check_table(server, sent):
    """A table: pull queries give the aggregate of everything."""
    count, total = Counter(), Counter()
    for key, value, _ in sent:
        count[key] += 1
        total[key] += value["amount"]

    def ask(key):
        return pull(server, f"SELECT customer, n, total FROM drive_totals WHERE customer = '{key}';")

    deadline = time.monotonic() + PATIENCE_S
    with ThreadPoolExecutor(8) as pool:
        while True:
            found = dict(zip(count, pool.map(ask, count)))
            wanted = {key: [[key, count[key], total[key]]] for key in count}
            if found == wanted:
                return
            if time.monotonic() > deadline:
                wrong = next(key for key in count if found[key] != wanted[key])
                raise Mismatch(f"totals of {wrong}: found {found[wrong]!r}, wanted {wanted[wrong]!r}")
            time.sleep(0.2)


def drive(bootstrap, server, events):
    create_topics(bootstrap, ["drive-orders", "drive-customers"])
    # Known customers before the orders, in event time too: the join must find them all.
    names = {f"customer-{number}": f"Name {number}" for number in range(0, CUSTOMERS, 2)}
    produce(bootstrap, "drive-customers", [(key, {"name": name}, 1_600_000_000_000) for key, name in names.items()])
    sent = list(orders(events))
    produce(bootstrap, "drive-orders", sent[: events // 2])
    statement(
        server,
        """
        CREATE STREAM drive_orders (customer VARCHAR KEY, number BIGINT, amount BIGINT, note VARCHAR)
            WITH (KAFKA_TOPIC='drive-orders', KEY_FORMAT='KAFKA', VALUE_FORMAT='JSON');
        CREATE TABLE drive_customers (customer VARCHAR PRIMARY KEY, name VARCHAR)
            WITH (KAFKA_TOPIC='drive-customers', KEY_FORMAT='KAFKA', VALUE_FORMAT='JSON');
        CREATE STREAM drive_large WITH (KAFKA_TOPIC='drive-large') AS
            SELECT customer, number, amount * 2 AS doubled, UCASE(note) AS note FROM drive_orders WHERE amount >= 500 EMIT CHANGES;
        CREATE TABLE drive_totals AS
            SELECT customer, COUNT(*) AS n, SUM(amount) AS total FROM drive_orders GROUP BY customer EMIT CHANGES;
        CREATE STREAM drive_named WITH (KAFKA_TOPIC='drive-named') AS
            SELECT o.customer, o.number, c.name AS name FROM drive_orders o
            JOIN drive_customers c ON o.customer = c.customer EMIT CHANGES;
        """,
    )
    # The other half arrives while the queries run.
    produce(bootstrap, "drive-orders", sent[events // 2 :])
    check_filter(bootstrap, sent)
    check_join(bootstrap, sent, names)
    check_table(server, sent)
    return len(sent)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--server", required=True)
    parser.add_argument("--events", type=int, default=5000)
    arguments = parser.parse_args()
    try:
        events = drive(arguments.bootstrap, arguments.server.rstrip("/"), arguments.events)
    except (Mismatch, KafkaException, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(f"ok: {events} orders through a filter, a join and an aggregate")
    return 0


if __name__ == "__main__":
    sys.exit(main())
