"""Takes everything out of the queue 'kept'."""
import os

import pika

connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672")))
channel = connection.channel()
while True:
    method, properties, body = channel.basic_get("kept")
    if method is None:
        break
    print(f"read {body.decode()}")
    channel.basic_ack(method.delivery_tag)
print("nothing left")
connection.close()
