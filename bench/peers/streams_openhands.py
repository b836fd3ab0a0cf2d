"""OpenHands' EventStream with three subscribers, one after another, none of them closed by its user: what is held after each, until one cannot be
made or 1,000 are done. Run it with a Python that has openhands-ai, under `ulimit -n 256`. streams_openhands.py [STREAMS]"""
import gc
import os
import sys
import tempfile
import threading

os.environ["LOG_LEVEL"] = "ERROR"
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

from openhands.events.action import CmdRunAction  # noqa: E402
from openhands.events.event import EventSource  # noqa: E402
from openhands.events.stream import EventStream, EventStreamSubscriber  # noqa: E402
from openhands.storage.local import LocalFileStore  # noqa: E402

EVENTS = 10


def held():
    return f"{len(os.listdir('/proc/self/fd')) - 1} descriptors, {len(os.listdir('/proc/self/task'))} threads"


def one_stream(number, folder):
    stream = EventStream(f"stream-{number}", LocalFileStore(folder))
    delivered, lock, done = [0], threading.Lock(), threading.Event()

    def take(_event):
        with lock:
            delivered[0] += 1
            if delivered[0] == 3 * EVENTS:
                done.set()

    for who in (EventStreamSubscriber.AGENT_CONTROLLER, EventStreamSubscriber.RUNTIME, EventStreamSubscriber.MAIN):
        stream.subscribe(who, take, "callback")
    for _ in range(EVENTS):
        stream.add_event(CmdRunAction(command="ls -la"), EventSource.AGENT)
    if not done.wait(60):
        raise RuntimeError(f"{delivered[0]} of {3 * EVENTS} events were delivered")


def main():
    streams = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    # Whoever wants to look at it from outside: awm fds PID
    print(f"OpenHands, process {os.getpid()}: at the start {held()}", flush=True)
    folder = tempfile.mkdtemp()
    for number in range(1, streams + 1):
        try:
            one_stream(number, folder)
        except Exception as error:
            print(f"OpenHands: stream {number} failed: {type(error).__name__}: {error}", flush=True)
            os._exit(1)
        gc.collect()  # what nobody holds is gone
        if number <= 4 or number % 10 == 0:
            print(f"OpenHands, after stream {number}: {held()}", flush=True)
    print(f"OpenHands: {streams} streams, no failure")
    os._exit(0)


if __name__ == "__main__":
    main()
