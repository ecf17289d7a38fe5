"""Sends a day of many devices: scripts/services/python.sh scripts/bench/send_history.py BOOTSTRAP TOPIC DEVICES

One message a device for each minute of the day, each ten seconds of its last six hours and each half second of the last
quarter of an hour, with record timestamps to match.
Prints how many there were.
"""

import sys
import time

from confluent_kafka import Producer

bootstrap, topic, devices = sys.argv[1], sys.argv[2], int(sys.argv[3])
producer = Producer({
    "bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 20, "compression.type": "lz4", "queue.buffering.max.messages": 1_000_000,
})
failed, sent = [], 0
keys = [f'{{"device_id": "device_{number}", ' for number in range(devices)]


def send(at):
    """One message of each device, `at` ms since 1970."""
    global sent
    for number, key in enumerate(keys):
        noise = (sent * 7919) % 10_007 / 100
        value = f'{key}"temperature": {20 + noise}, "humidity": {90 - noise}, "pressure": {1000 + noise * 3}, "power": {noise * noise}}}'
        while True:
            try:
                producer.produce(topic, value, timestamp=at, on_delivery=lambda error, _: error and failed.append(error))
                break
            except BufferError:
                producer.poll(0.01)
        sent += 1
    producer.poll(0)


for ages, step in (((24 * 3600, 6 * 3600), 60), ((6 * 3600, 900), 10), ((900, 0), 0.5)):
    now = int(time.time() * 1000)  # anew for each width: the seconds must be the last ones when they arrive
    for step_number in range(int((ages[0] - ages[1]) / step)):
        send(now - int((ages[0] - step_number * step) * 1000))
producer.flush(60)
print(sent, flush=True)
sys.exit(1 if failed else 0)
