"""Prints what comes into the queue 'hello', until Ctrl-C."""
import os

import pika


def on_message(channel, method, properties, body):
    print(f"received {body.decode()}", flush=True)


connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672")))
channel = connection.channel()
# Declaring is idempotent: whoever starts first makes the queue.
channel.queue_declare("hello")
channel.basic_consume("hello", on_message, auto_ack=True)
print("waiting for messages", flush=True)
try:
    channel.start_consuming()
except KeyboardInterrupt:
    connection.close()
