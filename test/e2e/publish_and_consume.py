"""Publishes ten persistent messages with confirms, consumes and acknowledges them, and prints what it saw.

Usage: publish_and_consume.py PORT
"""
import sys

import pika

connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", int(sys.argv[1])))
channel = connection.channel()
channel.queue_declare("pika.work", durable=True)
channel.confirm_delivery()
for number in range(10):
    channel.basic_publish(
        exchange="",
        routing_key="pika.work",
        body=f"message {number}".encode(),
        properties=pika.BasicProperties(delivery_mode=2, headers={"number": number}),
        mandatory=True,
    )

channel.basic_qos(prefetch_count=3)
seen = []
for method, properties, body in channel.consume("pika.work", inactivity_timeout=10):
    if method is None:
        break
    seen.append((properties.headers["number"], body.decode(), method.redelivered))
    channel.basic_ack(method.delivery_tag)
    if len(seen) == 10:
        break
channel.cancel()

try:
    channel.basic_publish(exchange="", routing_key="no.such.queue", body=b"", mandatory=True)
    print("unroutable: not returned")
except pika.exceptions.UnroutableError:
    print("unroutable: returned")

left = channel.queue_declare("pika.work", durable=True, passive=True).method.message_count
connection.close()
print("seen:", [number for number, _, _ in seen], "redelivered:", any(redelivered for _, _, redelivered in seen), "left:", left)
