"""Prints every announcement from now on, until Ctrl-C."""
import os

import pika


def on_message(channel, method, properties, body):
    print(f"heard {body.decode()}", flush=True)


connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672")))
channel = connection.channel()
channel.exchange_declare("announcements", exchange_type="fanout")
# A queue of our own: the broker names it, and deletes it when this connection ends.
queue = channel.queue_declare("", exclusive=True).method.queue
channel.queue_bind(queue, "announcements")
channel.basic_consume(queue, on_message, auto_ack=True)
print("listening", flush=True)
try:
    channel.start_consuming()
except KeyboardInterrupt:
    connection.close()
