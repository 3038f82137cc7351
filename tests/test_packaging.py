"""
The wheel, the dependencies, and the lock files of the tests.
"""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from twisted.trial.unittest import SynchronousTestCase

from tests.test_imports import imports_of

CHECKOUT = Path(__file__).resolve().parent.parent
LOCK_FILES = ("bench.txt", "build.txt", "run.txt", "test.txt")


def metadata() -> configparser.ConfigParser:
    """
    The content of setup.cfg.
    """
    parser = configparser.ConfigParser()
    parser.read(CHECKOUT / "setup.cfg", encoding="utf-8")
    return parser


def requirements(text: str) -> list[Requirement]:
    """
    A list of requirements, a line each.
    """
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    return [Requirement(line) for line in lines if line]


def locked(file: str) -> dict[str, list[str]]:
    """
    The pinned versions in a lock file, by name; for some platforms a name may have another one.
    """
    pins: dict[str, list[str]] = {}
    for line in (CHECKOUT / "requirements" / file).read_text(encoding="utf-8").splitlines():
        if found := re.match(r"([A-Za-z0-9._-]+)==([^\s;]+)", line):
            pins.setdefault(canonicalize_name(found[1]), []).append(found[2])
    return pins


class WheelTests(SynchronousTestCase):
    """
    The wheel, built of a copy of the sources.
    """

    def test_contents(self) -> None:
        """
        All modules, Lua scripts and documents of dstwist and the twistd plugin are in the wheel. Nothing of the tests
        is, and nothing that would take the place of a part of Twisted; C{dstwist} is a command.
        """
        source = Path(self.mktemp())
        # Another process of tests may write the cache of plugins now, under another name at first.
        passing = shutil.ignore_patterns("__pycache__", "*.cache", "*.new")
        for folder in ("dstwist", "twisted", "etc"):
            shutil.copytree(CHECKOUT / folder, source / folder, ignore=passing)
        for file in ("setup.cfg", "pyproject.toml", "MANIFEST.in", "README.rst", "LICENSE"):
            shutil.copy(CHECKOUT / file, source)
        build = "from setuptools import build_meta; print(build_meta.build_wheel('.'))"
        done = subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        with zipfile.ZipFile(source / done.stdout.split()[-1]) as wheel:
            names = {name for name in wheel.namelist() if ".dist-info/" not in name}
            (entry_points,) = (name for name in wheel.namelist() if name.endswith("/entry_points.txt"))
            commands = wheel.read(entry_points).decode("utf-8")
        files = (path for kind in ("*.py", "*.lua", "*.json") for path in (CHECKOUT / "dstwist").rglob(kind))
        modules = {str(path.relative_to(CHECKOUT)) for path in files}
        shared = {found[1] for name in names if (found := re.match(r"[^/]+\.data/data/share/dstwist/(.+)", name))}
        files_to_share = {"dstwist.service", "prometheus/alerts.yml", "prometheus/scrape.yml", "grafana/dstwist.json"}
        self.assertEqual(shared, files_to_share)
        others = {name for name in names if ".data/data/share/dstwist/" not in name}
        self.assertEqual(others, modules | {"twisted/plugins/dstwist_plugin.py"})
        self.assertIn("dstwist = dstwist.__main__:main", commands)

    def test_packages(self) -> None:
        """
        Every folder with modules is a package, or it would be missing from the wheel.
        """
        folders = {path.parent for path in (CHECKOUT / "dstwist").rglob("*.py")}
        self.assertEqual([folder for folder in folders if not (folder / "__init__.py").exists()], [])

    def test_no_package_of_twisted(self) -> None:
        """
        The folders of the plugin have no C{__init__.py}: they are Twisted's.
        """
        self.assertEqual(list((CHECKOUT / "twisted").rglob("__init__.py")), [])


class ImportTests(SynchronousTestCase):
    """
    The dependencies in setup.cfg.
    """

    def test_declared(self) -> None:
        """
        All libraries that dstwist imports are declared, and no other, but for those that another one needs to be safe.
        """
        files = [*(CHECKOUT / "dstwist").rglob("*.py"), *(CHECKOUT / "twisted").rglob("*.py")]
        packages = {name.partition(".")[0] for file in files for name in imports_of(file)}
        distributions = packages_distributions()
        # The plug-in folder of Twisted is in wheels of others, too.
        imported = {
            "twisted" if package == "twisted" else canonicalize_name(name)
            for package in packages - sys.stdlib_module_names - {"dstwist", "zope"}
            for name in distributions[package]
        }
        declared = {canonicalize_name(each.name) for each in requirements(metadata()["options"]["install_requires"])}
        self.assertEqual(declared, imported | {"zope-interface", "service-identity"})


class LockTests(SynchronousTestCase):
    """
    The lock files.
    """

    def test_requirements(self) -> None:
        """
        The dependencies of dstwist and of the tests are locked, in versions that they may have.
        """
        needs = requirements(metadata()["options"]["install_requires"])
        extra = requirements((CHECKOUT / "requirements" / "test.in").read_text(encoding="utf-8"))
        for file, wanted in (("run.txt", needs), ("test.txt", [*needs, *extra])):
            pins = locked(file)
            for requirement in wanted:
                versions = pins.get(canonicalize_name(requirement.name), [])
                self.assertTrue(versions, f"{requirement.name} is not in {file}")
                for version in versions:
                    self.assertTrue(requirement.specifier.contains(version), f"{requirement} but {version} in {file}")

    def test_same_versions(self) -> None:
        """
        The tests run with the versions of the server: both lock files have the same.
        """
        run, test = locked("run.txt"), locked("test.txt")
        self.assertEqual({name: test.get(name) for name in run}, run)

    def test_hashes(self) -> None:
        """
        Every pin has its hashes, and no file names an index.
        """
        for file in LOCK_FILES:
            text = (CHECKOUT / "requirements" / file).read_text(encoding="utf-8")
            self.assertNotIn("://", text, file)
            for block in re.split(r"\n(?=[A-Za-z0-9])", text)[1:]:
                self.assertIn("--hash=sha256:", block, file)

    def test_clients(self) -> None:
        """
        The lock files of the JavaScript clients and of the Node servers name no registry.
        """
        for folder in ("tests/e2e", "tests/e2e/node_server", "bench/node_server"):
            text = (CHECKOUT / folder / "package-lock.json").read_text(encoding="utf-8")
            for package in json.loads(text)["packages"].values():
                self.assertNotIn(":", package.get("resolved", ""))

    def test_oldest_python(self) -> None:
        """
        The oldest Python is the same wherever it is named.
        """
        self.assertEqual(metadata()["options"]["python_requires"], ">=3.11")
        self.assertEqual(Version(metadata()["mypy"]["python_version"]), Version("3.11"))
        self.assertIn('target-version = "py311"', (CHECKOUT / "ruff.toml").read_text(encoding="utf-8"))
        self.assertIn("OLDEST_PYTHON='(3, 11)'", (CHECKOUT / "tools" / "ensure.sh").read_text(encoding="utf-8"))
