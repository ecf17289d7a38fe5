"""Sends events of two devices each at a steady rate of rows, each with the time at which it was handed to the producer.

    scripts/services/python.sh scripts/bench/send_devices.py BOOTSTRAP TOPIC ROWS_A_SECOND SECONDS

Ends with 1 if it could not keep the rate: a latency at another rate is another measurement.
"""

import sys
import time
import uuid

from confluent_kafka import Producer

EACH = 2  # devices of an event
bootstrap, topic, rate, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]) // EACH, float(sys.argv[4])
# No lingering: the wait of a producer that collects would be counted as the engine's.
producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 0, "compression.type": "lz4"})
total = int(rate * seconds)
ids = [str(uuid.UUID(int=number)) for number in range(10_000)]
failed = []
began = time.monotonic()
sent = 0
while sent < total:
    due = min(total, int((time.monotonic() - began) * rate))
    while sent < due:
        now = time.time_ns() // 1000
        devices = ", ".join(
            f'{{"deviceId": "D{(sent + which) % 1000:03}", "temperature": {sent % 60 + which / 10}, "measure": "C", "status": "SUCCESS"}}'
            for which in range(EACH)
        )
        value = (
            f'{{"eventId": "{ids[sent % len(ids)]}", "eventOffset": {sent}, "eventPublisher": "device", "customerId": "CI00103", '
            f'"data": {{"devices": [{devices}]}}, "eventTime": "2023-01-05 11:13:53.643364", "sent": {now}}}'
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
