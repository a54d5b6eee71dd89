"""Publishes one message over TLS with a confirm and fetches it again.

Usage: publish_over_tls.py PORT CA [CERTIFICATE KEY]
"""
import ssl
import sys

import pika

port, authority, *certificate = sys.argv[1:]
context = ssl.create_default_context(cafile=authority)
if certificate:
    context.load_cert_chain(*certificate)
options = pika.SSLOptions(context, "localhost")
parameters = pika.ConnectionParameters("localhost", int(port), ssl_options=options, connection_attempts=1)
try:
    connection = pika.BlockingConnection(parameters)
except Exception as error:  # pika has no one class for what may go wrong here
    print("refused:", type(error).__name__)
    sys.exit(0)
channel = connection.channel()
channel.queue_declare("tls", durable=True)
channel.confirm_delivery()
channel.basic_publish("", "tls", b"encrypted", pika.BasicProperties(delivery_mode=2), mandatory=True)
_, _, body = channel.basic_get("tls", auto_ack=True)
connection.close()
print("got:", body.decode())
