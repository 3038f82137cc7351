"""
Nodes in a program of somebody else: the one of the manual, in a process of its own, with official clients.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.e2e.free_port import free_port
from tests.e2e.scenario import Scenario, scratch_directory
from tests.e2e.server import CHECKOUT, PATIENCE, TROUBLE

EXAMPLE = CHECKOUT / "docs" / "examples" / "two_nodes.py"

# The program dies with the test run, and its modules come from the checkout.
_START = """
import ctypes, runpy, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


# A program that does not stop its node.
_FORGETFUL = """
from twisted.internet.task import react
from dstwist.auth.hashing import hash_argon2
from dstwist.interfaces import HandshakeData, Record
from dstwist.node import Node

async def main(reactor):
    users = {"ann": {"password": hash_argon2("x")}}
    auth = [{"type": "file", "options": {"users": users, "hash": "md5", "iterations": 10, "keyLength": 16}}]
    listen = ["tcp:%(port)d:interface=127.0.0.1"]
    node = Node.from_config({"auth": auth}, reactor=reactor, data_dir=%(directory)r, listen=listen)
    await node.start()
    login = await node.request_logins.login(HandshakeData("127.0.0.1"), b'{"username":"ann","password":"x"}')
    await node._stores.storage.set("a", 1, {})
    print(login.user, "written")

react(lambda reactor: main(reactor))
"""


class Address:
    """
    Where clients of one node connect to. The program logs, and not this.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"ws://127.0.0.1:{port}"


class Program:
    """
    The program, and what it logs.
    """

    def __init__(self, script: Path, *words: str) -> None:
        environ = {**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, str(script), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environ,
            text=True,
        )
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        self.process.stdout.close()
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, text: str) -> None:
        """
        Come back when a line with C{text} was logged.
        """
        with self._changed:
            found = self._changed.wait_for(lambda: any(text in line for line in self.lines), PATIENCE)
        assert found, f"{text!r} was not logged:\n" + "\n".join(self.lines)

    def end(self, number: int = signal.SIGTERM) -> int:
        """
        Ask the program to end; its status.
        """
        self.process.send_signal(number)
        status = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return status

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class TwoNodesTests(Scenario):
    """
    The web application of the manual, with two nodes that want the same storage.
    """

    def setUp(self) -> None:
        super().setUp()
        self.directory = scratch_directory()
        self.left, self.right = Address(free_port()), Address(free_port())
        for name, node in (("left", self.left), ("right", self.right)):
            config = {
                "httpServer": {"options": {"host": "127.0.0.1", "port": node.port}},
                "storage": {"type": "sqlite", "options": {"path": str(self.directory / "records.sqlite")}},
                "auth": {"type": "none"},
                "permission": {"type": "none"},
            }
            (self.directory / f"{name}.json").write_text(json.dumps(config))
        self.web = free_port()

    def start(self) -> Program:
        files = [str(self.directory / f"{name}.json") for name in ("left", "right")]
        program = Program(EXAMPLE, f"tcp:{self.web}:interface=127.0.0.1", *files)
        self.addCleanup(program.kill)
        return program

    def ask(self, path: str = "/", method: str = "GET") -> dict[str, str]:
        """
        The states of the nodes, as the web application has them.
        """
        with urlopen(Request(f"http://127.0.0.1:{self.web}{path}", method=method), timeout=PATIENCE) as answer:
            text = answer.read().decode()
        return dict(line.split(": ", 1) for line in text.splitlines())

    def test_one_cannot_start(self) -> None:
        """
        One of two nodes cannot start. The program lives and serves, and so does the other node, for clients of both
        generations. When the other node has stopped, the first one can start in the same process, and has all records.
        """
        program = self.start()
        program.wait_for("is in use by another dstwist")
        program.wait_for("dstwist stopped [right]")
        states = self.ask()
        self.assertEqual(states["left"], "running")
        self.assertIn("cannot start: storage: ", states["right"])
        with socket.socket() as probe:
            # The port of the node that cannot start is closed.
            self.assertNotEqual(probe.connect_ex(("127.0.0.1", self.right.port)), 0)

        left: Any = self.left
        writer, reader = self.logged_in("v2", left), self.logged_in("v7", left)
        name = self.name("record")
        self.assertIsNone(writer.set_data_with_ack(name, '{"a":1}'))
        self.assertEqual(reader.look("snapshot", name), '{"a":1}')
        for client in (writer, reader):
            client.close()

        self.assertEqual(self.ask("/stop/left", "POST")["left"], "stopped")
        self.assertEqual(self.ask("/start/right", "POST")["right"], "running")
        right: Any = self.right
        later = self.logged_in("v7", right)
        self.assertEqual(later.look("snapshot", name), '{"a":1}')
        later.close()

        # The program decides about its end.
        self.assertEqual(program.end(), 0, "\n".join(program.lines))
        self.assertEqual(len([line for line in program.lines if "dstwist stopped [right]" in line]), 2)
        trouble = [line for line in program.lines if TROUBLE.search(line) and "is in use by another" not in line]
        self.assertEqual(trouble, [])

    def test_port_taken(self) -> None:
        """
        The same for a node whose port is taken. It starts when the port is free.
        """
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", self.left.port))
            taken.listen()
            program = self.start()
            program.wait_for("dstwist started [right]")
            self.assertIn(f"Couldn't listen on 127.0.0.1:{self.left.port}", self.ask()["left"])
        self.ask("/stop/right", "POST")
        self.assertEqual(self.ask("/start/left", "POST")["left"], "running")
        left: Any = self.left
        client = self.logged_in("v7", left)
        client.close()
        self.assertEqual(program.end(), 0, "\n".join(program.lines))


class ManualTests(Scenario):
    """
    The program in the text of the manual.
    """

    def test_program(self) -> None:
        """
        It starts a node, stops it, and ends; if the port is taken, it says so and ends.
        """
        text = (CHECKOUT / "docs" / "embedding.rst").read_text(encoding="utf-8")
        block = re.findall(r"^\.\. code-block:: python\n\n((?: {4}.*\n|\n)+)", text, re.MULTILINE)[0]
        directory = scratch_directory()
        port = free_port()
        code = textwrap.dedent(block).replace("tcp:6020", f"tcp:{port}")
        for word in ("config.yml", "data"):
            code = code.replace(f'"{word}"', repr(str(directory / word)))
        (directory / "config.yml").write_text("auth: {type: none}\npermission: {type: none}\n")
        script = directory / "program.py"
        script.write_text(code)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", port))
            taken.listen()
            self.assertIn("the node cannot start: Couldn't listen on", self.output(script))
        self.assertIn("clients can connect to IPv4Address", self.output(script))
        self.assertTrue((directory / "data" / "records.sqlite").exists())

    def output(self, script: Path) -> str:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _START, str(script)],
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        self.assertEqual((done.returncode, TROUBLE.findall(done.stderr)), (0, []), done.stdout + done.stderr)
        return done.stdout

    def test_forgotten(self) -> None:
        """
        A program ends also if it does not stop its node, whose threads have hashed passwords and written records.
        """
        script = scratch_directory() / "program.py"
        script.write_text(_FORGETFUL % {"port": free_port(), "directory": str(script.parent)})
        self.assertEqual(self.output(script), "ann written\n")
