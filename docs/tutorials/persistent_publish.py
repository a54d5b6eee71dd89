"""Stores persistent messages and says so only when the broker has confirmed each. Usage: persistent_publish.py COUNT"""
import os
import sys

import pika

connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672")))
channel = connection.channel()
# Both are needed: a durable queue comes back after a restart, a persistent message in it as well.
channel.queue_declare("kept", durable=True)
channel.confirm_delivery()
count = int(sys.argv[1])
for number in range(count):
    # Returns when the broker has confirmed; raises UnroutableError or NackError when it could not keep the message.
    channel.basic_publish(
        exchange="",
        routing_key="kept",
        body=f"message {number}",
        properties=pika.BasicProperties(delivery_mode=pika.spec.PERSISTENT_DELIVERY_MODE),
        mandatory=True,
    )
print(f"{count} confirmed")
connection.close()
