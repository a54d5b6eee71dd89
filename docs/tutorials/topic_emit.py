"""Emits an event. Usage: topic_emit.py KEY TEXT, with a key of words and dots, as in paris.web.error"""
import os
import sys

import pika

connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672")))
channel = connection.channel()
channel.exchange_declare("events", exchange_type="topic")
key, text = sys.argv[1], " ".join(sys.argv[2:])
channel.basic_publish(exchange="events", routing_key=key, body=text)
print(f"emitted {key}: {text}")
connection.close()
