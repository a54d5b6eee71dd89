"""A publisher and a consumer under a memory alarm. Prints what the publisher hears and what the consumer gets, as it happens.

Usage: blocked.py PORT
"""
import sys

import pika


def connect():
    return pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", int(sys.argv[1])))


def say(*words):
    print(*words, flush=True)


heard = []
publisher = connect()
publisher.add_on_connection_blocked_callback(lambda _, frame: heard.append(f"blocked: {frame.method.reason}"))
publisher.add_on_connection_unblocked_callback(lambda _, frame: heard.append("unblocked"))
channel = publisher.channel()
channel.queue_declare("work", durable=True)
say("declared, heard", heard)


def publish(body):
    channel.basic_publish("", "work", body, pika.BasicProperties(delivery_mode=2))


def hear():
    while not heard:
        publisher.process_data_events(time_limit=30)
    say(heard.pop(0))


publish(b"first")
hear()

consumer = connect()
consuming = consumer.channel()
for method, _, body in consuming.consume("work", inactivity_timeout=30):
    if method is None:
        break
    consuming.basic_ack(method.delivery_tag)
    say("consumed", body.decode())
    if body == b"first":
        publish(b"second")
        say("published behind the alarm")
        hear()
    else:
        break
consumer.close()
publisher.close()
say("closed")
