"""OpenHands' EventStream, persisted to a LocalFileStore, three subscribers: events a second until all are delivered, descriptors, threads. Median of
five rounds. Run it with a Python that has openhands-ai. events_openhands.py [EVENTS]"""
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time

os.environ["LOG_LEVEL"] = "ERROR"
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

from openhands.events.action import CmdRunAction  # noqa: E402
from openhands.events.event import EventSource  # noqa: E402
from openhands.events.stream import EventStream, EventStreamSubscriber  # noqa: E402
from openhands.storage.local import LocalFileStore  # noqa: E402


def count(what):
    return len(os.listdir(f"/proc/self/{what}"))


def one_round(number, events):
    folder = tempfile.mkdtemp()
    descriptors, threads = count("fd"), count("task")
    stream = EventStream(f"round-{number}", LocalFileStore(folder))
    delivered = [0, 0, 0]
    done = threading.Event()

    def subscriber(i):
        def take(_event):
            delivered[i] += 1
            if min(delivered) >= events:
                done.set()
        return take

    for i, who in enumerate((EventStreamSubscriber.AGENT_CONTROLLER, EventStreamSubscriber.RUNTIME, EventStreamSubscriber.MAIN)):
        stream.subscribe(who, subscriber(i), f"callback-{i}")
    began = time.perf_counter()
    for _ in range(events):
        stream.add_event(CmdRunAction(command="ls -la"), EventSource.AGENT)
    if not done.wait(600):
        sys.exit(f"not all events were delivered: {delivered}")
    rate = events / (time.perf_counter() - began)
    held = count("fd") - descriptors, count("task") - threads
    stream.close()
    shutil.rmtree(folder)
    return rate, *held


def main():
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    rounds = [one_round(number, events) for number in range(5)]
    print(f"OpenHands: {statistics.median(r[0] for r in rounds):.0f} events/s, {max(r[1] for r in rounds)} descriptors, "
          f"{max(r[2] for r in rounds)} threads")


if __name__ == "__main__":
    main()
