#!/usr/bin/env python3
"""Twenty trivial rows on one local image judged with their own patches, by awm and by the SWE-bench harness, by turns in one run. Needs a release build, a Docker
engine (DOCKER_HOST), an image with bash and git, and, for the comparison, the harness in a Python environment of its own:
    python3.12 -m venv swebench && swebench/bin/pip install swebench==5.0.2

    bench/eval_twenty.py IMAGE [--swebench swebench/bin/swebench] [--rows 20] [--workers 1 4]

Makes an image from IMAGE with a small repository at /testbed, and removes it at the end. Ends with 1 where not every row is resolved.
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
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
AWM = pathlib.Path(os.environ.get("AWM", ROOT / "build/release/bin/awm"))
TAG = "awm-bench-twenty:1"
PATCH = """diff --git a/value.txt b/value.txt
--- a/value.txt
+++ b/value.txt
@@ -1 +1 @@
-old
+new
"""
EVAL = """#!/bin/bash
set -uxo pipefail
cd /testbed
: '>>>>> Start Test Output'
if [ "$(cat value.txt)" = new ]; then echo PASSED test_value.py::test_new; else echo FAILED test_value.py::test_new; fi
: '>>>>> End Test Output'
"""


def docker(*words):
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True).stdout.strip()


def make_image(base):
    """With the repository; its commit."""
    made = docker("create", "--network", "none", base, "sh", "-c",
                  "mkdir -p /testbed && cd /testbed && echo old > value.txt && git init -q && git add -A && "
                  "git -c user.name=a -c user.email=a@b commit -qm base && git rev-parse HEAD")
    try:
        head = docker("start", "-a", made).split()[-1]
        docker("commit", "--change", "WORKDIR /testbed", made, TAG)
    finally:
        docker("rm", "-f", made)
    return head


def timed(words, folder):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    done = subprocess.run([str(word) for word in words], cwd=folder, capture_output=True, text=True)
    took = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done


def resolved(folder, run, rows):
    """How many rows the reports of this run call resolved."""
    reports = [json.loads(path.read_text()) for path in folder.glob(f"logs/run_evaluation/{run}/*/*/report.json")]
    return sum(report.get(row, {}).get("resolved", False) for row in rows for report in reports)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("image")
    options.add_argument("--swebench", type=pathlib.Path)
    options.add_argument("--rows", type=int, default=20)
    options.add_argument("--workers", type=int, nargs="+", default=[1, 4])
    asked = options.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="awm-twenty-"))
    bad = False
    try:
        head = make_image(asked.image)
        names = [f"bench__twenty-{i}" for i in range(asked.rows)]
        with (folder / "rows.jsonl").open("w") as out:
            for name in names:
                out.write(json.dumps({
                    "instance_id": name, "repo": "bench/twenty", "base_commit": head, "version": "1", "patch": PATCH, "test_patch": "", "problem_statement": "",
                    "hints_text": "", "created_at": "", "environment_setup_commit": head, "image": TAG, "eval_script": EVAL, "log_parser": "parse_log_pytest",
                    "eval_type": "pass_and_fail", "FAIL_TO_PASS": json.dumps(["test_value.py::test_new"]), "PASS_TO_PASS": "[]"}) + "\n")
        for workers in asked.workers:
            peers = [("awm", [AWM, "eval", "rows.jsonl", "--gold", "--sandbox", "docker", "--run-id", f"awm-{workers}", "-j", workers])]
            if asked.swebench:
                program = asked.swebench.absolute()
                peers.append(("swebench", [program, "eval", "rows.jsonl", "--gold", "--run-id", f"swebench-{workers}", "-j", workers]))
            for name, words in peers:
                took, cpu, done = timed(words, folder)
                count = resolved(folder, f"{name}-{workers}", names)
                print(f"{name}, {workers} at a time: {took:.2f} s, {took / asked.rows:.3f} s a row, {cpu:.2f} s of processor, {count} of {asked.rows} resolved",
                      flush=True)
                if count != asked.rows:
                    bad = True
                    print(done.stdout[-1500:] + done.stderr[-1500:])
    finally:
        subprocess.run(["docker", "rmi", "-f", TAG], capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
