#!/usr/bin/env python3
"""kafka-python and confluent-kafka (librdkafka) on a log that asks who they are.

    scripts/services/python.sh tests/clients/log_access.py WORLD.json

WORLD.json: bootstrap, ca, other_ca, writer, reader, root (each {user, token}); `certificate`, `stranger`, `expired` and `foreign`
(each {cert, key}) where the log asks for certificates. Prints one OK line per scenario on stdout; any failure ends it with a traceback and
exit code 1.
"""

import json
import sys
import time
import uuid

import confluent_kafka
import kafka
import kafka.errors
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

world = json.load(open(sys.argv[1]))
MECHANISMS = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


def ok(*words):
    print("OK", *words, flush=True)


def librdkafka(who=None, mechanism="PLAIN", ca="ca", certificate=None, **more):
    options = {"bootstrap.servers": world["bootstrap"], "ssl.ca.location": world[ca], "security.protocol": "SSL"}
    if who:
        options |= {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": mechanism,
            "sasl.username": who["user"],
            "sasl.password": who["token"],
        }
    if certificate:
        options |= {"ssl.certificate.location": certificate["cert"], "ssl.key.location": certificate["key"]}
    return options | more


def produce(options, topic, values):
    """The codes with which deliveries failed."""
    failed = []
    producer = confluent_kafka.Producer(options | {"message.timeout.ms": 15000})
    for value in values:
        producer.produce(topic, value, on_delivery=lambda error, _: error and failed.append(error.code()))
    assert producer.flush(30) == 0
    return failed


def consume(options, topic, group, count):
    consumer = confluent_kafka.Consumer(options | {"group.id": group, "auto.offset.reset": "earliest", "session.timeout.ms": 6000})
    consumer.subscribe([topic])
    found, end = [], time.time() + 30
    try:
        while len(found) < count and time.time() < end:
            message = consumer.poll(0.2)
            if message is None:
                continue
            if message.error():
                raise KafkaException(message.error())
            found.append(message.value())
        return found
    finally:
        consumer.close()


def refused(options, wanted):
    """The client is not let in, for one of these reasons."""
    seen = []
    admin = AdminClient(options | {"error_cb": lambda error: seen.append(error.code()), "log_level": 0})
    end = time.time() + 20
    while time.time() < end and not set(seen) & set(wanted):
        admin.poll(0)
        try:
            found = admin.list_topics(timeout=1)
            raise AssertionError(f"was let in and saw {list(found.topics)}")
        except KafkaException as error:
            seen.append(error.args[0].code())
    assert set(seen) & set(wanted), f"{seen} and not {wanted}"


def code_of(call):
    try:
        call()
    except KafkaException as error:
        return error.args[0].code()
    return None


def users_of_librdkafka():
    writer, reader, root = world["writer"], world["reader"], world["root"]
    for mechanism in MECHANISMS:
        topic = f"plant.{uuid.uuid4()}"
        values = [str(number).encode() for number in range(50)]
        assert produce(librdkafka(writer, mechanism), topic, values) == []
        assert consume(librdkafka(reader, mechanism), topic, f"board-{topic}", 50) == values
        ok("librdkafka:", mechanism)
        for wrong in ({**writer, "token": reader["token"]}, {**writer, "token": "guess"}, {**writer, "user": "nobody"}):
            refused(librdkafka(wrong, mechanism), [KafkaError._AUTHENTICATION])
        ok("librdkafka: a wrong name or token for", mechanism)
    assert produce(librdkafka(writer), "secret", [b"x"]) == [KafkaError.TOPIC_AUTHORIZATION_FAILED]
    assert produce(librdkafka(reader), topic, [b"x"])[0] in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED)
    assert produce(librdkafka(writer, **{"enable.idempotence": True}), topic, [b"x"]) == []
    denied = code_of(lambda: consume(librdkafka(reader), topic, "other", 1))
    assert denied == KafkaError.GROUP_AUTHORIZATION_FAILED, denied
    denied = code_of(lambda: consume(librdkafka(reader), "secret", "board-x", 1))
    assert denied == KafkaError.TOPIC_AUTHORIZATION_FAILED, denied
    producer = confluent_kafka.Producer(librdkafka(writer, **{"transactional.id": "not-mine"}))
    denied = code_of(lambda: producer.init_transactions(15))
    assert denied == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, denied
    producer = confluent_kafka.Producer(librdkafka(writer, **{"transactional.id": "press-1"}))
    producer.init_transactions(15)
    producer.begin_transaction()
    producer.produce(topic, b"whole")
    producer.commit_transaction(15)
    ok("librdkafka: topics, groups and transactional ids of others are refused")
    admin = AdminClient(librdkafka(reader))
    shown = set(admin.list_topics(timeout=10).topics)
    assert topic in shown and "secret" not in shown, shown
    assert "secret" in AdminClient(librdkafka(root)).list_topics(timeout=10).topics
    new = confluent_kafka.admin.NewTopic("other", 1, 1)
    denied = code_of(lambda: admin.create_topics([new])["other"].result(10))
    assert denied == KafkaError.TOPIC_AUTHORIZATION_FAILED, denied
    ok("librdkafka: topics of others are not shown, and not made")
    refused(librdkafka(writer, ca="other_ca"), [KafkaError._SSL])
    refused({**librdkafka(writer), "security.protocol": "SASL_PLAINTEXT"}, [KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN])
    refused({**librdkafka(), "security.protocol": "PLAINTEXT"}, [KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN])
    refused(librdkafka(), [KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN])
    ok("librdkafka: another authority, plain text and nobody are refused")


def python(who=None, mechanism="PLAIN", ca="ca", certificate=None):
    options = {"bootstrap_servers": world["bootstrap"], "security_protocol": "SSL", "ssl_cafile": world[ca]}
    if who:
        options |= {
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": mechanism,
            "sasl_plain_username": who["user"],
            "sasl_plain_password": who["token"],
        }
    if certificate:
        options |= {"ssl_certfile": certificate["cert"], "ssl_keyfile": certificate["key"]}
    return options


def fails(call, *errors):
    try:
        call()
    except errors as error:
        return error
    raise AssertionError(f"did not fail as {errors}")


def send(options, topic, value=b"x"):
    producer = kafka.KafkaProducer(**options, max_block_ms=8000)
    try:
        return producer.send(topic, value).get(15)
    finally:
        producer.close(5)


def users_of_kafka_python():
    writer, reader = world["writer"], world["reader"]
    for mechanism in MECHANISMS:
        topic = f"plant.{uuid.uuid4()}"
        send(python(writer, mechanism), topic, b"read me")
        consumer = kafka.KafkaConsumer(
            topic, **python(reader, mechanism), group_id=f"board-{topic}", auto_offset_reset="earliest", consumer_timeout_ms=20000
        )
        assert next(consumer).value == b"read me"
        consumer.close()
        ok("kafka-python:", mechanism)
        fails(lambda: send(python({**writer, "token": "guess"}, mechanism), topic), kafka.errors.KafkaError)
        ok("kafka-python: a wrong token for", mechanism)
    fails(lambda: send(python(writer), "secret"), kafka.errors.TopicAuthorizationFailedError)
    fails(lambda: send(python(writer, ca="other_ca"), topic), kafka.errors.KafkaError)
    fails(lambda: send({**python(), "security_protocol": "PLAINTEXT"}, topic), kafka.errors.KafkaError)
    ok("kafka-python: topics of others, another authority and plain text are refused")


def certificates():
    good = world["certificate"]
    topic = f"plant.{uuid.uuid4()}"
    assert produce(librdkafka(certificate=good), topic, [b"x"]) == []
    assert produce(librdkafka(certificate=good), "secret", [b"x"]) == [KafkaError.TOPIC_AUTHORIZATION_FAILED]
    send(python(certificate=good), topic)
    assert produce(librdkafka(certificate=good), topic, [b"x" * 500_000]) == []
    send(python(certificate=good), topic, b"x" * 500_000)
    ok("a certificate stands for its user")
    for other in ("stranger", "expired", "foreign"):
        wanted = [KafkaError._SSL, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN]
        refused(librdkafka(certificate=world[other]), wanted)
        fails(lambda: send(python(certificate=world[other]), topic), kafka.errors.KafkaError)
        ok("a certificate that is", other, "is refused")
    refused(librdkafka(), [KafkaError._SSL, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN])
    refused(librdkafka(world["writer"]), [KafkaError._SSL, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN])
    fails(lambda: send(python(), topic), kafka.errors.KafkaError)
    ok("without a certificate nobody is let in")
    assert produce(librdkafka(world["writer"], certificate=world["stranger"]), topic, [b"x"]) == []
    refused(librdkafka({**world["writer"], "token": "guess"}, certificate=good), [KafkaError._AUTHENTICATION])
    ok("who logs in besides is who logged in, or nobody")


if "certificate" in world:
    certificates()
else:
    users_of_librdkafka()
    users_of_kafka_python()
