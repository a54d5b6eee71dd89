"""Has a worker of celery_app.py do something and prints what came of it. Usage: celery_ask.py add|retry|countdown|many|patient [FILE...]"""
import sys
import time

from celery_app import add, flaky, patient

story, files = sys.argv[1], sys.argv[2:]
if story == "add":
    print(add.delay(2, 3).get(timeout=60))
elif story == "retry":
    print(flaky.delay().get(timeout=60))
elif story == "countdown":
    begun = time.monotonic()
    total = add.apply_async((1, 2), countdown=1).get(timeout=60)
    print(total, "in time" if time.monotonic() - begun >= 0.9 else "too early")
elif story == "many":
    results = [add.delay(number, number) for number in range(100)]
    print(sum(result.get(timeout=60) for result in results))
elif story == "patient":
    print(patient.delay(*files).get(timeout=60))
