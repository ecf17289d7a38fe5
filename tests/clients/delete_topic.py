"""Deletes a topic and waits until it is gone."""

import argparse
import time

from kafka.admin import KafkaAdminClient

parser = argparse.ArgumentParser()
parser.add_argument("--bootstrap", required=True)
parser.add_argument("--topic", required=True)
args = parser.parse_args()
admin = KafkaAdminClient(bootstrap_servers=args.bootstrap)
admin.delete_topics([args.topic])
deadline = time.time() + 20
while args.topic in admin.list_topics():
    assert time.time() < deadline, "the topic is still there"
    time.sleep(0.1)
admin.close()
print("OK deleted", args.topic)
