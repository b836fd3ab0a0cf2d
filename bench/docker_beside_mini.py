#!/usr/bin/env python3
"""Samples in containers beside mini-swe-agent and beside bare API calls, by turns in one engine and one image. Needs a release build, git, the docker client
(mini-swe-agent calls it, too), an engine (DOCKER_HOST, a unix socket) and an image with bash and git; and mini-swe-agent in an environment of its own:

    python3.12 -m venv mini && mini/bin/pip install mini-swe-agent==2.4.6
    bench/docker_beside_mini.py --mini mini/bin/python --image IMAGE [--samples 64] [--workers 8] [--rounds 3]
    scripts/dockerd.sh with bench/docker_beside_mini.py …     in a private engine

Each sample has eleven trivial steps and is not judged. awm runs as a whole (`awm run`, BashAgent, journal and events on disk), its model is `awm replay serve`; mini-swe-agent's
agent, Docker environment and scripted model run in threads of one Python process, without a model's HTTP. "Bare" is create, start, remove by the API, with nothing run. The
time of mini-swe-agent ends with its last agent: it leaves its containers' removal to background processes, and those are waited for between the turns and told apart.
"""
import argparse
import concurrent.futures
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
AWM = pathlib.Path(os.environ.get("AWM", ROOT / "build/release/bin/awm"))
STEPS = 11
MARK = "dev.awm.bench"  # label of what this script makes


class Engine(http.client.HTTPConnection):
    """One call to the engine's API, over its unix socket."""

    def __init__(self, path):
        super().__init__("docker", timeout=300)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def call(path, method, what, body=None):
    engine = Engine(path)
    try:
        engine.request(method, what, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
        answer = engine.getresponse()
        text = answer.read()
        if answer.status >= 400:
            sys.exit(f"{method} {what}: {answer.status} {text.decode(errors='replace')}")
        return json.loads(text) if text else None
    finally:
        engine.close()


def docker(*words, **options):
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True, **options).stdout.strip()


def make_image(folder, base):
    """`base` with an example's repository in /testbed; its name, and the commit that it stands at."""
    subprocess.run([ROOT / "examples/make_repos.sh", folder / "repos"], check=True, stdout=subprocess.DEVNULL)
    row = json.loads((ROOT / "examples/tasks.jsonl").read_text().splitlines()[0])
    repository = folder / "testbed"
    source = folder / "repos" / ("example__" + row["repo"].split("/")[1])
    subprocess.run(["git", "clone", "-q", "--no-local", source, repository], check=True)
    # As published images have it: nothing of what came after the task's commit.
    for words in (["reset", "-q", "--hard", row["base_commit"]], ["remote", "remove", "origin"], ["reflog", "expire", "--expire=now", "--all"],
                  ["gc", "-q", "--prune=now"]):
        subprocess.run(["git", "-C", repository, *words], check=True)
    name = f"awm-bench-{os.getpid()}:testbed"
    container = docker("create", "--label", MARK, base, "true")
    try:
        docker("cp", f"{repository}/.", f"{container}:/testbed")
        docker("commit", container, name)
    finally:
        docker("rm", "-f", container)
    return name, row


def live_containers(image):
    return docker("ps", "-aq", "--filter", f"ancestor={image}").split()


def wait_for_removals(image):
    began = time.monotonic()
    while live_containers(image):
        if time.monotonic() - began > 300:
            sys.exit("containers are left: " + " ".join(live_containers(image)))
        time.sleep(0.1)
    return time.monotonic() - began


def bare(asked, image, network):
    body = {"Image": image, "Entrypoint": ["sleep"], "Cmd": ["600"], "Labels": {MARK: ""}, "HostConfig": {}}
    if network == "none":
        body["HostConfig"]["NetworkMode"] = "none"

    def one(_):
        container = call(asked.socket, "POST", "/containers/create", body)["Id"]
        call(asked.socket, "POST", f"/containers/{container}/start")
        call(asked.socket, "DELETE", f"/containers/{container}?force=1&v=1")

    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(asked.workers) as pool:
        list(pool.map(one, range(asked.samples)))
    return time.monotonic() - began


def mini(asked, image):
    done = subprocess.run([asked.mini, ROOT / "bench/peers/samples_mini.py", image, str(asked.samples), str(asked.workers)],
                          capture_output=True, text=True, env={**os.environ, "HOME": str(asked.folder)})
    if done.returncode != 0:
        sys.exit(f"mini-swe-agent: {done.stdout[-2000:]}{done.stderr[-4000:]}")
    return float(done.stdout.split()[-1])


def awm(asked, image, row, network, number):
    """A whole run: the seconds of the program, from its start to its end."""
    rows = asked.folder / "rows.jsonl"
    with rows.open("w") as out:
        for i in range(asked.samples):
            out.write(json.dumps({**row, "instance_id": f"example__bench-{i:05}"}) + "\n")
    config = asked.folder / f"config-{network}.toml"
    config.write_text(f"[awm.sandbox]\nnetwork = {'true' if network == 'default' else 'false'}\n")
    place = asked.folder / f"run-{number}-{network}"
    command = [AWM, "run", "--dataset", rows, "--sandbox", "docker", "--image", image, "--agent-class", "BashAgent", "--config", config,
               "--model", "openai/scripted", "--base-url", asked.model, "--memory", "off", "--skip-evaluation", "--workers", asked.workers,
               "--memory-lag", 4 * asked.workers, "--strict-resources", "--quiet", "--output-dir", place]
    began = time.monotonic()
    done = subprocess.run([str(word) for word in command], env={**os.environ, "LLM_API_KEY": "none"}, capture_output=True, text=True)
    took = time.monotonic() - began
    commits = [record for record in map(json.loads, (place / "journal.jsonl").open()) if record["type"] == "commit"] if done.returncode == 0 else []
    if len(commits) != asked.samples or any(record["agent_end"] != "submitted" or record["iterations"] != STEPS for record in commits):
        sys.exit(f"awm ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return took


def serve(asked):
    """`awm replay serve` with eleven steps for whoever asks; the process."""
    steps = [{"content": "On.", "tool_calls": [{"name": "bash", "arguments": {"command": command}}]}
             for command in [f"echo step {step}" for step in range(STEPS - 1)] + ["echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"]]
    script = asked.folder / "script.json"
    script.write_text(json.dumps({"name": "eleven", "match": {"default": True}, "steps": steps}))
    server = subprocess.Popen([AWM, "replay", "serve", "--script", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    asked.model = server.stdout.readline().split()[-1]
    return server


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--mini", help="Python with mini-swe-agent; without it that turn is left out")
    options.add_argument("--image", required=True, help="with bash and git; an archive (.tar) of a root file system is imported")
    options.add_argument("--samples", type=int, default=64)
    options.add_argument("--workers", type=int, default=8)
    options.add_argument("--rounds", type=int, default=3)
    asked = options.parse_args()
    host = os.environ.get("AWM_TEST_DOCKER_HOST") or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    if not host.startswith("unix://"):
        sys.exit(f"{host}: a unix socket is needed")
    os.environ["DOCKER_HOST"] = host
    asked.socket = host.removeprefix("unix://")
    if shutil.which("docker") is None:
        sys.exit("the docker client is needed (mini-swe-agent calls it)")
    asked.folder = pathlib.Path(tempfile.mkdtemp(prefix="awm-bench-"))
    made = []
    server = None
    try:
        base = asked.image
        if base.endswith(".tar"):
            base = f"awm-bench-{os.getpid()}:base"
            docker("import", asked.image, base)
            made.append(base)
        image, row = make_image(asked.folder, base)
        made.insert(0, image)
        server = serve(asked)
        turns = {"bare create, start, remove, default network": lambda n: bare(asked, image, "default"),
                 "bare create, start, remove, network none": lambda n: bare(asked, image, "none"),
                 "awm run, default network": lambda n: awm(asked, image, row, "default", n),
                 "awm run, network none": lambda n: awm(asked, image, row, "none", n)}
        if asked.mini:
            turns["mini-swe-agent, default network"] = lambda n: mini(asked, image)
        seen = {name: [] for name in turns}
        removals = []
        print(f"engine {docker('version', '--format', '{{.Server.Version}}')}, {os.cpu_count()} cores, load before {os.getloadavg()[0]:.1f}; "
              f"{asked.samples} samples of {STEPS} steps, {asked.workers} at a time; a minute", flush=True)
        for number in range(asked.rounds):
            for name, turn in turns.items():
                seen[name].append(60 * asked.samples / turn(number))
                waited = wait_for_removals(image)
                if name.startswith("mini"):
                    removals.append(waited)
                print(f"  round {number + 1}: {name}: {seen[name][-1]:.0f}", flush=True)
        print("| what | samples a minute, median | rounds |\n|---|---|---|")
        for name, rates in seen.items():
            print(f"| {name} | {statistics.median(rates):.0f} | {', '.join(f'{rate:.0f}' for rate in rates)} |")
        if removals:
            print(f"mini-swe-agent's containers were gone {min(removals):.1f} to {max(removals):.1f} s after its last agent")
        print(f"load after {os.getloadavg()[0]:.1f}")
    finally:
        if server is not None:
            server.send_signal(signal.SIGTERM)
            server.wait()
        for container in docker("ps", "-aq", "--filter", f"label={MARK}").split():
            docker("rm", "-f", container)
        for name in made:
            subprocess.run(["docker", "rmi", "-f", name], capture_output=True)
        shutil.rmtree(asked.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
