"""Works through the queue 'tasks', one task at a time, until Ctrl-C. Start as many as you like."""
import os
import time

import pika


def on_task(channel, method, properties, body):
    task = body.decode()
    print(f"started {task}{' again' if method.redelivered else ''}", flush=True)
    time.sleep(task.count(".") / 10)
    print(f"finished {task}", flush=True)
    # Only now: a worker that dies before this line leaves its task to another.
    channel.basic_ack(method.delivery_tag)


connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672")))
channel = connection.channel()
channel.queue_declare("tasks", durable=True)
# No second task before the first is acknowledged: long tasks do not pile up behind one worker.
channel.basic_qos(prefetch_count=1)
channel.basic_consume("tasks", on_task)
print("waiting for tasks", flush=True)
try:
    channel.start_consuming()
except KeyboardInterrupt:
    connection.close()
