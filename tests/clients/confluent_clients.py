#!/usr/bin/env python3
"""confluent-kafka (librdkafka): idempotent producer, consumer groups, admin.

    scripts/services/python.sh tests/clients/confluent_clients.py --bootstrap 127.0.0.1:9092

Prints one OK line per scenario on stdout; any failure ends it with a traceback and exit code 1.
"""

import argparse
import time
import uuid

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic


def produce(bootstrap, topic, count, **options):
    errors = []
    producer = Producer({"bootstrap.servers": bootstrap, **options})
    for number in range(count):
        producer.produce(topic, str(number).encode(), key=str(number % 10), on_delivery=lambda e, _: e and errors.append(e))
        producer.poll(0)
    assert producer.flush(30) == 0, "not everything was delivered"
    assert not errors, errors[:3]


def consumer_of(bootstrap, group, **options):
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "session.timeout.ms": 6000,
            **options,
        }
    )


def read(consumers, count, seconds=30):
    """Values from all consumers in turn, until there are as many as wanted."""
    found, deadline = [], time.time() + seconds
    while len(found) < count and time.time() < deadline:
        for consumer in consumers:
            message = consumer.poll(0.05)
            if message is not None:
                if message.error():
                    raise KafkaException(message.error())
                found.append(int(message.value()))
    return found


def done(futures):
    return {key: future.result(10) for key, future in futures.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    bootstrap = parser.parse_args().bootstrap
    topic = f"ck-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": bootstrap})

    done(admin.create_topics([NewTopic(topic, num_partitions=4, replication_factor=1)]))
    assert len(admin.list_topics(topic, timeout=10).topics[topic].partitions) == 4
    print("OK admin creates and lists a topic")

    produce(bootstrap, topic, 5_000, **{"enable.idempotence": True, "linger.ms": 5})
    print("OK idempotent producer")

    group = f"{topic}-readers"
    first, second = consumer_of(bootstrap, group), consumer_of(bootstrap, group)
    first.subscribe([topic])
    found = read([first], 1)
    second.subscribe([topic])
    deadline = time.time() + 30
    while time.time() < deadline and not (len(first.assignment()) == 2 and len(second.assignment()) == 2):
        found += read([first, second], 1, 0.2)
    assert len(first.assignment()) == 2 and len(second.assignment()) == 2, "the partitions were not shared"
    # What the first had read before the second came, and did not commit, is read again.
    found += read([first, second], 10_000, 8)
    assert set(found) == set(range(5_000)), f"{len(set(found))} of 5000"
    for consumer in (first, second):
        consumer.commit(asynchronous=False)
        consumer.close()
    print("OK two members share four partitions and commit")

    third = consumer_of(bootstrap, group)
    places = third.committed([TopicPartition(topic, p) for p in range(4)], timeout=10)
    assert sum(place.offset for place in places) == 5_000, places
    third.subscribe([topic])
    assert read([third], 1, 3) == []
    produce(bootstrap, topic, 10)
    assert sorted(read([third], 10)) == list(range(10))
    third.close()
    print("OK the group resumes where it committed")

    for compression in ("gzip", "lz4", "snappy", "zstd"):
        name = f"{topic}-{compression}"
        produce(bootstrap, name, 500, **{"compression.type": compression, "linger.ms": 20})
        consumer = consumer_of(bootstrap, f"{name}-readers")
        consumer.subscribe([name])
        assert read([consumer], 500) == list(range(500)), compression
        consumer.close()
        print(f"OK compression {compression}")

    consumer = consumer_of(bootstrap, "nobody")
    assert consumer.get_watermark_offsets(TopicPartition(f"{topic}-lz4", 0), timeout=10) == (0, 500)
    [place] = consumer.offsets_for_times([TopicPartition(f"{topic}-lz4", 0, 1)], timeout=10)
    assert place.offset == 0
    consumer.close()
    print("OK watermarks and timestamps")

    produce(bootstrap, f"{topic}-none", 100, acks=0)
    consumer = consumer_of(bootstrap, f"{topic}-none-readers")
    consumer.subscribe([f"{topic}-none"])
    assert read([consumer], 100) == list(range(100))
    consumer.close()
    print("OK acks=0")

    done(admin.create_partitions([NewPartitions(topic, 6)]))
    configs = done(admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)]))
    [entries] = configs.values()
    assert entries["cleanup.policy"].value == "delete"
    assert group in {listed.group_id for listed in admin.list_consumer_groups().result(10).valid}
    described = done(admin.describe_consumer_groups([group]))[group]
    assert described.state.name == "EMPTY", described.state
    done(admin.delete_consumer_groups([group]))
    done(admin.delete_topics([topic]))
    print("OK admin: partitions, configs, groups, deletion")


if __name__ == "__main__":
    main()
