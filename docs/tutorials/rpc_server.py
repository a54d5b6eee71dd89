"""Answers with Fibonacci numbers, until Ctrl-C."""
import os

import pika


def fibonacci(n):
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


def on_request(channel, method, properties, body):
    n = int(body)
    print(f"asked for fibonacci({n})", flush=True)
    # The answer goes where the request says, with its number, so that the client knows which question it answers.
    channel.basic_publish(
        exchange="",
        routing_key=properties.reply_to,
        properties=pika.BasicProperties(correlation_id=properties.correlation_id),
        body=str(fibonacci(n)),
    )
    channel.basic_ack(method.delivery_tag)


connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672")))
channel = connection.channel()
channel.queue_declare("fibonacci")
channel.basic_qos(prefetch_count=1)
channel.basic_consume("fibonacci", on_request)
print("waiting for requests", flush=True)
try:
    channel.start_consuming()
except KeyboardInterrupt:
    connection.close()
