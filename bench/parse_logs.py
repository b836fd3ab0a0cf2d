#!/usr/bin/env python3
"""Reading the recorded logs, side by side: SWE-bench's own parsers in this Python, and ours. Needs the package `swebench`
5.0.2 in the Python that runs it, ../shared/data/eval_logs, and a release build of the target `logparse_batch`.

    ninja -C build/release logparse_batch
    python bench/parse_logs.py [ROUNDS]

Both have the files' bytes in memory; the time is that of decoding and parsing all of them, best of ROUNDS (default 5), the
two sides in turn.
"""
import io
import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOGS = pathlib.Path(os.environ.get("AWM_SHARED_DATA", ROOT.parent / "shared" / "data")) / "eval_logs"
BATCH = ROOT / "build/release/bin/logparse_batch"


class Spec:
    version = instance_id = ""


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    try:
        from swebench.harness.log_parsers import PARSER_REGISTRY
        from swebench.harness.log_parsers.python import MAP_REPO_TO_PARSER_PY
    except ImportError:
        sys.exit("parse_logs.py needs SWE-bench's package: pip install swebench==5.0.2")
    if not (LOGS / "index.jsonl").is_file():
        sys.exit(f"parse_logs.py needs {LOGS}")
    names = {function: name for name, function in reversed(PARSER_REGISTRY.items())}
    work = []
    for line in (LOGS / "index.jsonl").read_text().splitlines():
        row = json.loads(line)
        path = LOGS / row["dir"] / "test_output.txt"
        work.append((MAP_REPO_TO_PARSER_PY[row["repo"]], path, path.read_bytes()))
    size = sum(len(data) for _, _, data in work)
    arguments = [f"{names[function]}:{path}" for function, path, _ in work]
    theirs = ours = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        tests = 0
        for function, _, data in work:
            text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", errors="replace").read()
            tests += len(function(text, Spec))
        theirs = min(theirs, time.perf_counter() - start)
        # Rounds of ours are short: twenty in a process, the best of them.
        answer = subprocess.run([BATCH, "--time", "20", *arguments], check=True, capture_output=True, text=True).stdout.split()
        assert int(answer[0]) == size and int(answer[1]) == tests, "the two read different things"
        ours = min(ours, float(answer[2]))
    print(f"{len(work)} logs, {size / 1e6:.1f} MB, {tests} tests; best of {rounds}, one core each")
    print(f"{'':24}{'ms':>9}{'MB/s':>9}{'logs/s':>9}")
    for name, took in (("SWE-bench 5.0.2", theirs), ("awm", ours)):
        print(f"{name:24}{took * 1e3:9.1f}{size / took / 1e6:9.1f}{len(work) / took:9.0f}")
    print(f"{theirs / ours:.0f} times as fast")


if __name__ == "__main__":
    main()
