#!/usr/bin/env python3
"""Transactions through confluent-kafka (librdkafka) and kafka-python: commits, aborts, fencing, offsets, read_committed.

    scripts/services/python.sh tests/clients/transactions.py --bootstrap 127.0.0.1:9092

Prints one OK line per scenario on stdout; any failure ends it with a traceback and exit code 1.
"""

import argparse
import time
import uuid

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from kafka import KafkaConsumer, KafkaProducer


def producer_of(bootstrap, name, **options):
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": name, **options})
    producer.init_transactions(30)
    return producer


def write(producer, topic, values, partition=0):
    for value in values:
        producer.produce(topic, value.encode(), partition=partition)
    assert producer.flush(30) == 0


def read(bootstrap, topic, partitions=1, isolation="read_committed"):
    """Values of the topic's partitions, one list each, up to their ends."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "x", "isolation.level": isolation, "enable.partition.eof": True, "enable.auto.commit": False})
    found = [[] for _ in range(partitions)]
    consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
    at_end, deadline = set(), time.time() + 30
    while len(at_end) < partitions:
        assert time.time() < deadline, f"only {found}"
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error():
            assert message.error().name() == "_PARTITION_EOF", message.error()
            at_end.add(message.partition())
        else:
            found[message.partition()].append(message.value().decode())
    consumer.close()
    return found


def read_with_kafka_python(bootstrap, topic, isolation="read_committed"):
    consumer = KafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", isolation_level=isolation, consumer_timeout_ms=3000)
    found = [record.value.decode() for record in consumer]
    consumer.close()
    return found


def commits_and_aborts(bootstrap, topic):
    a, b = producer_of(bootstrap, f"{topic}-a"), producer_of(bootstrap, f"{topic}-b")
    kept = []
    for number in range(3):
        a.begin_transaction()
        b.begin_transaction()
        write(a, topic, [f"void-{number}-{i}" for i in range(30)])
        write(b, topic, [f"kept-{number}-{i}" for i in range(20)])
        write(a, topic, [f"void-{number}"])
        a.abort_transaction(30)
        b.commit_transaction(30)
        a.begin_transaction()
        write(a, topic, [f"after-{number}"])
        a.commit_transaction(30)
        kept += [f"kept-{number}-{i}" for i in range(20)] + [f"after-{number}"]
    b.begin_transaction()
    write(b, topic, ["open"])
    plain = Producer({"bootstrap.servers": bootstrap})
    write(plain, topic, ["behind"])
    assert read(bootstrap, topic) == [kept]
    assert read_with_kafka_python(bootstrap, topic) == kept
    everything = read(bootstrap, topic, isolation="read_uncommitted")[0]
    assert len(everything) == len(kept) + 3 * 31 + 2, len(everything)
    b.commit_transaction(30)
    kept += ["open", "behind"]
    assert read(bootstrap, topic) == [kept]
    assert read_with_kafka_python(bootstrap, topic) == kept
    print("OK librdkafka: committed, aborted and open transactions, read by librdkafka and kafka-python")


def whole_over_partitions(bootstrap, topic):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, num_partitions=4)])[topic].result(10)
    producer = producer_of(bootstrap, f"{topic}-p", **{"compression.type": "lz4"})
    for number in range(10):
        producer.begin_transaction()
        for i in range(400):
            producer.produce(topic, f"{number}".encode(), partition=i % 4)
        producer.commit_transaction(30) if number % 2 else producer.abort_transaction(30)
    expected = [str(number) for number in (1, 3, 5, 7, 9) for _ in range(100)]
    assert read(bootstrap, topic, 4) == [expected] * 4
    print("OK librdkafka: transactions over four partitions")


def fencing(bootstrap, topic):
    old = producer_of(bootstrap, f"{topic}-p")
    old.begin_transaction()
    write(old, topic, ["void"])
    new = producer_of(bootstrap, f"{topic}-p")
    new.begin_transaction()
    write(new, topic, ["kept"])
    new.commit_transaction(30)
    try:
        old.produce(topic, b"zombie", partition=0)
        old.commit_transaction(30)
    except KafkaException as refused:
        assert refused.args[0].fatal(), refused
        assert refused.args[0].name() in ("_FENCED", "INVALID_PRODUCER_EPOCH", "_FATAL"), refused
    else:
        raise AssertionError("the older producer committed")
    assert read(bootstrap, topic) == [["kept"]]
    print("OK librdkafka: a newer producer shuts the older one out")


def consume_and_produce(bootstrap, topic):
    source, target, group = f"{topic}-in", f"{topic}-out", f"{topic}-group"
    plain = Producer({"bootstrap.servers": bootstrap})
    write(plain, source, [str(number) for number in range(100)])
    options = {"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    for round_ in range(2):
        consumer = Consumer(options)
        consumer.subscribe([source])
        producer = producer_of(bootstrap, f"{topic}-p")
        for step in range(4):
            producer.begin_transaction()
            messages = []
            while len(messages) < 10:
                messages += [message for message in consumer.consume(10 - len(messages), 1) if not message.error()]
            for message in messages:
                producer.produce(target, message.value(), partition=0)
            producer.send_offsets_to_transaction(consumer.position(consumer.assignment()), consumer.consumer_group_metadata(), 30)
            if step == 3:
                # What was read comes again: neither its records nor its offsets count.
                producer.abort_transaction(30)
            else:
                producer.commit_transaction(30)
        consumer.close()
    assert read(bootstrap, target) == [[str(number) for number in range(60)]]
    consumer = Consumer(options)
    assert consumer.committed([TopicPartition(source, 0)], 30)[0].offset == 60
    consumer.close()
    print("OK librdkafka: records and the group's offsets in one transaction")


def timeout(bootstrap, topic):
    producer = producer_of(bootstrap, f"{topic}-p", **{"transaction.timeout.ms": 2000})
    producer.begin_transaction()
    write(producer, topic, ["void"])
    plain = Producer({"bootstrap.servers": bootstrap})
    write(plain, topic, ["behind"])
    deadline = time.time() + 20
    while read(bootstrap, topic) != [["behind"]]:
        assert time.time() < deadline, "the transaction stays open"
        time.sleep(0.5)
    try:
        producer.commit_transaction(30)
    except KafkaException:
        pass
    else:
        raise AssertionError("a transaction that was timed out was committed")
    print("OK librdkafka: a transaction ends when its time is up")


def kafka_python(bootstrap, topic):
    options = {"bootstrap_servers": bootstrap, "transactional_id": f"{topic}-kp"}
    producer = KafkaProducer(**options)
    producer.init_transactions()
    for number in range(6):
        producer.begin_transaction()
        for i in range(50):
            producer.send(topic, f"{number}-{i}".encode(), partition=0)
        producer.commit_transaction() if number % 2 else producer.abort_transaction()
    producer.begin_transaction()
    producer.send(topic, b"open", partition=0).get(30)
    expected = [f"{number}-{i}" for number in (1, 3, 5) for i in range(50)]
    assert read_with_kafka_python(bootstrap, topic) == expected
    assert read(bootstrap, topic) == [expected]
    newer = KafkaProducer(**options)
    newer.init_transactions()
    newer.begin_transaction()
    newer.send(topic, b"newer", partition=0).get(30)
    newer.commit_transaction()
    try:
        producer.commit_transaction()
    except Exception as refused:
        assert "Fenced" in type(refused).__name__ or "Epoch" in type(refused).__name__ or "Fenced" in str(refused), repr(refused)
    else:
        raise AssertionError("the older producer committed")
    assert read_with_kafka_python(bootstrap, topic) == expected + ["newer"]
    newer.close()
    print("OK kafka-python: commits, aborts, and a newer producer")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    bootstrap = parser.parse_args().bootstrap
    for scenario in (commits_and_aborts, whole_over_partitions, fencing, consume_and_produce, timeout, kafka_python):
        scenario(bootstrap, f"txn-{uuid.uuid4().hex[:8]}")


if __name__ == "__main__":
    main()
