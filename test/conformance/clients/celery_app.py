"""A Celery application on the broker that CELERY_BROKER names; results come back over rpc://."""
import os
import time

from celery import Celery

app = Celery("conformance", broker=os.environ["CELERY_BROKER"], backend="rpc://")
app.conf.update(
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=1,
    task_acks_late=True,
    task_default_queue="conformance.celery",
)


@app.task
def add(a, b):
    return a + b


class NotYet(Exception):
    pass


@app.task(bind=True, max_retries=3)
def flaky(self):
    """Succeeds at its third try."""
    if self.request.retries < 2:
        raise self.retry(exc=NotYet(), countdown=0.1)
    return self.request.retries


@app.task(bind=True)
def patient(self, diary, permission):
    """Notes that it has begun and waits until there is a file."""
    redelivered = self.request.delivery_info["redelivered"]
    with open(diary, "a", encoding="utf-8") as file:
        file.write(f"begun redelivered={redelivered}\n")
    while not os.path.exists(permission):
        time.sleep(0.02)
    return redelivered
