#!/usr/bin/env python3
"""What the loop itself costs, and what a live sample costs in memory. Needs a release build, git, bubblewrap and Python 3.

    bench/loop.py commits [SAMPLES]   many samples without agent or tests (empty patches): what a sample's records and views cost, early and
                                      late, and how long a resume takes; default 10,000
    bench/loop.py live [SAMPLES]      so many live samples in one process, each in a local sandbox of its own and waiting for the model: memory,
                                      descriptors and threads of the process; default 1,000
"""
import asyncio
import datetime
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
AWM = pathlib.Path(os.environ.get("AWM", ROOT / "build/release/bin/awm"))
SUBMIT = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"


def rows(folder, count):
    """`count` rows of the first example task under ids of their own."""
    row = json.loads((ROOT / "examples/tasks.jsonl").read_text().splitlines()[0])
    path = folder / "rows.jsonl"
    with path.open("w") as out:
        for i in range(count):
            out.write(json.dumps({**row, "instance_id": f"example__many-{i:05}"}) + "\n")
    return path


def times(folder):
    """Of the commits, in seconds."""
    found = []
    for line in (folder / "journal.jsonl").open():
        record = json.loads(line)
        if record["type"] == "commit":
            found.append(datetime.datetime.fromisoformat(record["time"]).timestamp())
    return found


def timed(*command):
    began = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([str(AWM), *map(str, command)], capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"awm {command[0]} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return time.monotonic() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, after.ru_maxrss / 1024


def commits(folder, count):
    data = rows(folder, count)
    predictions = folder / "predictions.jsonl"
    with predictions.open("w") as out:
        for i in range(count):
            one = {"instance_id": f"example__many-{i:05}", "model_name_or_path": "none", "model_patch": ""}
            out.write(json.dumps(one) + "\n")
    run = folder / "run"
    whole, _, peak = timed("run", "--dataset", data, "--sandbox", "local", "--predictions", predictions, "--output-dir", run, "--quiet")
    at = times(run)
    print(f"{count} samples: {whole:.2f} s, {whole / count * 1000:.2f} ms a sample, at most {peak:.0f} MiB")
    block = max(1, min(100, count // 4))
    early = (at[2 * block - 1] - at[block - 1]) / block * 1000
    late = (at[-1] - at[-1 - block]) / block * 1000
    print(f"a sample's records and views: {early:.2f} ms around sample {block}, {late:.2f} ms around sample {count}")
    resumed, _, peak = timed("run", "--resume-from", run, "--quiet")
    print(f"resume of the finished run: {resumed:.2f} s in all, at most {peak:.0f} MiB")
    # As a kill leaves it: the last ten samples are to be done.
    lines = (run / "journal.jsonl").read_text().splitlines(keepends=True)
    ends = [number for number, line in enumerate(lines) if '"type":"commit"' in line]
    (run / "journal.jsonl").write_text("".join(lines[: ends[-11] + 1]))
    before = time.time()
    timed("run", "--resume-from", run, "--quiet")
    print(f"resume with ten to go: {times(run)[-10] - before:.2f} s until the first of them was committed")


class Model:
    """Answers with the submission: at once, or once `barrier` requests wait."""

    def __init__(self, barrier=0):
        self.barrier = barrier
        self.waiting = 0
        self.full = threading.Event()
        self.release = None
        self.ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.serve()), daemon=True)
        self.thread.start()
        self.ready.wait()

    async def serve(self):
        self.loop = asyncio.get_running_loop()
        self.release = asyncio.Event()
        if self.barrier == 0:
            self.release.set()
        server = await asyncio.start_server(self.client, "127.0.0.1", 0, backlog=4096)
        self.url = "http://127.0.0.1:%d/v1" % server.sockets[0].getsockname()[1]
        self.ready.set()
        async with server:
            await server.serve_forever()

    async def client(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), 0)
                body = await reader.readexactly(length)
                if not head.startswith(b"POST"):
                    self.send(writer, {"object": "list", "data": []})
                    continue
                self.waiting += 1
                if self.waiting >= self.barrier:
                    self.full.set()
                await self.release.wait()
                call = {"id": "call_1", "type": "function", "function": {"name": "bash", "arguments": json.dumps({"command": SUBMIT})}}
                message = {"role": "assistant", "content": "Done.", "tool_calls": [call]}
                self.send(writer, {"id": "1", "object": "chat.completion", "model": json.loads(body)["model"],
                                   "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
                                   "usage": {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010}})
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    @staticmethod
    def send(writer, answer):
        text = json.dumps(answer).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(text) + text)

    def answer(self):
        self.loop.call_soon_threadsafe(self.release.set)


def agent_run(folder, count, workers, model):
    repos = folder / "repos"
    if not repos.exists():
        subprocess.run([ROOT / "examples/make_repos.sh", repos], check=True, stdout=subprocess.DEVNULL)
    data = rows(folder, count)
    return ["run", "--dataset", data, "--sandbox", "local", "--repos", repos, "--agent-class", "BashAgent", "--model", "openai/none",
            "--base-url", model.url, "--skip-evaluation", "--memory", "off", "--no-prewarm", "--workers", workers, "--quiet"]


def status(pid, key):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith(key + ":"):
            return int(line.split()[1])
    return 0


def live(folder, count):
    print("| live samples | memory, MiB | a further one, KiB | descriptors | threads |\n|---|---|---|---|---|")
    first = None
    for number in (max(1, count // 100), count):
        model = Model(barrier=number)
        log = (folder / f"log-{number}").open("w")
        process = subprocess.Popen([str(AWM), *map(str, agent_run(folder, number, number, model)), "--output-dir", folder / f"live-{number}"],
                                   stdout=log, stderr=log, env={**os.environ, "LLM_API_KEY": "none"})
        while not model.full.wait(1):
            if process.poll() is not None:
                sys.exit(f"awm ended with {process.returncode}:\n" + (folder / f"log-{number}").read_text()[-2000:])
        memory = status(process.pid, "VmRSS")
        descriptors = len(os.listdir(f"/proc/{process.pid}/fd"))
        threads = status(process.pid, "Threads")
        further = "" if first is None else f"{(memory - first[1]) / (number - first[0]):.0f}"
        print(f"| {number} | {memory / 1024:.0f} | {further} | {descriptors} | {threads} |", flush=True)
        first = (number, memory)
        model.answer()
        if process.wait() != 0:
            sys.exit(f"awm ended with {process.returncode}:\n" + (folder / f"log-{number}").read_text()[-2000:])


def main():
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    defaults = {"commits": 10000, "live": 1000}
    if what not in defaults:
        sys.exit(__doc__)
    count = int(sys.argv[2]) if len(sys.argv) > 2 else defaults[what]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="awm-loop-"))
    try:
        globals()[what](folder, count)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
