import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** The Java client's transactions; see java_transactions.sh. One OK line per scenario, or an exception. */
public class Transactions {
    static String bootstrap;
    static final String topic = "java-txn-" + UUID.randomUUID().toString().substring(0, 8);

    static KafkaProducer<String, String> producer(String id) {
        var options = Map.<String, Object>of("bootstrap.servers", bootstrap, "transactional.id", topic + id, "max.block.ms", 30000);
        var producer = new KafkaProducer<>(options, new StringSerializer(), new StringSerializer());
        producer.initTransactions();
        return producer;
    }

    static KafkaConsumer<String, String> consumer(String group) {
        var options = Map.<String, Object>of(
                "bootstrap.servers", bootstrap, "group.id", group, "isolation.level", "read_committed",
                "enable.auto.commit", false, "auto.offset.reset", "earliest");
        return new KafkaConsumer<>(options, new StringDeserializer(), new StringDeserializer());
    }

    static List<String> read(String name) {
        try (var consumer = consumer("unused")) {
            var place = new TopicPartition(name, 0);
            consumer.assign(List.of(place));
            consumer.seekToBeginning(List.of(place));
            var found = new ArrayList<String>();
            long end = consumer.endOffsets(List.of(place)).get(place);
            while (consumer.position(place) < end) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofSeconds(1))) found.add(record.value());
            }
            return found;
        }
    }

    static void check(boolean holds, Object what) {
        if (!holds) throw new AssertionError(what);
    }

    static void commitsAndAborts() throws Exception {
        var expected = new ArrayList<String>();
        try (var producer = producer("-a")) {
            for (int number = 0; number < 6; number++) {
                producer.beginTransaction();
                for (int i = 0; i < 50; i++) producer.send(new ProducerRecord<>(topic, 0, null, number + "-" + i));
                if (number % 2 == 0) {
                    producer.flush();
                    producer.abortTransaction();
                } else {
                    producer.commitTransaction();
                    for (int i = 0; i < 50; i++) expected.add(number + "-" + i);
                }
            }
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, 0, null, "open")).get();
            check(read(topic).equals(expected), read(topic));
            producer.commitTransaction();
            expected.add("open");
            check(read(topic).equals(expected), read(topic));
        }
        System.out.println("OK the Java producer commits and aborts, the Java consumer reads what is committed");
    }

    static void fencing() throws Exception {
        String name = topic + "-fencing";
        var old = producer("-f");
        old.beginTransaction();
        old.send(new ProducerRecord<>(name, 0, null, "void")).get();
        try (var newer = producer("-f")) {
            newer.beginTransaction();
            newer.send(new ProducerRecord<>(name, 0, null, "kept")).get();
            newer.commitTransaction();
        }
        try {
            old.commitTransaction();
            throw new AssertionError("the older producer committed");
        } catch (ProducerFencedException refused) {
            check(read(name).equals(List.of("kept")), read(name));
        }
        old.close(Duration.ZERO);
        System.out.println("OK a newer Java producer shuts the older one out");
    }

    static void consumeAndProduce() throws Exception {
        String in = topic + "-in", out = topic + "-out", group = topic + "-group";
        try (var plain = producer("-in")) {
            plain.beginTransaction();
            for (int i = 0; i < 60; i++) plain.send(new ProducerRecord<>(in, 0, null, "" + i));
            plain.commitTransaction();
        }
        for (int round = 0; round < 2; round++) {
            try (var consumer = consumer(group); var producer = producer("-p")) {
                consumer.subscribe(List.of(in));
                var seen = new ArrayList<String>();
                while (seen.size() < 60 - round * 30) {
                    for (var record : consumer.poll(Duration.ofSeconds(1))) seen.add(record.value());
                }
                check(seen.get(0).equals("" + round * 30), seen);
                int upTo = round * 30 + 30;
                producer.beginTransaction();
                for (int i = round * 30; i < upTo; i++) producer.send(new ProducerRecord<>(out, 0, null, "" + i));
                producer.sendOffsetsToTransaction(
                        Map.of(new TopicPartition(in, 0), new OffsetAndMetadata(upTo)), consumer.groupMetadata());
                producer.commitTransaction();
                producer.beginTransaction();
                producer.send(new ProducerRecord<>(out, 0, null, "void")).get();
                producer.sendOffsetsToTransaction(
                        Map.of(new TopicPartition(in, 0), new OffsetAndMetadata(0)), consumer.groupMetadata());
                producer.abortTransaction();
            }
        }
        var expected = new ArrayList<String>();
        for (int i = 0; i < 60; i++) expected.add("" + i);
        check(read(out).equals(expected), read(out));
        System.out.println("OK records and the group's offsets in one transaction, by the member's own metadata");
    }

    public static void main(String[] arguments) throws Exception {
        bootstrap = arguments[0];
        commitsAndAborts();
        fencing();
        consumeAndProduce();
        System.exit(0);
    }
}
