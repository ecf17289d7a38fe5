"""Writes lines of stdin as records of their own times: BOOTSTRAP TOPIC; a line is `milliseconds key value`."""

import sys

from kafka import KafkaProducer

bootstrap, topic = sys.argv[1:3]
producer = KafkaProducer(bootstrap_servers=bootstrap)
sent = []
for line in sys.stdin:
    at, key, value = line.rstrip("\n").split(" ", 2)
    sent.append(producer.send(topic, value.encode(), key=key.encode(), timestamp_ms=int(at)))
producer.flush()
for record in sent:
    record.get(timeout=60)
