"""Sends the plant's events at a steady rate; one in 200 is of a watched device, which is too hot every second time that it speaks.

    scripts/services/python.sh scripts/bench/send_alarms.py BOOTSTRAP TOPIC RATE SECONDS

Each event holds the time at which it was handed to the producer. Ends with 1 if it could not keep the rate.
"""

import sys

from sending import steadily

EVERY, WATCHED = 200, 100  # each watched device speaks once a second at 20,000 events a second


def event(number, now):
    turn, rest = divmod(number, EVERY)
    lap, device = divmod(turn, WATCHED)
    name, temperature = (f"watched_{device}", 80.5 if lap % 2 else 40.5) if rest == 0 else (f"device_{number % 997}", 20 + number % 3900 / 100)
    return (
        f'{{"device_id": "{name}", "temperature": {temperature}, "humidity": 50.0, "timestamp": {now // 1_000_000}, "sent": {now}}}'
    )


bootstrap, topic, rate, seconds = sys.argv[1:]
steadily(bootstrap, topic, int(rate), float(seconds), event)
