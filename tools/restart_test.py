"""
Restarts a server under load again and again. Each stop must be clean, in time, and without a traceback in the log::

    3 restarts under load of 20 clients: 0 unclean, 0 tracebacks in 214 lines of log, 40 logins, 9500 events emitted

    python tools/restart_test.py [ROUNDS]
"""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

from bench.sockets import TWISTD, Server, connect, free_port, say
from dstwist.protocol import protobuf
from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.message import Message
from tests.nodes.client import client_frame

CLIENTS = 20


def load(port: int, stop: threading.Event, counts: list[int], index: int) -> None:
    """
    Subscribe, emit and listen as fast as possible; connect again when the server has gone.
    """
    burst = client_frame(protobuf.CLIENT.encode(Message(Topic.EVENT, EventAction.EMIT, "load", b'"1.34325"')), 2) * 20
    while not stop.is_set():
        with contextlib.suppress(OSError), connect(Server(0, port), f"u{index}") as client:
            client.settimeout(1)
            say(client, Message(Topic.EVENT, EventAction.SUBSCRIBE, names=("load",), correlation_id="0"))
            say(client, Message(Topic.EVENT, EventAction.LISTEN, "^lo"))
            while not stop.is_set():
                client.sendall(burst)
                if not client.recv(1 << 18):
                    break
                counts[index] += 20
        time.sleep(0.05)


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    port, stop, counts = free_port(), threading.Event(), [0] * CLIENTS
    for index in range(CLIENTS):
        threading.Thread(target=load, args=(port, stop, counts, index), daemon=True).start()
    failures = 0
    with tempfile.TemporaryFile("w+") as log:
        for _ in range(rounds):
            command = [sys.executable, *TWISTD, "dstwist", "--listen", f"tcp:{port}:interface=127.0.0.1"]
            process = subprocess.Popen(command, stdout=log, stderr=log)
            time.sleep(1.0 + random.random())
            process.send_signal(random.choice((signal.SIGTERM, signal.SIGINT)))
            try:
                failures += process.wait(20) != 0
            except subprocess.TimeoutExpired:
                process.kill()
                failures += 1
        stop.set()
        log.seek(0)
        lines = log.readlines()
    tracebacks = sum("Traceback" in line for line in lines)
    logins = sum("AUTH_SUCCESSFUL" in line for line in lines)
    print(
        f"{rounds} restarts under load of {CLIENTS} clients: {failures} unclean, {tracebacks} tracebacks in "
        f"{len(lines)} lines of log, {logins} logins, {sum(counts)} events emitted"
    )
    if failures or tracebacks:
        print("".join(lines[-30:]))
    return 1 if failures or tracebacks else 0


if __name__ == "__main__":
    sys.exit(main())
