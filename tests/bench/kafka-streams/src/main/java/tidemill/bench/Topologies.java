package tidemill.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Produced;

/** The benchmark's q1, q2 and count, with one update for each change, as Tidemill's and ksqlDB's are written. */
public final class Topologies {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final BigDecimal RATE = new BigDecimal("0.908");

    private Topologies() {}

    /** Arguments: bootstrap servers, q1, q2 or count, the output's topic, an application id, a folder for state. */
    public static void main(String[] arguments) {
        Properties properties = new Properties();
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[3]);
        properties.put(StreamsConfig.STATE_DIR_CONFIG, arguments[4]);
        properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 2000);
        properties.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
        properties.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        KafkaStreams streams = new KafkaStreams(topology(arguments[1], arguments[2]).build(), properties);
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        System.out.println("started");
        streams.start();
    }

    private static StreamsBuilder topology(String name, String sink) {
        StreamsBuilder builder = new StreamsBuilder();
        Serde<Bid> bids = serde(Bid.class);
        KStream<Long, Bid> source = builder.stream("bids", Consumed.with(Serdes.Long(), bids));
        switch (name) {
            case "q1" -> source
                .mapValues(bid -> new Converted(bid.auction, bid.bidder, RATE.multiply(BigDecimal.valueOf(bid.price)),
                    bid.channel, bid.url, bid.date_time, bid.extra))
                .to(sink, Produced.with(Serdes.Long(), serde(Converted.class)));
            case "q2" -> source
                .filter((key, bid) -> bid.auction % 123 == 0)
                .mapValues(bid -> new Filtered(bid.auction, bid.price))
                .to(sink, Produced.with(Serdes.Long(), serde(Filtered.class)));
            case "count" -> source
                .groupByKey(Grouped.with(Serdes.Long(), bids))
                .count()
                .toStream()
                .mapValues(Counted::new)
                .to(sink, Produced.with(Serdes.Long(), serde(Counted.class)));
            default -> throw new IllegalArgumentException("no topology " + name);
        }
        return builder;
    }

    /** A bid as it stands in the topic. */
    public record Bid(long auction, long bidder, long price, String channel, String url, long date_time, String extra) {}

    /** q1's result. */
    public record Converted(long AUCTION, long BIDDER, BigDecimal PRICE, String CHANNEL, String URL, long DATE_TIME, String EXTRA) {}

    /** q2's result. */
    public record Filtered(long AUCTION, long PRICE) {}

    /** A count. */
    public record Counted(long N) {}

    private static <T> Serde<T> serde(Class<T> type) {
        return Serdes.serdeFrom(
            (topic, value) -> {
                try {
                    return value == null ? null : JSON.writeValueAsBytes(value);
                } catch (IOException error) {
                    throw new UncheckedIOException(error);
                }
            },
            (topic, bytes) -> {
                try {
                    return bytes == null ? null : JSON.readValue(bytes, type);
                } catch (IOException error) {
                    throw new UncheckedIOException(error);
                }
            });
    }
}
