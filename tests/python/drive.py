#!/usr/bin/env python3
"""Drives a running server from outside, as its users do: confluent-kafka produces, the server transforms,
confluent-kafka reads the sink topic and compares.

    drive.py --bootstrap HOST:PORT --server http://HOST:PORT [--events N]

Exits with 0 and one line `ok: …`, or with 1 and what was wrong.

Clients on librdkafka partition by CRC32 unless told otherwise, and a join would then silently find only some of its
rows: hence `partitioner=murmur2_random`, which is what Java's clients and Tidemill do.
"""

import argparse
import base64
import json
import struct
import sys
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

PARTITIONS = 3
CUSTOMERS = 50
REGIONS = 7
BASE_MS = 1_700_000_000_000
WINDOW_MS = 5_000
PATIENCE_S = 90


class Record(NamedTuple):
    """A record of a sink topic."""

    key: object
    value: object
    timestamp: int
    headers: dict


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


def headers(value):
    """An order's headers: of two with one name, the last counts."""
    if not value or "number" not in value:
        return []
    return [("trace", b"no"), ("other", None), ("trace", b"trace-%d" % value["number"])]


def produce(bootstrap, topic, records):
    """Writes (key, value, timestamp) and waits until all are there."""
    failures = []
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "linger.ms": 5})

    def delivered(error, _message):
        if error:
            failures.append(str(error))

    for key, value, timestamp in records:
        # Half of them with escapes for what is not ASCII.
        payload = None if value is None else json.dumps(value, ensure_ascii=bool(value.get("number", 0) % 2))
        while True:
            try:
                producer.produce(topic, payload, key, timestamp=timestamp, headers=headers(value), on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    producer.flush(60)
    if failures:
        raise Mismatch(f"{len(failures)} records were not delivered to {topic}: {failures[0]}")


def consume(bootstrap, topic, is_complete, decode=None):
    """Reads a topic from its beginning until the records are complete. Every key must lie in the partition that Java's
    clients choose for it."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "drive", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(PARTITIONS)])
    records, deadline = [], time.monotonic() + PATIENCE_S
    try:
        while not is_complete(records):
            if time.monotonic() > deadline:
                raise Mismatch(f"{topic}: {len(records)} records came, and they are not complete; the last: {records[-3:]}")
            for message in consumer.consume(1000, timeout=0.2):
                if message.error():
                    raise KafkaException(message.error())
                value = None if message.value() is None else json.loads(message.value())
                key = (decode or bytes.decode)(message.key())
                records.append(Record(key, value, message.timestamp()[1], dict(message.headers() or [])))
                text = key[0] if decode else key
                expect(f"{topic}: partition of {key}", message.partition(), java_partition(text.encode(), PARTITIONS))
        # Nothing may come after the last.
        late = consumer.consume(1, timeout=1.0)
        if any(not message.error() for message in late):
            raise Mismatch(f"{topic}: a record too many")
    finally:
        consumer.close()
    return records


def windowed(key):
    """The key of a windowed table's record: the key itself, then the window's start."""
    return key[:-8].decode(), struct.unpack(">q", key[-8:])[0]


def java_partition(key, partitions):
    """Where Java's clients put a key: murmur2 of its bytes, without the sign."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = (0x9747B28C ^ len(key)) & mask
    whole = len(key) // 4 * 4
    for at in range(0, whole, 4):
        k = int.from_bytes(key[at : at + 4], "little") * m & mask
        h = (h * m & mask) ^ ((k ^ k >> 24) * m & mask)
    if key[whole:]:
        h = (h ^ int.from_bytes(key[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return ((h ^ h >> 15) & 0x7FFFFFFF) % partitions


def expect(what, found, wanted):
    if found != wanted:
        raise Mismatch(f"{what}: found {found!r}, wanted {wanted!r}")


def orders(count):
    """Orders with event times that advance, some of them small."""
    for number in range(count):
        customer = f"customer-{number * 7 % CUSTOMERS}"
        value = {"number": number, "region": f"région-{number % REGIONS}", "amount": (number * 37) % 1000, "note": f'n°{number} "ü"'}
        yield customer, value, BASE_MS + number * 10


def by_key(records):
    """The records of each key in their order."""
    found = defaultdict(list)
    for record in records:
        found[record.key].append(record)
    return found


def check_filter(bootstrap, sent):
    """CREATE STREAM AS SELECT with WHERE: the right records, in order by key, with times, headers and partitions."""
    wanted = [
        Record(key, large(v), timestamp, dict(headers(v)))
        for key, v, timestamp in sent
        if v["amount"] >= 500
    ]
    read = consume(bootstrap, "drive-large", lambda records: len(records) >= len(wanted))
    found = by_key(read)
    for customer, records in by_key(wanted).items():
        expect(f"large orders of {customer}", found.pop(customer), records)
    expect("other customers", dict(found), {})


def large(v):
    """A large order as the filter's query writes it: some columns computed, some passed on."""
    computed = {"NUMBER": v["number"], "DOUBLED": 2 * v["amount"], "NOTE": v["note"].upper()}
    return computed | {"SAID": v["note"], "REGION": v["region"], "TRACE": trace(v)}


def trace(value):
    """The header that an order carries, as BYTES stand in JSON."""
    return base64.b64encode(b"trace-%d" % value["number"]).decode()


def check_repartition(bootstrap, sent):
    """PARTITION BY: every record under its new key, and in order where it came from one partition and stays in one."""
    read = consume(bootstrap, "drive-by-region", lambda records: len(records) >= len(sent))
    found = {record.value["NUMBER"]: record for record in read}
    expect("records by region", len(read), len(sent))
    for key, v, timestamp in sent:
        record = found[v["number"]]
        expect(f"order {v['number']} by region", (record.key, record.value["CUSTOMER"], record.timestamp), (v["region"], key, timestamp))
        expect(f"headers of order {v['number']} by region", record.headers, dict(headers(v)))
    order = defaultdict(list)
    for record in read:
        order[record.key, record.value["CUSTOMER"]].append(record.value["NUMBER"])
    for place, numbers in order.items():
        expect(f"order within {place}", numbers, sorted(numbers))


def check_join(bootstrap, sent, names):
    """A stream-table join: a row for each order of a known customer, whichever client filled the table."""
    wanted = {v["number"]: (key, names[key], timestamp, dict(headers(v))) for key, v, timestamp in sent if key in names}
    read = consume(bootstrap, "drive-named", lambda records: len(records) >= len(wanted))
    expect("joined rows", len(read), len(wanted))
    expect("joined rows by number", {r.value["NUMBER"]: (r.key, r.value["NAME"], r.timestamp, r.headers) for r in read}, wanted)


def check_windows(bootstrap, sent):
    """A windowed count by a column that is not the key: each change a record, the last of a window its count."""
    counts, times = Counter(), {}
    for _, v, timestamp in sent:
        window = (v["region"], timestamp // WINDOW_MS * WINDOW_MS)
        counts[window] += 1
        times[window] = timestamp

    def last(records):
        return {record.key: record for record in records}

    def complete(records):
        return len(records) >= len(sent)

    read = consume(bootstrap, "drive-windows", complete, windowed)
    expect("changes of windows", len(read), len(sent))
    for window, records in by_key(read).items():
        expect(f"changes of {window}", [record.value for record in records], [{"N": n + 1} for n in range(counts[window])])
        expect(f"time of {window}", records[-1].timestamp, times[window])
    expect("windows", len(last(read)), len(counts))


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
        CREATE STREAM drive_orders (customer VARCHAR KEY, number BIGINT, region VARCHAR, amount BIGINT, note VARCHAR,
            trace BYTES HEADER('trace'))
            WITH (KAFKA_TOPIC='drive-orders', KEY_FORMAT='KAFKA', VALUE_FORMAT='JSON');
        CREATE TABLE drive_customers (customer VARCHAR PRIMARY KEY, name VARCHAR)
            WITH (KAFKA_TOPIC='drive-customers', KEY_FORMAT='KAFKA', VALUE_FORMAT='JSON');
        CREATE STREAM drive_large WITH (KAFKA_TOPIC='drive-large') AS
            SELECT customer, number, amount * 2 AS doubled, UCASE(note) AS note, note AS said, region, trace
            FROM drive_orders WHERE amount >= 500 EMIT CHANGES;
        CREATE STREAM drive_by_region WITH (KAFKA_TOPIC='drive-by-region') AS
            SELECT region, customer, number FROM drive_orders PARTITION BY region EMIT CHANGES;
        CREATE TABLE drive_totals AS
            SELECT customer, COUNT(*) AS n, SUM(amount) AS total FROM drive_orders GROUP BY customer EMIT CHANGES;
        CREATE TABLE drive_windows WITH (KAFKA_TOPIC='drive-windows') AS
            SELECT region, COUNT(*) AS n FROM drive_orders WINDOW TUMBLING (SIZE 5 SECONDS, GRACE PERIOD 1 DAY)
            GROUP BY region EMIT CHANGES;
        CREATE STREAM drive_named WITH (KAFKA_TOPIC='drive-named') AS
            SELECT o.customer, o.number, c.name AS name FROM drive_orders o
            JOIN drive_customers c ON o.customer = c.customer EMIT CHANGES;
        """,
    )
    # The other half arrives while the queries run.
    produce(bootstrap, "drive-orders", sent[events // 2 :])
    check_filter(bootstrap, sent)
    check_repartition(bootstrap, sent)
    check_join(bootstrap, sent, names)
    check_windows(bootstrap, sent)
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
    print(f"ok: {events} orders through a filter, a repartition, a join, windows and an aggregate")
    return 0


if __name__ == "__main__":
    sys.exit(main())
