"""Makes a topic: scripts/services/python.sh scripts/bench/make_topic.py BOOTSTRAP TOPIC PARTITIONS [CONFIG=VALUE …]"""

import sys

from confluent_kafka.admin import AdminClient, NewTopic

bootstrap, topic, partitions, *pairs = sys.argv[1:]
client = AdminClient({"bootstrap.servers": bootstrap})
wanted = NewTopic(topic, int(partitions), 1, config=dict(pair.split("=", 1) for pair in pairs))
for done in client.create_topics([wanted]).values():
    done.result(30)
