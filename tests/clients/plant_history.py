"""Three machines of a plant, as their last quarter of an hour and on from there: BOOTSTRAP TOPIC [SECONDS].

The messages are the seed's; values wander as those of real machines do. device_2 overheats some minutes before now.
"""

import json
import math
import random
import sys
import time

from kafka import KafkaProducer

bootstrap, topic = sys.argv[1:3]
seconds = float(sys.argv[3]) if len(sys.argv) > 3 else math.inf
producer = KafkaProducer(bootstrap_servers=bootstrap, value_serializer=lambda value: json.dumps(value).encode())
chance = random.Random(7)
start = time.time()


def send(device, at):
    phase, age = device * 2.1, at - start
    heat = 38 * math.exp(-((age + 290) / 45) ** 2) if device == 2 else 0
    temperature = 46 + 4 * math.sin(age / 95 + phase) + 2 * math.sin(age / 31 + 2 * phase) + heat + chance.gauss(0, 0.4)
    humidity = 54 + 5 * math.sin(age / 210 + phase / 2) - heat / 4 + chance.gauss(0, 0.5)
    message = {
        "device_id": f"device_{device}", "temperature": round(temperature, 2), "humidity": round(humidity, 2), "timestamp": int(at),
    }
    producer.send(topic, message, timestamp_ms=int(at * 1000))


for second in range(-880, 0):
    for device in (1, 2, 3):
        send(device, start + second + device * 0.3)
producer.flush()
print("the past is sent", flush=True)
while time.time() < start + seconds:
    for device in (1, 2, 3):
        send(device, time.time())
        time.sleep(0.1)
producer.flush()
