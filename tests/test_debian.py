"""
The Debian package, as far as it can be tested without building it: debian/tests/life tries it on a machine.
"""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

from docutils.core import publish_doctree
from twisted.trial.unittest import SynchronousTestCase

from dstwist import __version__
from dstwist.config.load import load
from dstwist.errors import ConfigError
from dstwist.store.sqlite_schema import SCHEMA_VERSION

CHECKOUT = Path(__file__).resolve().parent.parent
DEBIAN = CHECKOUT / "debian"


class DebianTests(SynchronousTestCase):
    """
    The scripts of the package run on a directory that stands for the root of a machine.
    """

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).resolve()
        self.records = self.root / "var/lib/dstwist/records.sqlite"
        self.records.parent.mkdir(parents=True)

    def script(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """
        Run a script as dpkg would.
        """
        text = (DEBIAN / f"dstwist.{name}").read_text().replace("#SCHEMA_VERSION#", str(SCHEMA_VERSION))
        return subprocess.run(
            ["sh", "-c", text, name, *arguments],
            env={**os.environ, "DPKG_ROOT": str(self.root)},
            capture_output=True,
            text=True,
            check=False,
        )

    def keep_records(self, version: int, records: Path | None = None) -> None:
        """
        Make a database with tables of C{version}.
        """
        path = records or self.records
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path)
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("CREATE TABLE t (x)")
        connection.close()

    def test_version(self) -> None:
        """
        The changelog has the version of dstwist.
        """
        first = (DEBIAN / "changelog").read_text().splitlines()[0]
        self.assertEqual(re.findall(r"dstwist \((.*)\) unstable", first), [__version__])

    def test_schema_version(self) -> None:
        """
        debian/rules finds the version of the tables.
        """
        rules = (DEBIAN / "rules").read_text()
        expression = re.findall(r"sed -n '(.*SCHEMA_VERSION.*)' (\S+)\)", rules)[0]
        found = subprocess.run(["sed", "-n", *expression], cwd=CHECKOUT, capture_output=True, text=True, check=True)
        self.assertEqual(found.stdout.strip(), str(SCHEMA_VERSION))

    def test_upgrade(self) -> None:
        """
        A package that reads the records, or finds none, is unpacked.
        """
        self.assertEqual(self.script("preinst", "upgrade", "0.0.1").returncode, 0)
        self.keep_records(SCHEMA_VERSION)
        self.assertEqual(self.script("preinst", "upgrade", "0.0.1").returncode, 0)

    def test_downgrade(self) -> None:
        """
        A package that is too old for the records is not unpacked, and says which file, and why.
        """
        self.keep_records(SCHEMA_VERSION + 300)
        result = self.script("preinst", "upgrade", "9.0")
        self.assertEqual(result.returncode, 1)
        self.assertIn(f"{self.records} was written by a newer dstwist", result.stderr)
        self.assertIn(f"version {SCHEMA_VERSION + 300}, this package reads {SCHEMA_VERSION}", result.stderr)

    def test_downgrade_of_an_instance(self) -> None:
        """
        The records of dstwist@NAME count as well.
        """
        self.keep_records(SCHEMA_VERSION)
        self.keep_records(SCHEMA_VERSION + 1, self.records.parent / "second" / "records.sqlite")
        self.assertEqual(self.script("preinst", "upgrade", "9.0").returncode, 1)

    def test_installed_again(self) -> None:
        """
        After a removal, which keeps the records, a package that is too old for them is not unpacked either.
        """
        self.keep_records(SCHEMA_VERSION + 1)
        self.assertEqual(self.script("preinst", "install", "9.0").returncode, 1)

    def purge(self) -> str:
        etc = self.root / "etc/dstwist"
        (etc / "tls").mkdir(parents=True, exist_ok=True)
        (etc / "users.yml").touch()
        self.keep_records(1)
        result = self.script("postrm", "purge")
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stderr

    def test_purge(self) -> None:
        """
        Nothing is left, and the script says that the user is.
        """
        said = self.purge()
        self.assertEqual([path for path in self.root.rglob("*") if not path.is_dir()], [])
        self.assertFalse((self.root / "etc/dstwist").exists())
        self.assertFalse(self.records.parent.exists())
        self.assertIn("the user dstwist is kept", said)

    def test_purge_keeps_certificates(self) -> None:
        """
        Files that the package did not make stay, and the script says so.
        """
        key = self.root / "etc/dstwist/tls/privkey.pem"
        key.parent.mkdir(parents=True)
        key.touch()
        said = self.purge()
        self.assertTrue(key.exists())
        self.assertIn("etc/dstwist is kept", said)

    def test_purge_of_a_link(self) -> None:
        """
        If the directory is a link, the link goes; the script names the directory that it leaves.
        """
        elsewhere = self.root / "srv"
        self.records.parent.rename(elsewhere)
        self.records.parent.symlink_to(elsewhere)
        said = self.purge()
        self.assertIn(f"{elsewhere} is kept", said)
        self.assertTrue((elsewhere / "records.sqlite").exists())
        self.assertFalse(self.records.parent.is_symlink())

    def test_purge_of_instances(self) -> None:
        """
        No instance stays enabled.
        """
        wants = self.root / "etc/systemd/system/multi-user.target.wants"
        wants.mkdir(parents=True)
        (wants / "dstwist@second.service").symlink_to("/lib/systemd/system/dstwist@.service")
        (wants / "other.service").symlink_to("/lib/systemd/system/other.service")
        self.assertEqual(self.script("postrm", "purge").returncode, 0)
        self.assertEqual([path.name for path in wants.iterdir()], ["other.service"])

    def test_removal(self) -> None:
        """
        A removal deletes nothing.
        """
        self.keep_records(1)
        self.assertEqual(self.script("postrm", "remove").returncode, 0)
        self.assertTrue(self.records.exists())

    def test_users(self) -> None:
        """
        The first users.yml has no user: a configuration with authentication by file is refused for that.
        """
        config = self.root / "config.yml"
        config.write_text("auth: [{type: file, options: {users: fileLoad(users.yml)}}]")
        (self.root / "users.yml").write_text((DEBIAN / "users.yml").read_text())
        error = self.assertRaises(ConfigError, load, str(config), {})
        self.assertIn("no users present", str(error))

    def test_man_pages(self) -> None:
        """
        There is a page of the manual for the command, with each command in it, and one for each kind of file; and no
        text in them is marked up in a wrong way.
        """
        subprocess.run([sys.executable, "-P", "tools/man_pages.py", self.root / "man"], cwd=CHECKOUT, check=True)
        pages = {path.name: path.read_text() for path in (self.root / "man").iterdir()}
        self.assertEqual(sorted(pages), ["dstwist-config.5.rst", "dstwist-permissions.5.rst", "dstwist.1.rst"])
        for name, text in pages.items():
            publish_doctree(text, name, settings_overrides={"halt_level": 2, "report_level": 2})
        for command in ("start", "check-config", "hash", "permissions explain", "service"):
            self.assertIn(f"``dstwist {command} [OPTIONS]", pages["dstwist.1.rst"])
        self.assertIn("``--data-dir", pages["dstwist.1.rst"].replace("-d, ", ""))
        self.assertRegex(pages["dstwist.1.rst"], r"(?m)^78 .*\n(.*\n)+SIGHUP ")

    def test_joined_rows_in_man_pages(self) -> None:
        """
        A name that ends in a comma has its description together with the next one.
        """
        source, page = self.root / "page.rst", self.root / "page"
        source.write_text("=\nx\n=\n\n=== =====\nkey about\n=== =====\na,  of a\nb   and b\nc   C\n=== =====\n")
        subprocess.run([sys.executable, "tools/rst2man.py", source, page], cwd=CHECKOUT, check=True)
        self.assertRegex(page.read_text(), r"(?s)\.B a, b\nof a and b\n.*\.B c\nC\n")

    def test_tables_in_man_pages(self) -> None:
        """
        A row of a table becomes an item with what its columns are called.
        """
        source, page = self.root / "page.rst", self.root / "page"
        source.write_text(
            "=\nx\n=\n\n=== ==== =====\nkey type about\n=== ==== =====\na   int  A\nb        B\n=== ==== =====\n"
        )
        subprocess.run([sys.executable, "tools/rst2man.py", source, page], cwd=CHECKOUT, check=True)
        self.assertRegex(page.read_text(), r"(?s)\.B a\ntype: int\n.*A\n.*\.B b\nB\n")
