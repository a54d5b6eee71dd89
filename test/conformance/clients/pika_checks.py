"""Stories of a pika client. Usage: pika_checks.py URL STORY; prints ok, or fails with what was otherwise."""
import sys

import pika


def topics(channel):
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, "amq.topic", "conformance.*.high")
    for key in ("conformance.disk.high", "conformance.disk.low", "conformance.a.b.high"):
        channel.basic_publish("amq.topic", key, key)
    _, _, body = channel.basic_get(queue, auto_ack=True)
    assert body == b"conformance.disk.high", body
    assert channel.basic_get(queue) == (None, None, None)


def dead_letters(channel):
    dead = channel.queue_declare("", exclusive=True).method.queue
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
    queue = channel.queue_declare("", exclusive=True, arguments=arguments).method.queue
    seen = []

    def on_dead_letter(_channel, _method, properties, body):
        seen.append((body, properties.headers["x-death"][0]["reason"]))
        channel.stop_consuming()

    channel.basic_consume(dead, on_dead_letter, auto_ack=True)
    channel.basic_publish("", queue, b"poison")
    method, _, _ = channel.basic_get(queue)
    channel.basic_reject(method.delivery_tag, requeue=False)
    channel.start_consuming()
    assert seen == [(b"poison", "rejected")], seen


def closed_channel(channel):
    try:
        channel.queue_declare("conformance.missing", passive=True)
    except pika.exceptions.ChannelClosedByBroker as error:
        assert error.reply_code == 404, error
        assert error.reply_text.startswith("NOT_FOUND - no queue 'conformance.missing' in vhost '/'"), error
    else:
        raise AssertionError("a missing queue was found")


STORIES = {"topics": topics, "dead-letters": dead_letters, "closed-channel": closed_channel}

url, story = sys.argv[1:]
connection = pika.BlockingConnection(pika.URLParameters(url + "/%2F"))
STORIES[story](connection.channel())
connection.close()
print("ok")
