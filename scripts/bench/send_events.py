"""Sends the plant's events at a steady rate, each with the time at which it was handed to the producer.

    scripts/services/python.sh scripts/bench/send_events.py BOOTSTRAP TOPIC RATE SECONDS

Ends with 1 if it could not keep the rate.
"""

import random
import sys

from sending import steadily

numbers = random.Random(1)
readings = [
    (numbers.randint(1, 1000), numbers.randint(2000, 8000) / 100, numbers.randint(3000, 9000) / 100)
    for _ in range(10_000)
]


def event(number, now):
    device, temperature, humidity = readings[number % len(readings)]
    return (
        f'{{"device_id": "device_{device}", "temperature": {temperature}, "humidity": {humidity}, '
        f'"timestamp": {now // 1_000_000}, "sent": {now}}}'
    )


bootstrap, topic, rate, seconds = sys.argv[1:]
steadily(bootstrap, topic, int(rate), float(seconds), event)
