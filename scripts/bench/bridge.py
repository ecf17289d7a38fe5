"""Carries messages of an MQTT broker to a topic of Kafka, as people write it: scripts/services/mqtt-python.sh scripts/bench/bridge.py MQTT KAFKA TOPIC

Prints `ready` once it is subscribed, then twice a second the time and how many messages Kafka has acknowledged.
"""

import sys
import time

import paho.mqtt.client as mqtt
from confluent_kafka import Producer

broker, bootstrap, topic = sys.argv[1:]
producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 5, "compression.type": "lz4", "queue.buffering.max.messages": 1_000_000})
delivered = 0


def arrived(error, _):
    global delivered
    if error:
        sys.exit(f"not delivered: {error}")
    delivered += 1


def on_message(client, _, message):
    while True:
        try:
            producer.produce(topic, message.payload, key=message.topic, on_delivery=arrived)
            break
        except BufferError:
            producer.poll(0.01)
    producer.poll(0)


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="bridge")
client.on_message = on_message
client.on_subscribe = lambda *_: print("ready", flush=True)
client.connect(broker.split(":")[0], int(broker.split(":")[1]))
client.subscribe("load/#", qos=1)
client.loop_start()
while True:
    time.sleep(0.5)
    producer.poll(0)
    if delivered:
        print(time.time(), delivered, flush=True)
