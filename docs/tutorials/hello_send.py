"""Puts one message into the queue 'hello'. Usage: hello_send.py [TEXT]"""
import os
import sys

import pika

connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672")))
channel = connection.channel()
channel.queue_declare("hello")
text = " ".join(sys.argv[1:]) or "Hello World!"
# The default exchange has an empty name: it takes the routing key for the name of a queue.
channel.basic_publish(exchange="", routing_key="hello", body=text)
print(f"sent {text}")
connection.close()
