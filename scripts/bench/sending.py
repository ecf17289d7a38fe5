"""A producer that loses nothing: it waits while its queue is full, and ends with an error if a message did not arrive."""

import sys

from confluent_kafka import Producer


class Sender:
    def __init__(self, bootstrap, topic):
        self.topic, self.sent, self.failed = topic, 0, []
        self.producer = Producer({
            "bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 20, "compression.type": "lz4",
            "queue.buffering.max.messages": 1_000_000,
        })

    def send(self, partition, value):
        while True:
            try:
                self.producer.produce(self.topic, value, partition=partition, on_delivery=self.arrived)
                break
            except BufferError:
                self.producer.poll(0.01)
        self.sent += 1
        if self.sent % 1000 == 0:
            self.producer.poll(0)

    def arrived(self, error, _):
        if error:
            self.failed.append(error)

    def end(self):
        left = self.producer.flush(60)
        print(self.sent, flush=True)
        sys.exit(1 if self.failed or left else 0)
