"""Places orders; each argument is one. Usage: dead_letter_order.py '{"what": "tea", "count": 2}' 'no order at all'"""
import os
import sys

import pika

connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672")))
channel = connection.channel()
for order in sys.argv[1:]:
    channel.basic_publish(exchange="", routing_key="orders", body=order, properties=pika.BasicProperties(delivery_mode=2))
    print(f"ordered {order}")
connection.close()
