"""Asks rpc_server.py. Usage: rpc_client.py N..."""
import os
import sys
import uuid

import pika

connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672")))
channel = connection.channel()
# Answers come to a queue of our own. amq.rabbitmq.reply-to (with auto_ack) would do without one.
reply_queue = channel.queue_declare("", exclusive=True).method.queue
answers = {}


def on_answer(channel, method, properties, body):
    answers[properties.correlation_id] = int(body)


channel.basic_consume(reply_queue, on_answer, auto_ack=True)
for n in map(int, sys.argv[1:] or ["30"]):
    question = str(uuid.uuid4())
    channel.basic_publish(
        exchange="",
        routing_key="fibonacci",
        properties=pika.BasicProperties(reply_to=reply_queue, correlation_id=question),
        body=str(n),
    )
    while question not in answers:
        connection.process_data_events(time_limit=None)
    print(f"fibonacci({n}) = {answers[question]}")
connection.close()
