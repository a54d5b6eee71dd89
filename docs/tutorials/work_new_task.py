"""Puts a task into the queue 'tasks'; each dot is a tenth of a second of work. Usage: work_new_task.py TEXT"""
import os
import sys

import pika

connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672")))
channel = connection.channel()
channel.queue_declare("tasks", durable=True)
task = " ".join(sys.argv[1:]) or "task..."
channel.basic_publish(
    exchange="",
    routing_key="tasks",
    body=task,
    properties=pika.BasicProperties(delivery_mode=pika.spec.PERSISTENT_DELIVERY_MODE),
)
print(f"queued {task}")
connection.close()
