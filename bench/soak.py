#!/usr/bin/env python3
"""Many samples under a low descriptor limit: what the process holds when few have ended, and after the last. Needs a release build, git and Python 3;
for --sandbox docker an engine (DOCKER_HOST) and an image with bash and git.

    bench/soak.py [--sandbox local|docker] [--image NAME] [--samples 300] [--workers 8] [--limit 64] [--judge] [--long-every N] [--plot FILE.svg]

Each sample has eleven commands; with --judge its patch is judged as well (it passes), in a sandbox of its own. Of --long-every N samples one has a history of
real size: 120 commands, most with a kilobyte of output, every tenth with thirty. The model is this script, on 127.0.0.1. Runs as
many samples as there are workers, then all; prints the figures of the journals' commits and lines fitted to memory and time per sample from the first
twentieth on, and ends with 1 when the process holds more descriptors, threads or children after the last sample than after the few, or anything leaked or was left.
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
LONG_STEPS = 120
EVAL = """#!/bin/bash
cd /testbed
: '>>>>> Start Test Output'
if grep -q soaked textkit/slug.py; then echo PASSED tests/test_slug.py::test_soaked; else echo FAILED tests/test_slug.py::test_soaked; fi
: '>>>>> End Test Output'
"""


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
        # Long histories are megabytes: what matters is found without reading them as JSON.
        body = self.rfile.read(int(self.headers["Content-Length"]))
        step = body.count(b'"role":"tool"') + body.count(b'"role": "tool"')
        steps = LONG_STEPS if b"a long history" in body else STEPS
        if step == 0:
            command = "echo '# soaked' >> textkit/slug.py"
        elif step == steps - 1:
            command = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && git add -A && git diff --cached"
        elif steps == STEPS:
            command = f"echo step {step}"
        else:
            command = f"head -c {30000 if step % 10 == 9 else 1000} /dev/zero | tr '\\0' x | fold -w 100"
        call = {"id": f"call_{step}", "type": "function", "function": {"name": "bash", "arguments": json.dumps({"command": command})}}
        message = {"role": "assistant", "content": "On.", "tool_calls": [call]}
        self.send({"id": "1", "object": "chat.completion", "model": "soak",
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
            long = asked.long_every and i % asked.long_every == asked.long_every - 1
            out.write(json.dumps({**row, "instance_id": f"example__soak-{i:05}", "problem_statement": "a long history" if long else "a short history",
                                  "eval_script": EVAL, "log_parser": "parse_log_pytest", "FAIL_TO_PASS": ["tests/test_slug.py::test_soaked"],
                                  "PASS_TO_PASS": []}) + "\n")
    place = folder / f"run-{samples}"
    command = [AWM, "run", "--dataset", rows, "--repos", folder / "repos", "--sandbox", asked.sandbox, "--agent-class", "BashAgent", "--model",
               "openai/soak", "--base-url", f"http://127.0.0.1:{server.server_port}/v1", "--memory", "off", "--workers",
               str(asked.workers), "--strict-resources", "--output-dir", place, "--quiet"]
    # Commits are in order: a long history must not hold up all behind it.
    command += ["--memory-lag", str(asked.workers * 20)]
    if not asked.judge:
        command += ["--skip-evaluation"]
    if asked.image:
        command += ["--image", asked.image]
    limit = (asked.limit, asked.limit)
    began = time.monotonic()
    done = subprocess.run([str(part) for part in command], env={**os.environ, "LLM_API_KEY": "none"}, capture_output=True, text=True,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limit))
    took = time.monotonic() - began
    if done.returncode != 0:
        sys.exit(f"soak.py: awm ended with {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    commits = [record for record in map(json.loads, (place / "journal.jsonl").open()) if record["type"] == "commit"]
    if asked.judge and any(record["verdict"] != "passed" for record in commits):
        sys.exit("soak.py: not every sample passed")
    return commits, took


def line(points):
    """Least squares: value at the first and at the last x."""
    n = len(points)
    mean_x = sum(x for x, _ in points) / n
    mean_y = sum(y for _, y in points) / n
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
    return tuple(mean_y + slope * (points[at][0] - mean_x) for at in (0, -1))


def svg(path, title, series):
    """A plot a series, one below the other; each from zero to its largest value."""
    width, height, left = 860, 120, 60
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width + left + 20}" height="{(height + 50) * len(series) + 40}" '
             'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>', f'<text x="10" y="20">{title}</text>']
    for number, (name, points) in enumerate(series):
        top = 50 + number * (height + 50)
        most = max(y for _, y in points) * 1.1 or 1
        last = points[-1][0]
        # One point a pixel is enough: the mean of those in it.
        columns = {}
        for x, y in points:
            columns.setdefault(int(x / last * width), []).append(y)
        drawn = " ".join(f"{left + column},{top + height - sum(ys) / len(ys) / most * height:.1f}" for column, ys in sorted(columns.items()))
        parts.append(f'<text x="{left}" y="{top - 6}">{name}</text><text x="5" y="{top + 10}">{most:.4g}</text><text x="5" y="{top + height}">0</text>'
                     f'<path d="M{left} {top}V{top + height}H{left + width}" fill="none" stroke="#888"/>'
                     f'<text x="{left + width - 30}" y="{top + height + 15}">{last}</text>'
                     f'<polyline points="{drawn}" fill="none" stroke="#1f5fa8" stroke-width="1"/>')
    path.write_text("\n".join(parts) + "\n</svg>\n")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sandbox", default="local", choices=["local", "docker"])
    options.add_argument("--image", default="")
    options.add_argument("--samples", type=int, default=300)
    options.add_argument("--workers", type=int, default=8)
    options.add_argument("--limit", type=int, default=64)
    options.add_argument("--judge", action="store_true")
    options.add_argument("--long-every", type=int, default=0)
    options.add_argument("--plot", type=pathlib.Path)
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
        long = f", one in {asked.long_every} of {LONG_STEPS} steps" if asked.long_every else ""
        print(f"{len(commits)} samples of {STEPS} steps{long}, {'judged, ' if asked.judge else ''}{asked.sandbox} sandbox, {asked.workers} workers, ulimit -n {asked.limit}: {took:.1f} s, "
              f"{len(commits) / took * 60:.0f} a minute")
        print("| | descriptors | threads | children | memory, MiB |\n|---|---|---|---|---|")
        for name, one in [(f"a run of {len(few)}, nothing live", few[-1]),
                          *((f"after {at}, others live", commits[at - 1]) for at in range(len(commits) // 4, len(commits), len(commits) // 4)),
                          (f"after {len(commits)}, nothing live", commits[-1])]:
            print(f"| {name} | {one['descriptors']} | {one['threads']} | {one['children']} | {one['resident_bytes'] / 2**20:.1f} |")
        # Times are of short samples: the long ones come at their own rhythm.
        first = len(commits) // 20
        short = [(i, c["agent_seconds"] + c["judge_seconds"]) for i, c in enumerate(commits, 1) if c["iterations"] <= STEPS]
        resident = [(i, c["resident_bytes"] / 2**20) for i, c in enumerate(commits, 1)]
        for name, unit, points in (("resident memory", "MiB", resident), ("time of a short sample", "s", short)):
            low, high = line([point for point in points if point[0] >= first])
            print(f"{name}, fitted from sample {first} to {len(commits)}: {low:.3f} {unit} to {high:.3f} {unit}, {100 * (high / low - 1):+.2f} %")
        if asked.plot:
            svg(asked.plot, f"{len(commits)} samples, {asked.workers} workers, ulimit -n {asked.limit}",
                [("resident memory, MiB", resident), ("descriptors", [(i, c["descriptors"]) for i, c in enumerate(commits, 1)]),
                 ("threads", [(i, c["threads"]) for i, c in enumerate(commits, 1)]),
                 ("children", [(i, c["children"]) for i, c in enumerate(commits, 1)]), ("time of a short sample, s", short)])
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
