"""Producers that lose nothing: one that waits while its queue is full, and one at a steady rate; each ends with an error if a message did not arrive."""

import sys
import time

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


def steadily(bootstrap, topic, rate, seconds, event):
    """Sends `event(number, now)` at a steady rate; `now` is when it is handed to the producer, in microseconds since 1970.

    Ends the program, with 1 if it could not keep the rate: a latency at another rate is another measurement.
    """
    # No lingering: the wait of a producer that collects would be counted as the engine's.
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 0, "compression.type": "lz4"})
    total, sent, failed = int(rate * seconds), 0, []
    began = time.monotonic()
    while sent < total:
        due = min(total, int((time.monotonic() - began) * rate))
        while sent < due:
            value = event(sent, time.time_ns() // 1000)
            while True:
                try:
                    producer.produce(topic, value, on_delivery=lambda error, _: error and failed.append(error))
                    break
                except BufferError:
                    producer.poll(0.001)
            sent += 1
        producer.poll(0)
        time.sleep(0.0005)
    took = time.monotonic() - began
    producer.flush(30)
    print(f"{sent} events in {took:.2f} s, {len(failed)} failed")
    sys.exit(1 if failed or took > seconds * 1.02 else 0)
