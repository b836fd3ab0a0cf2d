#!/usr/bin/env python3
"""make_tasks.py: writes tasks.jsonl, SWE-bench rows (v5 columns), from tasks/ID/{task.json,problem.md,gold.patch,test.patch}, in the
order of tasks/order.txt: what a task teaches is there for those some places behind it.

For who changes an example; the repositories come from make_repos.sh.
"""

import json
import pathlib

HERE = pathlib.Path(__file__).parent
HEREDOC = "EOF_114329324912"  # as in published rows


def eval_script(task, test_patch, files):
    base = task["base_commit"]
    return "\n".join(
        [
            "#!/bin/bash",
            "set -uxo pipefail",
            "cd /testbed",
            "git status",
            "git show --stat",
            f"git -c core.fileMode=false diff {base}",
            f"git checkout {base} {' '.join(files)}",
            f"git apply -v - <<'{HEREDOC}'",
            test_patch + HEREDOC,
            ": '>>>>> Start Test Output'",
            task["test_command"],
            ": '>>>>> End Test Output'",
            f"git checkout {base} {' '.join(files)}",
            "",
        ]
    )


def row(folder):
    task = json.loads((folder / "task.json").read_text())
    test_patch = (folder / "test.patch").read_text()
    files = [line[6:] for line in test_patch.splitlines() if line.startswith("--- a/")]
    return {
        "repo": task["repo"],
        "instance_id": folder.name,
        "base_commit": task["base_commit"],
        "patch": (folder / "gold.patch").read_text(),
        "test_patch": test_patch,
        "problem_statement": (folder / "problem.md").read_text(),
        "hints_text": task.get("hints_text", ""),
        "created_at": task["created_at"],
        "version": task["version"],
        "FAIL_TO_PASS": json.dumps(task["FAIL_TO_PASS"], ensure_ascii=False),
        "PASS_TO_PASS": json.dumps(task["PASS_TO_PASS"], ensure_ascii=False),
        "environment_setup_commit": task["base_commit"],
        "eval_script": eval_script(task, test_patch, files),
        "log_parser": task["log_parser"],
        "eval_type": "pass_and_fail",
    }


with open(HERE / "tasks.jsonl", "w", encoding="utf-8") as out:
    for name in (HERE / "tasks" / "order.txt").read_text().split():
        out.write(json.dumps(row(HERE / "tasks" / name), ensure_ascii=False) + "\n")
