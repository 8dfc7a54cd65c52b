package tidemill.bench;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import org.apache.avro.Conversions;
import org.apache.avro.LogicalTypes;
import org.apache.avro.Schema;
import org.apache.avro.SchemaBuilder;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/**
 * Generic records of Avro's own library behind the zero byte and the schema's id: what the serdes of schema registries do for a
 * record whose schema they know already. No registry is asked; all records have the schema that is expected.
 */
final class Avro {
    private static final int HEADER_BYTES = 5;

    private Avro() {}

    static Schema bid() {
        return record("AUCTION", "BIDDER", "PRICE", "CHANNEL", "URL", "DATE_TIME", "EXTRA");
    }

    static Schema converted() {
        return record("AUCTION", "BIDDER", "PRICE:DECIMAL", "CHANNEL", "URL", "DATE_TIME", "EXTRA");
    }

    static Schema filtered() {
        return record("AUCTION", "PRICE");
    }

    private static Schema record(String... fields) {
        SchemaBuilder.FieldAssembler<Schema> record =
            SchemaBuilder.record("KsqlDataSourceSchema").namespace("io.confluent.ksql.avro_schemas").fields();
        for (String field : fields) {
            Schema type = switch (field) {
                case "CHANNEL", "URL", "EXTRA" -> Schema.create(Schema.Type.STRING);
                case "PRICE:DECIMAL" -> LogicalTypes.decimal(23, 3).addToSchema(Schema.create(Schema.Type.BYTES));
                default -> Schema.create(Schema.Type.LONG);
            };
            Schema optional = Schema.createUnion(Schema.create(Schema.Type.NULL), type);
            record = record.name(field.split(":")[0]).type(optional).withDefault(null);
        }
        return record.endRecord();
    }

    static Serde<GenericRecord> serde(Schema schema) {
        GenericData data = new GenericData();
        data.addLogicalTypeConversion(new Conversions.DecimalConversion());
        GenericDatumReader<GenericRecord> reader = new GenericDatumReader<>(schema, schema, data);
        GenericDatumWriter<GenericRecord> writer = new GenericDatumWriter<>(schema, data);
        return Serdes.serdeFrom(
            (topic, value) -> {
                if (value == null) {
                    return null;
                }
                ByteArrayOutputStream out = new ByteArrayOutputStream();
                try {
                    out.write(new byte[HEADER_BYTES]);
                    BinaryEncoder encoder = EncoderFactory.get().directBinaryEncoder(out, null);
                    writer.write(value, encoder);
                    encoder.flush();
                } catch (IOException error) {
                    throw new UncheckedIOException(error);
                }
                return out.toByteArray();
            },
            (topic, bytes) -> {
                if (bytes == null) {
                    return null;
                }
                try {
                    return reader.read(null, DecoderFactory.get().binaryDecoder(bytes, HEADER_BYTES, bytes.length - HEADER_BYTES, null));
                } catch (IOException error) {
                    throw new UncheckedIOException(error);
                }
            });
    }
}
