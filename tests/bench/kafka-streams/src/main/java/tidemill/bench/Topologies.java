package tidemill.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.time.Duration;
import java.util.Properties;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.WindowedSerdes;

/** The benchmark's q1, q2, count, wcount, q12, final, hop, session, join and left, with one update for each change, as Tidemill's and ksqlDB's are written. */
public final class Topologies {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final BigDecimal RATE = new BigDecimal("0.908");

    private static final Duration TEN_SECONDS = Duration.ofSeconds(10);

    private Topologies() {}

    /** Arguments: bootstrap servers, the topology, the output's topic, an application id, a folder for state, the guarantee. */
    public static void main(String[] arguments) {
        Properties properties = new Properties();
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[3]);
        properties.put(StreamsConfig.STATE_DIR_CONFIG, arguments[4]);
        properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        boolean isOnce = arguments[5].equals(StreamsConfig.EXACTLY_ONCE_V2);
        properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, arguments[5]);
        properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, isOnce ? 100 : 2000);
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
        if (name.endsWith("-avro")) {
            avro(builder, name, sink);
            return builder;
        }
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
            case "wcount" -> source
                .groupByKey(Grouped.with(Serdes.Long(), bids))
                .windowedBy(TimeWindows.ofSizeAndGrace(TEN_SECONDS, Duration.ofDays(1)))
                .count()
                .toStream()
                .mapValues(Counted::new)
                .to(sink, Produced.with(WindowedSerdes.timeWindowedSerdeFrom(Long.class, TEN_SECONDS.toMillis()), serde(Counted.class)));
            case "q12" -> source
                .groupBy((key, bid) -> bid.bidder, Grouped.with(Serdes.Long(), bids))
                .windowedBy(TimeWindows.ofSizeAndGrace(TEN_SECONDS, Duration.ofDays(1)))
                .count()
                .toStream()
                .mapValues(Counted::new)
                .to(sink, Produced.with(WindowedSerdes.timeWindowedSerdeFrom(Long.class, TEN_SECONDS.toMillis()), serde(Counted.class)));
            case "join" -> {
                Serde<Auction> auctions = serde(Auction.class);
                source
                    .join(builder.stream("auctions", Consumed.with(Serdes.Long(), auctions)),
                        (bid, auction) -> new Joined(bid.price, auction.seller),
                        JoinWindows.ofTimeDifferenceAndGrace(TEN_SECONDS, TEN_SECONDS),
                        StreamJoined.with(Serdes.Long(), bids, auctions))
                    .to(sink, Produced.with(Serdes.Long(), serde(Joined.class)));
            }
            case "final" -> source
                .groupByKey(Grouped.with(Serdes.Long(), bids))
                .windowedBy(TimeWindows.ofSizeAndGrace(TEN_SECONDS, Duration.ZERO))
                .count()
                .suppress(Suppressed.untilWindowCloses(Suppressed.BufferConfig.unbounded()))
                .toStream()
                .mapValues(Counted::new)
                .to(sink, Produced.with(WindowedSerdes.timeWindowedSerdeFrom(Long.class, TEN_SECONDS.toMillis()), serde(Counted.class)));
            case "hop" -> source
                .groupByKey(Grouped.with(Serdes.Long(), bids))
                .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofSeconds(60), Duration.ZERO).advanceBy(Duration.ofSeconds(1)))
                .count()
                .suppress(Suppressed.untilWindowCloses(Suppressed.BufferConfig.unbounded()))
                .toStream()
                .mapValues(Counted::new)
                .to(sink, Produced.with(WindowedSerdes.timeWindowedSerdeFrom(Long.class, 60_000), serde(Counted.class)));
            case "session" -> source
                .groupByKey(Grouped.with(Serdes.Long(), bids))
                .windowedBy(SessionWindows.ofInactivityGapAndGrace(TEN_SECONDS, Duration.ofMinutes(1)))
                .count()
                .toStream()
                .mapValues(count -> count == null ? null : new Counted(count))
                .to(sink, Produced.with(WindowedSerdes.sessionWindowedSerdeFrom(Long.class), serde(Counted.class)));
            case "left" -> {
                Serde<Auction> auctions = serde(Auction.class);
                KStream<Long, Auction> other = builder.stream("auctions", Consumed.with(Serdes.Long(), auctions));
                source
                    .leftJoin(other, (bid, auction) -> new Joined(bid.price, auction == null ? null : auction.seller),
                        JoinWindows.ofTimeDifferenceAndGrace(Duration.ofMillis(100), Duration.ofSeconds(1)),
                        StreamJoined.with(Serdes.Long(), bids, auctions))
                    .to(sink, Produced.with(Serdes.Long(), serde(Joined.class)));
            }
            default -> throw new IllegalArgumentException("no topology " + name);
        }
        return builder;
    }

    private static void avro(StreamsBuilder builder, String name, String sink) {
        KStream<Long, GenericRecord> source = builder.stream("bids_avro", Consumed.with(Serdes.Long(), Avro.serde(Avro.bid())));
        switch (name) {
            case "q1-avro" -> {
                Schema converted = Avro.converted();
                source.mapValues(bid -> convert(bid, converted)).to(sink, Produced.with(Serdes.Long(), Avro.serde(converted)));
            }
            case "q2-avro" -> {
                Schema filtered = Avro.filtered();
                source
                    .filter((key, bid) -> (Long) bid.get("AUCTION") % 123 == 0)
                    .mapValues(bid -> copy(bid, filtered))
                    .to(sink, Produced.with(Serdes.Long(), Avro.serde(filtered)));
            }
            default -> throw new IllegalArgumentException("no topology " + name);
        }
    }

    private static GenericRecord convert(GenericRecord bid, Schema to) {
        GenericRecord row = copy(bid, to);
        row.put("PRICE", RATE.multiply(BigDecimal.valueOf((Long) bid.get("PRICE"))));
        return row;
    }

    /** The fields of a bid that another record has, too. */
    private static GenericRecord copy(GenericRecord bid, Schema to) {
        GenericRecord row = new GenericData.Record(to);
        to.getFields().forEach(field -> row.put(field.pos(), bid.get(field.name())));
        return row;
    }

    /** A bid as it stands in the topic. */
    public record Bid(long auction, long bidder, long price, String channel, String url, long date_time, String extra) {}

    /** An auction as it stands in the topic. */
    public record Auction(long id, String item_name, String description, long initial_bid, long reserve, long date_time, long expires,
        long seller, long category, String extra) {}

    /** A bid with its auction's seller, or null. */
    public record Joined(long PRICE, Long SELLER) {}

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
