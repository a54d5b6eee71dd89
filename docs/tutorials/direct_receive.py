"""Prints log lines of the given severities, until Ctrl-C. Usage: direct_receive.py SEVERITY..."""
import os
import sys

import pika


def on_line(channel, method, properties, body):
    print(f"{method.routing_key}: {body.decode()}", flush=True)


connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672")))
channel = connection.channel()
channel.exchange_declare("lines", exchange_type="direct")
queue = channel.queue_declare("", exclusive=True).method.queue
# One binding for each severity: the key must be equal.
for severity in sys.argv[1:]:
    channel.queue_bind(queue, "lines", routing_key=severity)
channel.basic_consume(queue, on_line, auto_ack=True)
print("listening for " + " ".join(sys.argv[1:]), flush=True)
try:
    channel.start_consuming()
except KeyboardInterrupt:
    connection.close()
