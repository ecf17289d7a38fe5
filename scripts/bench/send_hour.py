"""Sends an hour of devices: scripts/services/python.sh scripts/bench/send_hour.py BOOTSTRAP TOPIC DEVICES SECONDS

One message a device and second, a past hour, spread over the topic's four partitions.
"""

import sys

from sending import Sender

bootstrap, topic = sys.argv[1:3]
devices, seconds = map(int, sys.argv[3:])
NOON = 1_763_640_000  # of a day that is past
sender = Sender(bootstrap, topic)
for second in range(seconds):
    for device in range(devices):
        noise = (sender.sent * 7919) % 10_007 / 100
        sender.send(device % 4, (
            f'{{"device_id": "device_{device}", "temperature": {20 + noise}, "humidity": {90 - noise / 2}, '
            f'"timestamp": {NOON + second}}}'
        ))
sender.end()
