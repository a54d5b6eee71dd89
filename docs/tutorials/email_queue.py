"""Queues an e-mail. Usage: email_queue.py TO SUBJECT TEXT"""
import json
import os
import sys

import pika

connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672")))
channel = connection.channel()
channel.queue_declare("emails", durable=True)
channel.confirm_delivery()
to, subject, text = sys.argv[1:4]
channel.basic_publish(
    exchange="",
    routing_key="emails",
    body=json.dumps({"to": to, "subject": subject, "text": text}),
    properties=pika.BasicProperties(delivery_mode=2, content_type="application/json"),
    mandatory=True,
)
print(f"queued for {to}")
connection.close()
