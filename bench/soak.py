#!/usr/bin/env python3
"""Many short samples under a low descriptor limit: what the process holds when few have ended, and after the last. Needs a release build, git and Python 3;
for --sandbox docker an engine (DOCKER_HOST) and an image with bash and git.

    bench/soak.py [--sandbox local|docker] [--image NAME] [--samples 300] [--workers 8] [--limit 64]

Each sample has eleven trivial commands and is not judged. The model is this script, on 127.0.0.1. Runs as many
samples as there are workers, then all; prints the figures of the journals' commits, and ends with 1 when the process holds more descriptors,
threads or children after the last sample than after the few, or anything leaked or was left.
"""
import argparse
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
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROOT = pathlib.Path(__file__).resolve().parent.parent
AWM = pathlib.Path(os.environ.get("AWM", ROOT / "build/release/bin/awm"))
STEPS = 11


class Model(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def send(self, answer):
        text = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        self.send({"object": "list", "data": []})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        step = sum(1 for message in body["messages"] if message["role"] == "tool")
        command = f"echo step {step}" if step < STEPS - 1 else "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
        call = {"id": f"call_{step}", "type": "function", "function": {"name": "bash", "arguments": json.dumps({"command": command})}}
        message = {"role": "assistant", "content": "On.", "tool_calls": [call]}
        self.send({"id": "1", "object": "chat.completion", "model": body["model"],
                   "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
                   "usage": {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105}})

    def log_message(self, *_):
        pass


def containers():
    """Of awm, in the engine; 0 without a docker client."""
    if shutil.which("docker") is None:
        return 0
    listed = subprocess.run(["docker", "ps", "-aq", "--filter", "label=dev.awm.run"], capture_output=True, text=True)
    return len(listed.stdout.split())


def run(folder, asked, samples, server):
    """The commits of a run of so many samples, and its seconds."""
    row = json.loads((ROOT / "examples/tasks.jsonl").read_text().splitlines()[0])
    rows = folder / f"rows-{samples}.jsonl"
    with rows.open("w") as out:
        for i in range(samples):
            out.write(json.dumps({**row, "instance_id": f"example__soak-{i:05}"}) + "\n")
    place = folder / f"run-{samples}"
    command = [AWM, "run", "--dataset", rows, "--repos", folder / "repos", "--sandbox", asked.sandbox, "--agent-class", "BashAgent", "--model",
               "openai/soak", "--base-url", f"http://127.0.0.1:{server.server_port}/v1", "--memory", "off", "--skip-evaluation", "--workers",
               str(asked.workers), "--strict-resources", "--output-dir", place, "--quiet"]
    if asked.image:
        command += ["--image", asked.image]
    limit = (asked.limit, asked.limit)
    began = time.monotonic()
    done = subprocess.run([str(part) for part in command], env={**os.environ, "LLM_API_KEY": "none"}, capture_output=True, text=True,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limit))
    took = time.monotonic() - began
    if done.returncode != 0:
        sys.exit(f"soak.py: awm ended with {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return [record for record in map(json.loads, (place / "journal.jsonl").open()) if record["type"] == "commit"], took


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sandbox", default="local", choices=["local", "docker"])
    options.add_argument("--image", default="")
    options.add_argument("--samples", type=int, default=300)
    options.add_argument("--workers", type=int, default=8)
    options.add_argument("--limit", type=int, default=64)
    asked = options.parse_args()
    if asked.samples <= asked.workers + 1:
        sys.exit("soak.py: more samples than workers are needed")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="awm-soak-"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    before = containers()
    try:
        subprocess.run([ROOT / "examples/make_repos.sh", folder / "repos"], check=True, stdout=subprocess.DEVNULL)
        few, _ = run(folder, asked, asked.workers, server)
        commits, took = run(folder, asked, asked.samples, server)
        print(f"{len(commits)} samples of {STEPS} steps, {asked.sandbox} sandbox, {asked.workers} workers, ulimit -n {asked.limit}: {took:.1f} s, "
              f"{len(commits) / took * 60:.0f} a minute")
        print("| | descriptors | threads | children | memory, MiB |\n|---|---|---|---|---|")
        for name, one in [(f"a run of {len(few)}, nothing live", few[-1]),
                          *((f"after {at}, others live", commits[at - 1]) for at in range(len(commits) // 4, len(commits), len(commits) // 4)),
                          (f"after {len(commits)}, nothing live", commits[-1])]:
            print(f"| {name} | {one['descriptors']} | {one['threads']} | {one['children']} | {one['resident_bytes'] / 2**20:.1f} |")
        grown = [key for key in ("descriptors", "threads", "children") if commits[-1][key] > few[-1][key]]
        leaks = sum(record.get("leaks", 0) for record in few + commits)
        left = containers() - before
        print(f"most descriptors at one time {max(c['descriptors'] for c in commits)}, leaks {leaks}, containers left {left}; "
              f"grown: {', '.join(grown) or 'nothing'}")
        if grown or leaks or left > 0 or len(commits) != asked.samples:
            sys.exit(1)
    finally:
        server.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
