"""mini-swe-agent in containers: so many samples of eleven trivial steps, so many at a time, with its own agent, Docker environment and scripted model. Run by
bench/docker_beside_mini.py in an environment with mini-swe-agent.

    python samples_mini.py IMAGE SAMPLES WORKERS    prints the seconds until the last agent was done
"""
import concurrent.futures
import logging
import os
import sys
import time

os.environ.setdefault("MSWEA_SILENT_STARTUP", "1")
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
from minisweagent.agents.default import DefaultAgent
from minisweagent.environments.docker import DockerEnvironment
from minisweagent.models.test_models import DeterministicModel, make_output

STEPS = 11


def sample(image):
    commands = [f"echo step {step}" for step in range(STEPS - 1)] + ["echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"]
    model = DeterministicModel(outputs=[make_output("On.", [{"command": command}], cost=0.0) for command in commands])
    environment = DockerEnvironment(image=image, cwd="/testbed")
    agent = DefaultAgent(model, environment, system_template="You fix bugs.", instance_template="{{task}}", cost_limit=0)
    ended = agent.run("Do eleven things.")
    if ended.get("exit_status") != "Submitted" or agent.n_calls != STEPS:
        raise RuntimeError(f"mini-swe-agent ended with {ended} after {agent.n_calls} steps")


def main():
    image, samples, workers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    logging.disable(logging.INFO)
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(sample, image) for _ in range(samples)]:
            done.result()
    print(time.monotonic() - began)


if __name__ == "__main__":
    main()
