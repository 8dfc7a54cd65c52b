"""Drives a schema registry with Confluent's client: registers, looks up, checks and deletes in all three languages, and sends a
record of each through a serializer and back. Ends with what was done; anything that is not as it should be is an error."""

import argparse
import json

from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


def refused(code, call):
    try:
        call()
    except SchemaRegistryError as error:
        assert error.error_code == code, f"{error.error_code} is not {code}: {error}"
        return
    raise AssertionError(f"nothing was refused; {code} is expected")


def record(fields):
    return json.dumps({"type": "record", "name": "Order", "fields": fields})


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--registry", required=True)
    url = arguments.parse_args().registry
    client = SchemaRegistryClient({"url": url})
    item = {"name": "item", "type": "string"}
    first, second = record([item]), record([item, {"name": "n", "type": ["null", "int"], "default": None}])
    worse = record([item, {"name": "m", "type": "int"}])

    assert client.get_subjects() == []
    id1 = client.register_schema("orders-value", Schema(first, "AVRO"))
    id2 = client.register_schema("orders-value", Schema(second, "AVRO"))
    assert client.register_schema("orders-value", Schema(first, "AVRO")) == id1 != id2
    assert json.loads(client.get_schema(id2).schema_str) == json.loads(second)
    latest = client.get_latest_version("orders-value")
    assert (latest.schema_id, latest.version, latest.subject) == (id2, 2, "orders-value")
    assert client.get_versions("orders-value") == [1, 2]
    assert client.lookup_schema("orders-value", Schema(first, "AVRO")).version == 1
    assert client.test_compatibility("orders-value", Schema(second, "AVRO"))
    assert not client.test_compatibility("orders-value", Schema(worse, "AVRO"))
    refused(409, lambda: client.register_schema("orders-value", Schema(worse, "AVRO")))
    refused(42201, lambda: client.register_schema("orders-value", Schema("{}", "AVRO")))
    refused(40401, lambda: client.get_latest_version("nothing"))
    refused(40403, lambda: client.get_schema(4711))

    client.set_compatibility("orders-value", "NONE")
    assert client.get_compatibility("orders-value") == "NONE"
    client.register_schema("orders-value", Schema(worse, "AVRO"))
    client.set_compatibility(level="FULL")
    assert client.get_compatibility() == "FULL"

    address = record([{"name": "city", "type": "string"}]).replace("Order", "Address")
    person = record([{"name": "home", "type": "Address"}]).replace("Order", "Person")
    client.register_schema("address", Schema(address, "AVRO"))
    link = SchemaReference("Address", "address", 1)
    person_id = client.register_schema("person", Schema(person, "AVRO", [link]))
    assert client.get_schema(person_id).references[0].subject == "address"
    refused(42206, lambda: client.delete_subject("address"))

    context = SerializationContext("sent", MessageField.VALUE)
    value = {"item": "tea", "n": 5}
    sent = AvroSerializer(client, second)(value, context)
    assert AvroDeserializer(client, second)(sent, context) == value
    schema = json.dumps({"title": "Order", "type": "object", "properties": {"item": {"type": "string"}, "n": {"type": "integer"}}})
    context = SerializationContext("sent-json", MessageField.VALUE)
    sent = JSONSerializer(schema, client)(value, context)
    assert JSONDeserializer(schema, schema_registry_client=client)(sent, context) == value
    proto = 'syntax = "proto3"; message Order { string item = 1; int32 n = 2; }'
    proto_id = client.register_schema("sent-proto", Schema(proto, "PROTOBUF"))
    assert client.get_schema(proto_id).schema_type == "PROTOBUF"

    # A message without a compiler: its schema is sent as a descriptor, and asked for as one.
    file = descriptor_pb2.FileDescriptorProto(name="order.proto", package="shop", syntax="proto3")
    message = file.message_type.add(name="Order")
    message.field.add(name="item", number=1, type=9, label=1)
    message.field.add(name="counts", number=2, type=5, label=3)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    order_type = message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Order"))
    order = order_type(item="tea", counts=[5, 7])
    context = SerializationContext("sent-order", MessageField.VALUE)
    sent = ProtobufSerializer(order_type, client, {"use.deprecated.format": False})(order, context)
    assert ProtobufDeserializer(order_type, {"use.deprecated.format": False}, client)(sent, context) == order
    # Whoever asks for the text gets one.
    written = "syntax = \"proto3\"; package shop; message Order { string item = 1; repeated int32 counts = 2; }"
    assert client.lookup_schema("sent-order-value", Schema(written, "PROTOBUF")).version == 1

    assert client.delete_version("orders-value", 1) == 1
    assert client.get_versions("orders-value") == [2, 3]
    assert client.delete_subject("orders-value") == [2, 3]
    assert client.delete_subject("orders-value", permanent=True) == [1, 2, 3]
    assert "orders-value" not in client.get_subjects()
    print(f"{len(client.get_subjects())} subjects are left")


main()
