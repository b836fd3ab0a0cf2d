#!/usr/bin/env python3
"""read_as_predecessor.py RUN: reads a run's output folder as the predecessor's own programs read theirs.

Those programs (its loop's resume, its buffer and memory, and the three scripts that its users ran on results afterwards) build objects that take no other
keys, put numbers and texts straight into formulas, and compare times without a zone. Whatever one of them would stumble over ends this with an
AssertionError; what they would have found is printed as JSON.
"""

import dataclasses
import datetime
import json
import pathlib
import sys
from typing import Optional


@dataclasses.dataclass
class Step:
    step_id: int
    observation: str
    thought: str
    action: str
    action_type: str
    file_path: Optional[str] = None
    command: Optional[str] = None


@dataclasses.dataclass
class Experience:
    instance_id: str
    problem_statement: str
    diff_patch: str
    history: list
    test_result: str
    test_output: Optional[str] = None
    task_type: Optional[str] = None
    timestamp: str = ""
    model_name: str = ""


@dataclasses.dataclass
class WorkflowStep:
    step_type: str
    reasoning: str
    action_template: str


@dataclasses.dataclass
class Workflow:
    name: str
    description: str
    applicable_scenarios: list
    steps: list
    source_experiences: list = dataclasses.field(default_factory=list)
    created_at: Optional[str] = None
    version: str = "1.0"


ACTION_TYPES = {"run_command", "run_ipython", "read_file", "write_file", "edit_file", "browse", "finish", "message", "think"}
TASK_TYPES = {"bug_fix", "feature", "refactor", "test", "docs", "performance", "general"}
API_WORDS = (
    "connection api openrouter rate_limit timeout network socket ssl certificate 503 502 500 429 unauthorized forbidden".split()
    + ["rate limit", "timed out"]
)


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def strict(kind, value, what):
    """An object of `kind` from exactly its keys, each of the type that it says."""
    check(isinstance(value, dict), f"{what}: no object")
    made = kind(**value)  # TypeError: a key too many, or too few
    for field in dataclasses.fields(kind):
        given = getattr(made, field.name)
        wanted = (str, type(None)) if field.type == Optional[str] else field.type
        check(isinstance(given, wanted), f"{what}.{field.name}: {type(given).__name__}")
    return made


def naive(text, what):
    time = datetime.datetime.fromisoformat(text)
    check(time.tzinfo is None, f"{what}: a time with a zone cannot be compared with theirs")
    return time


def experience(value, what, keys=None):
    if keys is not None:
        value = {key: value[key] for key in keys}
    made = strict(Experience, value, what)
    naive(made.timestamp, what)
    check(made.task_type in TASK_TYPES, f"{what}.task_type: {made.task_type}")
    for place, step in enumerate(made.history):
        one = strict(Step, step, f"{what}.history[{place}]")
        check(one.action_type in ACTION_TYPES, f"{what}: {one.action_type}")
        check(one.action_type != "run_command" or one.command, f"{what}: a command without its text")
    return made


def error_class(entry):
    """By the words that the users' script goes by, in its order."""
    said = entry.test_output or ""
    if entry.test_result == "PASS":
        return "success"
    if said.startswith("Error:"):
        return "api_error" if any(word in said.lower() for word in API_WORDS) else "runtime_error"
    if len(entry.diff_patch.strip()) < 10:
        return "empty_generation"
    if "APPLY_PATCH_FAIL" in said:
        return "patch_failed"
    if "timeout" in said.lower() or "timed out" in said.lower():
        return "test_timeout"
    return "test_failed"


def main(run):
    def load(name):
        return json.loads((run / name).read_text(encoding="utf-8"))

    keys = [field.name for field in dataclasses.fields(Experience)]
    results = []
    for number, line in enumerate((run / "results.jsonl").read_text(encoding="utf-8").splitlines(), 1):
        results.append(experience(json.loads(line), f"results.jsonl:{number}", keys))
    in_time = sorted(results, key=lambda one: naive(one.timestamp, one.instance_id))

    checkpoint = load("checkpoint.json")
    check(set(checkpoint) == {"total_processed", "total_success", "start_time", "last_checkpoint"}, "checkpoint.json's keys")
    check(type(checkpoint["total_processed"]) is int and type(checkpoint["total_success"]) is int, "checkpoint.json's counters")
    check(checkpoint["total_processed"] == len(results), "checkpoint.json: total_processed")
    check(checkpoint["total_success"] == sum(one.test_result == "PASS" for one in results), "checkpoint.json: total_success")
    naive(checkpoint["start_time"], "checkpoint.json")
    naive(checkpoint["last_checkpoint"], "checkpoint.json")

    memory = load("memory.json") if (run / "memory.json").exists() else {"workflows": [], "total_count": 0}
    workflows = [strict(Workflow, one, f"memory.json: workflow {place}") for place, one in enumerate(memory["workflows"])]
    check(memory["total_count"] == len(workflows), "memory.json: total_count")
    for workflow in workflows:
        check(all(isinstance(text, str) for text in workflow.applicable_scenarios + workflow.source_experiences), workflow.name)
        for step in workflow.steps:
            strict(WorkflowStep, step, workflow.name)

    buffer = load("buffer.json")
    check(set(buffer) == {"success_count", "buffer", "last_updated"}, "buffer.json's keys")
    passed = [experience(one, f"buffer.json: {kind}") for kind, held in buffer["buffer"].items() for one in held]
    check(set(buffer["buffer"]) <= TASK_TYPES, "buffer.json's task types")
    check(buffer["success_count"] == len(passed) == checkpoint["total_success"], "buffer.json: success_count")

    config = load("config.json")
    wanted = {
        "llm_config_name": str, "agent_class": str, "max_iterations": int, "dataset_name": str, "split": str, "repo_filter": str,
        "induction_trigger_count": int, "max_workflows": int, "truncation_limit": (int, type(None)), "output_dir": str,
        "checkpoint_interval": int, "skip_evaluation": bool, "verbose": bool,
    }  # fmt: skip
    check(set(config) == set(wanted), f"config.json's keys: {set(config) ^ set(wanted)}")
    for key, kind in wanted.items():
        check(isinstance(config[key], kind), f"config.json: {key}")

    result = load("result.json")
    check([one["instance_id"] for one in result["experiences"]] == [one.instance_id for one in results], "result.json: experiences")
    check(result["workflows"] == memory["workflows"], "result.json: workflows")
    numbers = ("total_processed", "total_success", "success_rate", "workflows_learned", "buffer_size", "elapsed_seconds")
    check(all(isinstance(result["statistics"][key], (int, float)) for key in numbers), "result.json: statistics")

    json.dump(
        {
            "classes": {one.instance_id: error_class(one) for one in results},
            "passed_so_far": [sum(one.test_result == "PASS" for one in in_time[: end + 1]) for end in range(len(in_time))],
            "workflows": [workflow.name for workflow in workflows],
        },
        sys.stdout,
    )


if len(sys.argv) != 2:
    sys.exit(f"usage: {sys.argv[0]} RUN")
main(pathlib.Path(sys.argv[1]))
