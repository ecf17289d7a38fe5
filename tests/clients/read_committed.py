"""What a reader of committed records sees of a topic now: one JSON line for each record, in the order of its partition.

    read_committed.py --bootstrap HOST:PORT --topic NAME [--all]

Ends at the last stable offset of each partition; --all reads those of open and aborted transactions too. Keys, values and
headers are texts; what is no UTF-8 is shown as `hex:…`. With --delete-group NAME or --add-partitions N it does that instead.
"""

import argparse
import json
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions


def text(raw):
    if raw is None:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "hex:" + raw.hex()


def read(arguments):
    consumer = Consumer(
        {
            "bootstrap.servers": arguments.bootstrap,
            "group.id": "read-committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_uncommitted" if arguments.all else "read_committed",
        }
    )
    found = consumer.list_topics(arguments.topic, timeout=20).topics[arguments.topic]
    partitions = sorted(found.partitions)
    if found.error is not None or not partitions:
        consumer.close()
        return
    consumer.assign([TopicPartition(arguments.topic, number, OFFSET_BEGINNING) for number in partitions])
    left = set(partitions)
    while left:
        message = consumer.poll(20)
        if message is None:
            sys.exit("no answer from the broker within 20 s")
        if message.error():
            if message.error().code() != KafkaError._PARTITION_EOF:
                sys.exit(str(message.error()))
            left.discard(message.partition())
            continue
        headers = [[key, text(value)] for key, value in message.headers() or []]
        record = {
            "partition": message.partition(),
            "offset": message.offset(),
            "key": text(message.key()),
            "value": text(message.value()),
            "headers": headers,
        }
        print(json.dumps(record))
    consumer.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--delete-group")
    parser.add_argument("--add-partitions", type=int)
    arguments = parser.parse_args()
    admin = AdminClient({"bootstrap.servers": arguments.bootstrap})
    if arguments.delete_group:
        for done in admin.delete_consumer_groups([arguments.delete_group]).values():
            done.result()
    elif arguments.add_partitions:
        for done in admin.create_partitions([NewPartitions(arguments.topic, arguments.add_partitions)]).values():
            done.result()
    else:
        read(arguments)


main()
