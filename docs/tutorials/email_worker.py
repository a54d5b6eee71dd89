"""Sends queued e-mails over SMTP until Ctrl-C. SMTP_HOST and SMTP_PORT say where (localhost, 25).

What the mail server does not take is tried again a second later, three times in all; then it waits in
'emails.failed' for a person. The delay is a queue whose messages expire back into 'emails'.
"""
import json
import os
import smtplib
from email.message import EmailMessage

import pika

TRIES = 3


def send(task):
    message = EmailMessage()
    message["From"] = "worker@example.com"
    message["To"] = task["to"]
    message["Subject"] = task["subject"]
    message.set_content(task["text"])
    with smtplib.SMTP(os.environ.get("SMTP_HOST", "localhost"), int(os.environ.get("SMTP_PORT", "25"))) as server:
        server.send_message(message)


def on_task(channel, method, properties, body):
    task = json.loads(body)
    attempt = (properties.headers or {}).get("attempt", 1)
    try:
        send(task)
        print(f"sent to {task['to']}, attempt {attempt}", flush=True)
    except (smtplib.SMTPException, OSError) as error:
        queue = "emails.retry" if attempt < TRIES else "emails.failed"
        print(f"{type(error).__name__} for {task['to']}, attempt {attempt}: to {queue}", flush=True)
        # Stored anew before the old one is acknowledged: a crash in between repeats it, and never loses it.
        properties.headers = {"attempt": attempt + 1}
        channel.basic_publish("", queue, body, properties, mandatory=True)
    channel.basic_ack(method.delivery_tag)


connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672")))
channel = connection.channel()
channel.queue_declare("emails", durable=True)
channel.queue_declare("emails.failed", durable=True)
back = {"x-message-ttl": 1000, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "emails"}
channel.queue_declare("emails.retry", durable=True, arguments=back)
channel.confirm_delivery()
channel.basic_qos(prefetch_count=1)
channel.basic_consume("emails", on_task)
print("waiting for e-mails", flush=True)
try:
    channel.start_consuming()
except KeyboardInterrupt:
    connection.close()
