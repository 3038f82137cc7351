"""
The Debian package, built and unpacked: the server in it runs with Debian's own Python, and the official clients use it.

debian/tests/life installs it on a machine; this is what can be done without changing the one that the tests run on.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.e2e.free_port import free_port
from tests.e2e.server import CHECKOUT

#: It begins first.
LENGTHY = True

#: How long the server may take to start. None of its modules was compiled before.
START = 120.0

#: Files without which the package is not complete; {} is the directory with the modules.
FILES = """
etc/apparmor.d/dstwist etc/default/dstwist etc/dstwist/config.yml etc/dstwist/permissions.yml etc/logrotate.d/dstwist
lib/systemd/system/dstwist.service lib/systemd/system/dstwist.socket lib/systemd/system/dstwist@.service
opt/venvs/dstwist/bin/twistd opt/venvs/dstwist/bin/dstwist opt/venvs/dstwist/share/dstwist/dstwist.service
{}/twisted/plugins/dropin.cache usr/bin/dstwist usr/lib/sysusers.d/dstwist.conf usr/share/dstwist/users.yml
usr/share/bash-completion/completions/dstwist usr/share/fish/vendor_completions.d/dstwist.fish
usr/share/zsh/vendor-completions/_dstwist usr/share/doc/dstwist/README.Debian usr/share/doc/dstwist/copyright
usr/share/man/man1/dstwist.1.gz usr/share/man/man5/dstwist-config.5.gz usr/share/man/man5/dstwist-permissions.5.gz
"""


class PackageTests(SynchronousTestCase):
    """
    One test: the build takes a minute.
    """

    def test_package(self) -> None:
        """
        All files are in the package, none was compiled, and no command of other packages is among them. Its
        server starts with the configuration of the package, and both official clients write and read.
        """
        root = Path(self.mktemp()).resolve()
        built = subprocess.run(
            ["tools/deb.sh"],
            # To compress it well takes a quarter of the test.
            env={**os.environ, "DPKG_DEB_COMPRESSOR_LEVEL": "0"},
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        subprocess.run(["dpkg-deb", "-x", CHECKOUT / built.stdout.split()[-1], root], check=True)

        [modules] = (root / "opt/venvs/dstwist/lib").glob("python3.*/site-packages")
        wanted = FILES.format(modules.relative_to(root)).split()
        self.assertEqual([name for name in wanted if not os.path.lexists(root / name)], [])
        self.assertEqual(list(modules.rglob("__pycache__")), [])
        commands = {path.name for path in (root / "opt/venvs/dstwist/bin").iterdir()}
        self.assertEqual({name for name in commands if not name.startswith("python")}, {"dstwist", "twistd"})

        port = free_port()
        server = subprocess.Popen(
            ["/usr/bin/python3", "-s", "-P", "-B", "-m", "dstwist", "start"]
            + ["--config", root / "etc/dstwist/config.yml", "--data-dir", root, "--port", str(port)],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(modules)},
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)
        self._wait_for(port, server)
        clients = subprocess.run(
            ["node", CHECKOUT / "debian/tests/clients.js", f"127.0.0.1:{port}"],
            env={**os.environ, "NODE_PATH": str(CHECKOUT / "tests/e2e/node_modules")},
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual((clients.stdout, clients.stderr), ("both clients wrote and read\n", ""))

    def _wait_for(self, port: int, server: subprocess.Popen[str]) -> None:
        end = time.monotonic() + START
        while time.monotonic() < end and server.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.1)
        server.kill()
        self.fail(f"The server of the package does not start:\n{server.communicate()[0]}")
