"""Collects log lines into FILE until Ctrl-C. Usage: log_collect.py FILE

Lines are written in batches: one fsync and one acknowledgement for each. A collector that is killed writes
the lines again that it had not acknowledged; none is lost.
"""
import os
import sys

import pika

BATCH = 50

connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672")))
channel = connection.channel()
channel.exchange_declare("logs", exchange_type="topic", durable=True)
channel.queue_declare("logs.collect", durable=True)
channel.queue_bind("logs.collect", "logs", routing_key="#")
channel.basic_qos(prefetch_count=2 * BATCH)
batch = []
last_tag = None


def write(file):
    file.write("".join(batch))
    file.flush()
    os.fsync(file.fileno())
    channel.basic_ack(last_tag, multiple=True)
    print(f"wrote {len(batch)} lines", flush=True)
    batch.clear()


print("collecting", flush=True)
try:
    with open(sys.argv[1], "a", encoding="utf-8") as file:
        # None comes when the queue has been silent for a moment: what is gathered is written then.
        for method, properties, body in channel.consume("logs.collect", inactivity_timeout=0.2):
            if method is not None:
                batch.append(f"{properties.headers['host']} {properties.headers['severity']} {body.decode()}\n")
                last_tag = method.delivery_tag
            if len(batch) >= BATCH or (method is None and batch):
                write(file)
except KeyboardInterrupt:
    connection.close()
