"""A command in mini-swe-agent's local environment (a bash process each, not isolated): p50 of five rounds. Run it with a Python that has
mini-swe-agent."""
import os
import statistics
import time

os.environ.setdefault("MSWEA_SILENT_STARTUP", "1")
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

from minisweagent.environments.local import LocalEnvironment  # noqa: E402


def main():
    environment = LocalEnvironment()
    for command in ("true", "echo hello"):
        rounds = []
        for _ in range(5):
            took = []
            for _ in range(300):
                began = time.perf_counter()
                environment.execute({"command": command})
                took.append((time.perf_counter() - began) * 1000)
            rounds.append(statistics.median(took))
        print(f"mini-swe-agent, {command}: p50 {statistics.median(rounds):.2f} ms ({min(rounds):.2f} to {max(rounds):.2f})")


if __name__ == "__main__":
    main()
