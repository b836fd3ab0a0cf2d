#!/usr/bin/env python3
"""what_helped.py RUN: which tasks of a run passed in the way of a workflow that earlier ones had taught, a line each.

Read from the run's own files: the workflow stood in the task's prompt (samples/ID/prompt.json), the task passed, and what was learned from it
(journal.jsonl) confirmed that very workflow.
"""

import json
import pathlib
import sys


def names(ids):
    return ids[0] if len(ids) == 1 else ", ".join(ids[:-1]) + " and " + ids[-1]


def main(run):
    teachers = {}  # workflow: the tasks that added or improved it
    for line in (run / "journal.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if record.get("type") != "commit":
            continue
        task = record["instance_id"]
        prompt = run / "samples" / task / "prompt.json"
        shown = json.loads(prompt.read_text(encoding="utf-8"))["memory_section"] if prompt.exists() else ""
        for change in record.get("learned", {}).get("changes", []):
            workflow = change["target"]
            if change["kind"] != "reinforced":
                teachers.setdefault(workflow, []).extend(change["sources"])
            elif record["verdict"] == "passed" and f"### {workflow}\n" in shown:
                taught = [name for name in teachers.get(workflow, []) if name != task]
                by = f"that {names(taught)} taught" if taught else "that was there before this run"
                print(f'{task} passed because of the workflow "{workflow}" {by}.')


if len(sys.argv) != 2:
    sys.exit(f"usage: {sys.argv[0]} RUN")
main(pathlib.Path(sys.argv[1]))
