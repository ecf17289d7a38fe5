"""Sends what keeps state busy: scripts/services/python.sh scripts/bench/send_keys.py BOOTSTRAP TOPIC KEYS CHANGES EPOCHS

One message of each key, then for each epoch one of each of CHANGES keys, which lie evenly among all; all of one day, into
the topic's only partition. An epoch of CHANGES messages so changes exactly that many keys.
"""

import sys

from sending import Sender

bootstrap, topic = sys.argv[1:3]
keys, changes, epochs = map(int, sys.argv[3:])
NOON = 1_763_640_000  # of a day that is past
sender = Sender(bootstrap, topic)


def send(key):
    noise = (sender.sent * 7919) % 10_007 / 100
    sender.send(0, f'{{"key": "machine_{key:08}", "reading": {noise}, "timestamp": {NOON + sender.sent // 10_000}}}')


for key in range(keys):
    send(key)
for epoch in range(epochs):
    for change in range(changes):
        send((change * (keys // changes) + epoch) % keys)
sender.end()
