"""Works through the queue 'orders' until Ctrl-C. An order that cannot be understood is rejected: it goes to the queue 'orders.dead'."""
import json
import os

import pika


def on_order(channel, method, properties, body):
    try:
        order = json.loads(body)
        print(f"shipped {order['count']} x {order['what']}", flush=True)
        channel.basic_ack(method.delivery_tag)
    except (ValueError, KeyError):
        print(f"rejected {body.decode()}", flush=True)
        # Without requeue: handing it back would bring the same order again, for ever.
        channel.basic_reject(method.delivery_tag, requeue=False)


connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672")))
channel = connection.channel()
channel.exchange_declare("dead", exchange_type="direct", durable=True)
channel.queue_declare("orders.dead", durable=True)
channel.queue_bind("orders.dead", "dead", routing_key="orders")
channel.queue_declare("orders", durable=True, arguments={"x-dead-letter-exchange": "dead"})
channel.basic_qos(prefetch_count=10)
channel.basic_consume("orders", on_order)
print("waiting for orders", flush=True)
try:
    channel.start_consuming()
except KeyboardInterrupt:
    connection.close()
