#!/usr/bin/env python3
"""Confluent's serializers on both sides of a running server: each format into each other one.

    formats.py --bootstrap HOST:PORT --server http://HOST:PORT --registry URL --formats AVRO,PROTOBUF,JSON_SR

For each format, confluent-kafka writes records with a schema of its own; the server infers a stream's columns from that schema
and copies the stream into a topic of each format; confluent-kafka reads these with the schemas that the server registered, and
compares. Exits with 0 and one line `ok: …`, or with 1 and what was wrong.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_tools import protoc

from drive import PATIENCE_S, Mismatch, create_topics, expect, statement

PARTITIONS = 3
RECORDS = 40

# The same record in three languages. Names are lower case here and upper case in SQL.
AVRO = {
    "type": "record",
    "name": "Order",
    "namespace": "drive",
    "fields": [
        {"name": "number", "type": "int"},
        {"name": "total", "type": "long"},
        {"name": "price", "type": "double"},
        {"name": "paid", "type": "boolean"},
        {"name": "note", "type": ["null", "string"], "default": None},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "counts", "type": {"type": "map", "values": "long"}},
        {
            "name": "address",
            "type": {
                "type": "record",
                "name": "Address",
                "fields": [{"name": "city", "type": "string"}, {"name": "zip", "type": "int"}],
            },
        },
    ],
}

PROTOBUF = """
syntax = "proto3";
package drive;
message Order {
  int32 number = 1;
  int64 total = 2;
  double price = 3;
  bool paid = 4;
  optional string note = 5;
  repeated string tags = 6;
  map<string, int64> counts = 7;
  Address address = 8;
  message Address {
    string city = 1;
    int32 zip = 2;
  }
}
"""

JSON_SR = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "title": "Order",
    "type": "object",
    "properties": {
        "number": {"type": "integer", "connect.type": "int32", "connect.index": 0},
        "total": {"type": "integer", "connect.type": "int64", "connect.index": 1},
        "price": {"type": "number", "connect.type": "float64", "connect.index": 2},
        "paid": {"type": "boolean", "connect.index": 3},
        "note": {"oneOf": [{"type": "null"}, {"type": "string"}], "connect.index": 4},
        "tags": {"type": "array", "items": {"type": "string"}, "connect.index": 5},
        "counts": {
            "type": "object",
            "connect.type": "map",
            "additionalProperties": {"type": "integer", "connect.type": "int64"},
            "connect.index": 6,
        },
        "address": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "connect.index": 0},
                "zip": {"type": "integer", "connect.type": "int32", "connect.index": 1},
            },
            "connect.index": 7,
        },
    },
}


def orders():
    """What is written, with extremes, unicode and nulls among it."""
    for number in range(RECORDS):
        yield {
            "number": number - 20,
            "total": (1 << 53) - number,
            "price": number / 8,
            "paid": number % 2 == 0,
            "note": None if number % 3 == 0 else f'n°{number} "ü" 😀',
            "tags": [f"tag-{tag}" for tag in range(number % 4)],
            "counts": {f"key-{key}": (1 << 40) + key for key in range(number % 3)},
            "address": {"city": f"Zürich-{number}", "zip": 8000 + number},
        }


def message_class(folder, name, text):
    """Compiles a .proto text; its first message's class. Each has a pool of its own: the server calls all messages alike."""
    (Path(folder) / f"{name}.proto").write_text(text)
    compiled = Path(folder) / f"{name}.bin"
    if protoc.main(["protoc", f"-I{folder}", f"--descriptor_set_out={compiled}", "--include_imports", f"{folder}/{name}.proto"]) != 0:
        raise Mismatch(f"protoc refuses {text}")
    files = descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes()).file
    pool = descriptor_pool.DescriptorPool()
    for file in files:
        pool.Add(file)
    first = files[-1].message_type[0].name
    return message_factory.GetMessageClass(pool.FindFileByName(f"{name}.proto").message_types_by_name[first])


def to_message(cls, order):
    message = cls()
    for name, value in order.items():
        if value is None:
            continue
        if name == "tags":
            message.tags.extend(value)
        elif name == "counts":
            message.counts.update(value)
        elif name == "address":
            message.address.city, message.address.zip = value["city"], value["zip"]
        else:
            setattr(message, name, value)
    return message


def from_message(message):
    """A message as a dictionary, with null for what is not set and can be told from its default."""
    found = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            found[field.name] = dict(value)
        elif field.message_type is not None and hasattr(value, "MergeFrom") and not hasattr(value, "append"):
            found[field.name] = from_message(value) if message.HasField(field.name) else None
        elif hasattr(value, "append"):
            found[field.name] = [from_message(item) if hasattr(item, "DESCRIPTOR") else item for item in value]
        elif field.has_presence and not message.HasField(field.name):
            found[field.name] = None
        else:
            found[field.name] = value
    return found


def lower(value):
    """Fields of records in lower case; maps as dictionaries, their keys as they are. Connect writes a map whose keys may be null
    as a list of entries."""
    found = {}
    for name, item in value.items():
        if name.lower() == "counts":
            entries = [lower(entry) for entry in item] if isinstance(item, list) else None
            found["counts"] = item if entries is None else {entry["key"]: entry["value"] for entry in entries}
        else:
            found[name.lower()] = lower(item) if isinstance(item, dict) else item
    return found


def serializer(registry, name, folder):
    if name == "AVRO":
        return AvroSerializer(registry, json.dumps(AVRO)), lambda order: order
    if name == "JSON_SR":
        return JSONSerializer(json.dumps(JSON_SR), registry), lambda order: order
    cls = message_class(folder, "drive_order", PROTOBUF)
    return ProtobufSerializer(cls, registry, {"use.deprecated.format": False}), lambda order: to_message(cls, order)


def deserializer(registry, name, topic, folder):
    if name == "AVRO":
        return AvroDeserializer(registry), lambda value: value
    schema = registry.get_latest_version(f"{topic}-value").schema
    if name == "JSON_SR":
        return JSONDeserializer(schema.schema_str, schema_registry_client=registry), lambda value: value
    cls = message_class(folder, topic.replace("-", "_"), schema.schema_str)
    return ProtobufDeserializer(cls, {"use.deprecated.format": False}), from_message


def produce(bootstrap, topic, write, records):
    failures = []
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random"})
    for record in records:
        payload = write(record, SerializationContext(topic, MessageField.VALUE))
        key = f"k{record.number if hasattr(record, 'number') else record['number']}"
        producer.produce(topic, payload, key, on_delivery=lambda error, _message: failures.append(error) if error else None)
    producer.flush(60)
    if failures:
        raise Mismatch(f"{len(failures)} records were not delivered to {topic}: {failures[0]}")


def consume(bootstrap, topic, read):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "formats", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(PARTITIONS)])
    found, deadline = [], time.monotonic() + PATIENCE_S
    try:
        while len(found) < RECORDS:
            if time.monotonic() > deadline:
                raise Mismatch(f"{topic}: {len(found)} of {RECORDS} records came")
            for message in consumer.consume(1000, timeout=0.2):
                if message.error():
                    raise KafkaException(message.error())
                value = read(message.value(), SerializationContext(topic, MessageField.VALUE))
                found.append((message.key().decode(), value))
    finally:
        consumer.close()
    return found


def plain(order, came_from, went_to):
    """An order as it may come back: Protobuf can't tell an absent text from an empty one unless the schema says so."""
    order = dict(order)
    if "PROTOBUF" in (came_from, went_to) and order["note"] is None:
        order["note"] = ""
    return order


def run(arguments):
    formats = arguments.formats.split(",")
    registry = SchemaRegistryClient({"url": arguments.registry})
    with tempfile.TemporaryDirectory() as folder:
        source = {name: f"{arguments.prefix}-in-{name.lower().replace('_', '-')}" for name in formats}
        create_topics(arguments.bootstrap, source.values())
        for name in formats:
            write, shaped = serializer(registry, name, folder)
            produce(arguments.bootstrap, source[name], write, [shaped(order) for order in orders()])
        for name in formats:
            statement(
                arguments.server,
                f"CREATE STREAM IN_{name} (K STRING KEY) WITH (KAFKA_TOPIC='{source[name]}', KEY_FORMAT='KAFKA', VALUE_FORMAT='{name}');",
            )
        for came_from in formats:
            for went_to in formats:
                topic = f"{arguments.prefix}-{came_from}-to-{went_to}".lower().replace("_", "-")
                statement(
                    arguments.server,
                    f"CREATE STREAM S_{came_from}_TO_{went_to} WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='{went_to}') AS "
                    f"SELECT * FROM IN_{came_from};",
                )
                wait_for_subject(registry, f"{topic}-value")
                read, shaped = deserializer(registry, went_to, topic, folder)
                found = {key: lower(shaped(value)) for key, value in consume(arguments.bootstrap, topic, read)}
                wanted = {f"k{order['number']}": order for order in orders()}
                for key, order in wanted.items():
                    got = found.get(key)
                    if got is not None and got.get("note") is None:
                        got["note"] = plain(got, came_from, went_to)["note"]
                    expect(f"{came_from} to {went_to}, {key}", got, plain(order, came_from, went_to))
    return f"ok: {len(formats) ** 2} conversions of {RECORDS} records each"


def wait_for_subject(registry, subject):
    if subject not in registry.get_subjects():
        raise Mismatch(f"the server registered nothing under {subject}: {registry.get_subjects()}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--server", required=True)
    parser.add_argument("--registry", required=True)
    parser.add_argument("--formats", default="AVRO,PROTOBUF,JSON_SR")
    parser.add_argument("--prefix", default="formats")
    try:
        print(run(parser.parse_args()))
    except Mismatch as mismatch:
        print(mismatch, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
