"""paho-mqtt against the MQTT end point: HOST PORT. What a client of both versions may count on; each check asserts.

The end point keeps retained state, routes `plant/` and not `nowhere/`, lets nobody to `private/`, and takes MQTT_USER and MQTT_PASSWORD, if they
are set. Prints an OK line for each check.
"""

import os
import queue
import sys
import time
import uuid

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

HOST, PORT = sys.argv[1], int(sys.argv[2])
RUN = "paho-" + uuid.uuid4().hex[:8]
TOP = "plant/" + RUN
PATIENCE = 60


class Client:
    def __init__(self, name, v5=True, clean=True, expiry=0, will=None, **more):
        self.messages, self.acks, self.ends, self.connacks = (queue.Queue() for _ in range(4))
        version = mqtt.MQTTv5 if v5 else mqtt.MQTTv311
        clean_session = {} if v5 else {"clean_session": clean}
        self.c = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=version, **clean_session)
        self.c.on_message = lambda c, u, m: self.messages.put(m)
        self.c.on_publish = lambda c, u, mid, code, props: self.acks.put((mid, code))
        self.c.on_subscribe = lambda c, u, mid, codes, props: self.acks.put((mid, codes))
        self.c.on_disconnect = lambda c, u, flags, code, props: self.ends.put(code)
        self.c.on_connect = lambda c, u, flags, code, props: self.connacks.put((flags, code, props))
        if "MQTT_USER" in os.environ:
            self.c.username_pw_set(os.environ["MQTT_USER"], os.environ["MQTT_PASSWORD"])
        if will:
            self.c.will_set(*will)
        properties = None
        if v5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = expiry
            for key, value in more.items():
                setattr(properties, key, value)
        start = {"clean_start": clean, "properties": properties} if v5 else {}
        self.c.reconnect_delay_set(60, 60)
        self.c.connect(HOST, PORT, 30, **start)
        self.c.loop_start()
        self.flags, self.code, self.properties = self.connacks.get(timeout=PATIENCE)

    def publish(self, topic, payload, qos=1, **more):
        info = self.c.publish(topic, payload, qos, **more)
        while True:
            mid, code = self.acks.get(timeout=PATIENCE)
            if mid == info.mid:
                return code

    def subscribe(self, topic, **more):
        _, mid = self.c.subscribe(topic, **more)
        while True:
            got, codes = self.acks.get(timeout=PATIENCE)
            if got == mid:
                return [code.value for code in codes]

    def next(self):
        return self.messages.get(timeout=PATIENCE)

    def quiet(self):
        time.sleep(0.3)
        assert self.messages.empty(), self.messages.get().payload

    def close(self):
        self.c.disconnect()
        self.c.loop_stop()

    def die(self):
        """Without DISCONNECT."""
        self.c.loop_stop()
        self.c._sock_close()


def both_ways(v5):
    reader, device = Client(RUN + "-r", v5), Client(RUN + "-d", v5)
    assert reader.subscribe(TOP + "/a/#", qos=2) == [2]
    for qos in (0, 1, 2):
        for number in range(100):
            device.c.publish(f"{TOP}/a/{qos}", str(number), qos)
        assert [int(reader.next().payload) for _ in range(100)] == list(range(100)), qos
    reader.close(), device.close()


def sessions(v5):
    name = RUN + "-s"
    reader = Client(name, v5, clean=False, expiry=60)
    assert not reader.flags.session_present
    reader.subscribe(TOP + "/s", qos=1)
    reader.die()
    device = Client(RUN + "-d", v5)
    device.publish(TOP + "/s", "kept", 1)
    reader = Client(name, v5, clean=False, expiry=60)
    assert reader.flags.session_present
    assert reader.next().payload == b"kept"
    other = Client(name, v5, clean=True)
    assert not other.flags.session_present
    code = reader.ends.get(timeout=PATIENCE)
    assert not v5 or code.value == 0x8E, code
    reader.c.loop_stop(), other.close(), device.close()


def retained_and_wills(v5):
    device = Client(RUN + "-d", v5, will=(TOP + "/will", "gone", 1, False))
    device.publish(TOP + "/state", "on", 1, retain=True)
    reader = Client(RUN + "-r", v5)
    reader.subscribe([(TOP + "/state", 1), (TOP + "/will", 1)] if not v5 else [
        (TOP + "/state", SubscribeOptions(qos=1)), (TOP + "/will", SubscribeOptions(qos=1))])
    message = reader.next()
    assert message.payload == b"on" and message.retain
    device.die()
    assert reader.next().payload == b"gone"
    reader.publish(TOP + "/state", "", 1, retain=True)
    reader.close()


def only_in_5():
    device = Client("", ReceiveMaximum=5)
    assert device.properties.AssignedClientIdentifier
    assert device.properties.TopicAliasMaximum > 0 and device.properties.ReceiveMaximum > 0
    assert device.publish("nowhere/x", "x", 1).value == 0x90
    # paho does not look at a PUBREC's reason and sends PUBREL all the same: what it hears then is that there is no such id.
    assert device.publish("private/x", "x", 2).value in (0x87, 0x92)
    assert device.publish("private/x", "x", 1).value == 0x87
    assert device.subscribe("private/#") == [0x87]
    device.subscribe(TOP + "/own", options=SubscribeOptions(qos=1, noLocal=True))
    device.publish(TOP + "/own", "x")
    device.quiet()
    reader = Client(RUN + "-r5")
    identified = Properties(PacketTypes.SUBSCRIBE)
    identified.SubscriptionIdentifier = 42
    reader.subscribe(TOP + "/p/+", options=SubscribeOptions(qos=2), properties=identified)
    sent = Properties(PacketTypes.PUBLISH)
    sent.UserProperty = [("k", "v"), ("k", "w")]
    sent.ContentType, sent.ResponseTopic, sent.CorrelationData = "text/plain", TOP + "/answer", b"\x00\x01"
    sent.MessageExpiryInterval, sent.TopicAlias = 60, 3
    device.publish(TOP + "/p/1", "x", 2, properties=sent)
    got = reader.next().properties
    assert got.UserProperty == [("k", "v"), ("k", "w")] and got.ContentType == "text/plain"
    assert got.ResponseTopic == TOP + "/answer" and got.CorrelationData == b"\x00\x01"
    assert got.SubscriptionIdentifier == [42] and 55 <= got.MessageExpiryInterval <= 60
    assert not hasattr(got, "TopicAlias")
    one, two = Client(RUN + "-g1"), Client(RUN + "-g2")
    for member in (one, two):
        member.subscribe(f"$share/g/{TOP}/shared", qos=1)
    for number in range(20):
        device.publish(TOP + "/shared", str(number))
    assert {one.next().payload for _ in range(10)} | {two.next().payload for _ in range(10)} == {b"%d" % n for n in range(20)}
    one.quiet(), two.quiet()
    for client in (device, reader, one, two):
        client.close()


for v5 in (False, True):
    for check in both_ways, sessions, retained_and_wills:
        check(v5)
        print("OK", check.__name__, "5.0" if v5 else "3.1.1", flush=True)
only_in_5()
print("OK only_in_5")
