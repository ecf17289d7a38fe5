#!/usr/bin/env python3
"""kafka-python as the seed's producer uses it, and a consumer group beside it.

    scripts/services/python.sh tests/clients/kafka_python_seed.py --bootstrap 127.0.0.1:9092

Prints one OK line per scenario on stdout; any failure ends it with a traceback and exit code 1.
"""

import argparse
import json
import random
import time
import uuid

from kafka import KafkaConsumer, KafkaProducer, TopicPartition, codec
from kafka.admin import KafkaAdminClient, NewPartitions, NewTopic
from kafka.structs import OffsetAndMetadata


def events(count):
    """The seed's messages, numbered so that each can be found again."""
    random.seed(count)
    for number in range(count):
        yield {
            "device_id": random.choice(["device_1", "device_2", "device_3"]),
            "temperature": round(random.uniform(20.0, 80.0), 2),
            "humidity": round(random.uniform(30.0, 90.0), 2),
            "timestamp": int(time.time()),
            "number": number,
        }


def seed_producer(bootstrap, topic, count):
    """The seed's own lines, but for the endless loop: the topic does not exist before."""
    producer = KafkaProducer(
        bootstrap_servers=bootstrap,
        value_serializer=lambda v: json.dumps(v).encode("utf-8"),
    )
    sent = [producer.send(topic, message) for message in events(count)]
    producer.flush()
    producer.close()
    offsets = sorted(future.get(10).offset for future in sent)
    assert offsets == list(range(count)), offsets[:5]


def read_all(bootstrap, topic, count, **options):
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        value_deserializer=json.loads,
        consumer_timeout_ms=15_000,
        **options,
    )
    found = []
    for record in consumer:
        found.append(record.value["number"])
        if len(found) == count:
            break
    return consumer, found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    bootstrap = parser.parse_args().bootstrap
    topic = f"kp-{uuid.uuid4().hex[:8]}"

    seed_producer(bootstrap, topic, 200)
    print("OK seed producer: 200 events to a topic that was not there")

    consumer, found = read_all(bootstrap, topic, 200)
    consumer.close()
    assert found == list(range(200)), found[:5]
    print("OK consumer without a group reads all in order")

    group = f"{topic}-readers"
    consumer, found = read_all(bootstrap, topic, 200, group_id=group, enable_auto_commit=False)
    assert found == list(range(200))
    place = TopicPartition(topic, 0)
    consumer.commit({place: OffsetAndMetadata(150, "half way", -1)})
    consumer.close()
    consumer, found = read_all(bootstrap, topic, 50, group_id=group, enable_auto_commit=False)
    assert found == list(range(150, 200)), found[:5]
    assert consumer.committed(place) == 150
    consumer.close()
    print("OK consumer group resumes at the committed offset")

    # kafka-python compresses with what happens to be installed; gzip always is.
    optional = [("lz4", codec.has_lz4()), ("snappy", codec.has_snappy()), ("zstd", codec.has_zstd())]
    for acks, compression in [(0, None), (1, "gzip"), ("all", "gzip")] + [("all", name) for name, there in optional if there]:
        name = f"{topic}-{acks}-{compression}"
        options = {} if acks == "all" else {"enable_idempotence": False}
        producer = KafkaProducer(bootstrap_servers=bootstrap, acks=acks, compression_type=compression, linger_ms=5, **options)
        for number in range(100):
            producer.send(name, json.dumps({"number": number}).encode(), key=b"k")
        producer.flush()
        producer.close()
        consumer, found = read_all(bootstrap, name, 100)
        consumer.close()
        assert found == list(range(100)), (name, found[:5])
        print(f"OK acks={acks} compression={compression}")

    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    name = f"{topic}-admin"
    admin.create_topics([NewTopic(name, num_partitions=3, replication_factor=1)])
    admin.create_partitions({name: NewPartitions(total_count=5)})
    consumer = KafkaConsumer(bootstrap_servers=bootstrap)
    assert consumer.partitions_for_topic(name) == {0, 1, 2, 3, 4}
    places = [TopicPartition(topic, 0)]
    assert consumer.beginning_offsets(places)[places[0]] == 0
    assert consumer.end_offsets(places)[places[0]] == 200
    assert consumer.offsets_for_times({places[0]: 0})[places[0]].offset == 0
    consumer.close()
    admin.delete_topics([name])
    admin.close()
    print("OK admin: create, extend, list and delete a topic; offsets and timestamps")


if __name__ == "__main__":
    main()
