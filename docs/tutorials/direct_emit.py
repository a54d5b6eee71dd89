"""Emits a log line of some severity. Usage: direct_emit.py SEVERITY TEXT"""
import os
import sys

import pika

connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672")))
channel = connection.channel()
channel.exchange_declare("lines", exchange_type="direct")
severity, text = sys.argv[1], " ".join(sys.argv[2:])
channel.basic_publish(exchange="lines", routing_key=severity, body=text)
print(f"emitted {severity}: {text}")
connection.close()
