"""
Tests for L{dstwist.cli.service}, and for the unit that comes with dstwist.
"""

from __future__ import annotations

import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from dstwist.cli import main as cli
from dstwist.cli import service as cli_service

UNIT = Path(__file__).parent.parent.parent / "etc" / "systemd" / "dstwist.service"


def values(text: str, key: str) -> list[str]:
    """
    The values of C{key} in a unit.
    """
    return [line.partition("=")[2] for line in text.splitlines() if line.partition("=")[0] == key]


class UnitTests(SynchronousTestCase):
    """
    The shipped unit.
    """

    def test_content(self) -> None:
        """
        systemd knows when the server is ready and when it hangs, does not start again what cannot start, and reloads
        it by a signal that is safe at any time.
        """
        text = UNIT.read_text()
        for key, value in (
            ("Type", "notify"),
            ("WatchdogSec", "30"),
            ("Restart", "on-failure"),
            ("RestartPreventExitStatus", "78"),
            ("AmbientCapabilities", "CAP_NET_BIND_SERVICE"),
            ("CapabilityBoundingSet", "CAP_NET_BIND_SERVICE"),
            ("ExecReload", "/bin/sh -c 'kill -HUP $MAINPID'"),
            ("ProtectSystem", "strict"),
            ("NoNewPrivileges", "yes"),
        ):
            self.assertIn(value, values(text, key), key)
        # pyOpenSSL cannot make its callbacks with it.
        self.assertEqual(values(text, "MemoryDenyWriteExecute"), [])

    def test_systemd(self) -> None:
        """
        systemd accepts the unit unchanged, and its security check has few complaints.
        """
        if shutil.which("systemd-analyze") is None:
            raise SkipTest("systemd-analyze is missing; make test installs it")
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        unit = directory / "dstwist.service"
        # The command is not installed on this machine.
        unit.write_text(UNIT.read_text().replace("ExecStart=dstwist ", "ExecStart=/bin/true "))
        for words in (["verify", "--man=no"], ["security", "--offline=true", "--threshold=20"]):
            done = subprocess.run(["systemd-analyze", *words, str(unit)], capture_output=True, text=True)
            if "Unknown" in done.stderr and "option" in done.stderr:
                continue
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class ServiceTests(SynchronousTestCase):
    """
    C{dstwist service}.
    """

    def setUp(self) -> None:
        self.units = Path(self.mktemp()).absolute()
        self.units.mkdir()
        self.calls: list[tuple[str, ...]] = []
        self.patch(cli_service, "UNIT_DIRECTORY", self.units)
        self.patch(cli_service, "_systemctl", self.systemctl)
        self.patch(cli_service, "command", lambda: "/opt/my dstwist/bin/dstwist")
        self.patch(shutil, "which", lambda name: f"/bin/{name}")
        self.patch(pwd, "getpwnam", lambda name: None)
        self.config = Path("/tmp") / f"{self.units.parent.name}.yml"
        self.config.write_text("{}")
        self.addCleanup(self.config.unlink)

    def systemctl(self, *words: str) -> int:
        self.calls.append(words)
        return 3

    def service(self, *words: str) -> Result:
        return CliRunner().invoke(cli.main, ["service", *words])

    def refused(self, *words: str) -> str:
        result = self.service(*words)
        self.assertEqual(result.exit_code, 1, result.output)
        return result.stderr.strip()

    def test_dry_run(self) -> None:
        """
        A dry run prints the unit and writes nothing.
        """
        result = self.service("add", "-c", "/etc/two/config.yml", "-n", "two", "-l", "/var/log/two", "--dry-run")
        self.assertEqual(result.exit_code, 0, result.stderr)
        for key, value in (
            (
                "ExecStart",
                '"/opt/my dstwist/bin/dstwist" start --config /etc/two/config.yml --data-dir /var/lib/two'
                " $DSTWIST_OPTS",
            ),
            ("StateDirectory", "two"),
            ("EnvironmentFile", "-/etc/default/two"),
            ("StandardOutput", "append:/var/log/two/two-out.log"),
            ("StandardError", "append:/var/log/two/two-err.log"),
            ("Description", "dstwist, a realtime data server (two)"),
            ("Type", "notify"),
        ):
            self.assertEqual(values(result.stdout, key), [value])
        self.assertEqual((list(self.units.iterdir()), self.calls), ([], []))

    def test_add(self) -> None:
        """
        Adding writes the unit, once.
        """
        result = self.service("add", "--config", str(self.config))
        self.assertEqual(result.exit_code, 0, result.stderr)
        self.assertIn("systemctl enable --now dstwist", result.stdout)
        text = (self.units / "dstwist.service").read_text()
        self.assertIn(f"--config {self.config} --data-dir /var/lib/dstwist", text)
        self.assertEqual(values(text, "StandardOutput"), [])
        self.assertEqual(self.calls, [("daemon-reload",)])
        self.assertIn("already exists", self.refused("add", "--config", str(self.config)))

    def test_add_refused(self) -> None:
        """
        A service that would not start is not added.
        """
        self.assertIn("Please provide the config", self.refused("add"))
        self.assertIn("There is no file", self.refused("add", "-c", "/nowhere.yml"))
        self.assertIn("cannot be the name", self.refused("add", "-c", str(self.config), "-n", "../x"))

        def missing(name: str) -> Any:
            raise KeyError(name)

        self.patch(pwd, "getpwnam", missing)
        self.assertIn("useradd --system", self.refused("add", "-c", str(self.config)))
        self.patch(shutil, "which", lambda name: None)
        self.assertIn("Only systemd", self.refused("add", "-c", str(self.config)))
        self.assertEqual((list(self.units.iterdir()), self.calls), ([], []))

    def test_remove(self) -> None:
        """
        Removing stops the service and deletes the unit.
        """
        self.assertIn("nothing to uninstall", self.refused("remove"))
        (self.units / "dstwist.service").write_text("")
        self.assertEqual(self.service("remove").exit_code, 0)
        self.assertEqual(self.calls, [("disable", "--now", "dstwist"), ("daemon-reload",)])
        self.assertEqual(list(self.units.iterdir()), [])

    def test_others(self) -> None:
        """
        The other actions are systemd's, with its exit status.
        """
        for action in ("start", "stop", "restart", "status"):
            self.assertEqual(self.service(action, "-n", "two").exit_code, 3)
            self.assertEqual(self.calls.pop(), (action, "two"))

    def test_quoting(self) -> None:
        """
        Paths with any characters are single words of the command.
        """
        for path, quoted in (("/a b", '"/a b"'), ("/a%b$c", "/a%%b$$c"), ('/a"\\', '"/a\\"\\\\"'), ("/a", "/a")):
            self.assertEqual(cli_service._quoted(path), quoted)
