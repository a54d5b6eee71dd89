"""Prints events whose key matches a pattern, until Ctrl-C. Usage: topic_receive.py PATTERN...

In a pattern * stands for exactly one word, # for any number of words, none included.
"""
import os
import sys

import pika


def on_event(channel, method, properties, body):
    print(f"{method.routing_key}: {body.decode()}", flush=True)


connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672")))
channel = connection.channel()
channel.exchange_declare("events", exchange_type="topic")
queue = channel.queue_declare("", exclusive=True).method.queue
for pattern in sys.argv[1:]:
    channel.queue_bind(queue, "events", routing_key=pattern)
channel.basic_consume(queue, on_event, auto_ack=True)
print("listening for " + " ".join(sys.argv[1:]), flush=True)
try:
    channel.start_consuming()
except KeyboardInterrupt:
    connection.close()
