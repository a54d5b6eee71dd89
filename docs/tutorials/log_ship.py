"""Ships log lines from standard input to the collector: 'error disk full' goes out under HOST.error. Usage: log_ship.py HOST"""
import os
import sys

import pika

connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672")))
channel = connection.channel()
channel.exchange_declare("logs", exchange_type="topic", durable=True)
# The queue, so that lines shipped before the collector starts are kept for it.
channel.queue_declare("logs.collect", durable=True)
channel.queue_bind("logs.collect", "logs", routing_key="#")
channel.confirm_delivery()
host = sys.argv[1]
shipped = 0
for line in sys.stdin:
    severity, _, text = line.strip().partition(" ")
    properties = pika.BasicProperties(delivery_mode=2, headers={"host": host, "severity": severity})
    channel.basic_publish("logs", f"{host}.{severity}", text, properties)
    shipped += 1
print(f"shipped {shipped} lines of {host}")
connection.close()
