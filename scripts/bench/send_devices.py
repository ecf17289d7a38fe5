"""Sends events of two devices each at a steady rate of rows, each with the time at which it was handed to the producer.

    scripts/services/python.sh scripts/bench/send_devices.py BOOTSTRAP TOPIC ROWS_A_SECOND SECONDS

Ends with 1 if it could not keep the rate.
"""

import sys
import uuid

from sending import steadily

EACH = 2  # devices of an event
ids = [str(uuid.UUID(int=number)) for number in range(10_000)]


def event(number, now):
    devices = ", ".join(
        f'{{"deviceId": "D{(number + which) % 1000:03}", "temperature": {number % 60 + which / 10}, "measure": "C", "status": "SUCCESS"}}'
        for which in range(EACH)
    )
    return (
        f'{{"eventId": "{ids[number % len(ids)]}", "eventOffset": {number}, "eventPublisher": "device", "customerId": "CI00103", '
        f'"data": {{"devices": [{devices}]}}, "eventTime": "2023-01-05 11:13:53.643364", "sent": {now}}}'
    )


bootstrap, topic, rate, seconds = sys.argv[1:]
steadily(bootstrap, topic, int(rate) // EACH, float(seconds), event)
