"""Sends the plant's events at a steady rate, each with the time at which it was handed to the producer.

    scripts/services/python.sh scripts/bench/send_events.py BOOTSTRAP TOPIC RATE SECONDS

Ends with 1 if it could not keep the rate: a latency at another rate is another measurement.
"""

import random
import sys
import time

from confluent_kafka import Producer

bootstrap, topic, rate, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
# No lingering: the wait of a producer that collects would be counted as the engine's.
producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 0, "compression.type": "lz4"})
numbers = random.Random(1)
total = int(rate * seconds)
readings = [
    (numbers.randint(1, 1000), numbers.randint(2000, 8000) / 100, numbers.randint(3000, 9000) / 100)
    for _ in range(10_000)
]
failed = []
began = time.monotonic()
sent = 0
while sent < total:
    due = min(total, int((time.monotonic() - began) * rate))
    while sent < due:
        device, temperature, humidity = readings[sent % len(readings)]
        now = time.time_ns() // 1000
        value = (
            f'{{"device_id": "device_{device}", "temperature": {temperature}, "humidity": {humidity}, '
            f'"timestamp": {now // 1_000_000}, "sent": {now}}}'
        )
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
