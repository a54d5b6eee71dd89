"""Takes everything out of 'orders.dead' and says why it is there."""
import os

import pika

connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672")))
channel = connection.channel()
while True:
    method, properties, body = channel.basic_get("orders.dead")
    if method is None:
        break
    # The newest death comes first.
    death = properties.headers["x-death"][0]
    print(f"{body.decode()}: {death['reason']} in {death['queue']}, {death['count']} time(s)")
    channel.basic_ack(method.delivery_tag)
print("nothing left")
connection.close()
