"""What litellm adds to a model call: 200 messages to a server of this machine that answers at once, less the bare exchange over one kept connection.
Medians of five rounds. Run it with a Python that has litellm."""
import http.client
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import threading
import time

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
ANSWER = json.dumps({"id": "x", "object": "chat.completion", "created": 1, "model": "gpt-4o",
                     "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "ok"}}],
                     "usage": {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}}).encode()


def client(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    received = b""
    while True:
        while b"\r\n\r\n" not in received:
            more = connection.recv(65536)
            if not more:
                return
            received += more
        head, received = received.split(b"\r\n\r\n", 1)
        length = sum(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        while len(received) < length:
            received += connection.recv(65536)
        received = received[length:]
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER)


def serve():
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        threading.Thread(target=client, args=(listener.accept()[0],), daemon=True).start()


def milliseconds(times, body):
    took = []
    for _ in range(times):
        began = time.perf_counter()
        body()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


def main():
    server = subprocess.Popen([sys.executable, pathlib.Path(__file__), "serve"], stdout=subprocess.PIPE, text=True)
    try:
        port = int(server.stdout.readline())
        import litellm

        litellm.suppress_debug_info = True
        messages = [{"role": "system", "content": "You are a helpful agent. " * 20}]
        for i in range(199):
            messages.append({"role": "user" if i % 2 == 0 else "assistant", "content": f"Step {i}: " + "some output of a command, line after line. " * 20})
        body = json.dumps({"model": "gpt-4o", "messages": messages}).encode()
        connection = http.client.HTTPConnection("127.0.0.1", port)

        def bare():
            connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
            connection.getresponse().read()

        def call():
            litellm.completion(model="openai/gpt-4o", messages=messages, api_base=f"http://127.0.0.1:{port}/v1", api_key="k")

        milliseconds(5, call)
        rounds = [(milliseconds(50, bare), milliseconds(50, call)) for _ in range(5)]
        one, other = (statistics.median(column) for column in zip(*rounds))
        print(f"litellm {litellm.__version__ if hasattr(litellm, '__version__') else ''}: bare exchange {one:.3f} ms, a call {other:.3f} ms, "
              f"overhead {statistics.median(b - a for a, b in rounds):.3f} ms")
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["serve"] else main()
