"""Tells something to everyone who listens. Usage: fanout_emit.py TEXT"""
import os
import sys

import pika

connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672")))
channel = connection.channel()
channel.exchange_declare("announcements", exchange_type="fanout")
text = " ".join(sys.argv[1:]) or "hear, hear"
channel.basic_publish(exchange="announcements", routing_key="", body=text)
print(f"announced {text}")
connection.close()
