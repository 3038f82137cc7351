"""
The configuration files that came with the releases of deepstream.io, from npm: whether C{check-config} takes them.

::

    python tools/released_configs.py check      # each file, as it is, has to be fine; needs npm and a network
    python tools/released_configs.py table      # writes tests/config/released_keys.json

The table has the keys and values of the files, without their texts, so that the tests need neither. Files that are the
same in several releases are in there once.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from dstwist.config.load import load
from dstwist.config.tree import parse
from dstwist.errors import ConfigError
from dstwist.permission.selection import load_rules

PACKAGES = ("deepstream.io", "@deepstream/server")
#: Releases before this one are not checked.
OLDEST = (2, 0, 0)
TABLE = Path(__file__).resolve().parent.parent / "tests" / "config" / "released_keys.json"

#: The files of a package that may be its configuration. The second is what the packages of operating systems had.
CONFIGS = ("config.yml", "package-conf.yml")


def main() -> None:
    """
    Do what the command line asks for.
    """
    task = {"check": check, "table": write_table}.get(" ".join(sys.argv[1:]))
    if task is None:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as scratch:
        task(Path(scratch))


def check(scratch: Path) -> None:
    """
    Load every file with those beside it; the exit status tells whether all are fine.
    """
    failed = checked = 0
    for release, path in files(scratch):
        # A file of a system's package was installed in the place of the other one.
        used = path if path.parent.name == "conf" else path.with_name("config.yml")
        if used != path:
            conf = release_root(path) / "conf"
            used = conf / path.name
            used.write_bytes(path.read_bytes())
        checked += 1
        try:
            settings = load(str(used), {})
            if settings.permission.type == "config":
                load_rules(settings.permission)
        except ConfigError as error:
            failed += 1
            print(f"{release}: {path.relative_to(scratch)}: {error}")
    print(f"{checked} files of releases, {failed} refused")
    sys.exit(bool(failed) or not checked)


def write_table(scratch: Path) -> None:
    """
    Write the keys and values of all files.
    """
    found: dict[str, dict[str, Any]] = {}
    for release, path in files(scratch):
        tree = parse(str(path), path.read_bytes())
        entry = found.setdefault(json.dumps(tree, sort_keys=True), {"releases": [], "config": tree})
        entry["releases"].append(f"{release} {path.relative_to(release_root(path))}")
    text = json.dumps(list(found.values()), indent=1, sort_keys=True)
    TABLE.write_text(text + "\n", encoding="utf-8")
    print(f"{TABLE}: {len(found)} different files of {sum(len(each['releases']) for each in found.values())}")


def files(scratch: Path) -> Iterator[tuple[str, Path]]:
    """
    Each release with each of its configuration files.
    """
    for package in PACKAGES:
        for version in json.loads(npm(scratch, "view", package, "versions", "--json")):
            numbers = version.split("-")[0].split(".")
            if "-" in version or tuple(map(int, numbers)) < OLDEST:
                continue
            release = f"{package}@{version}"
            directory = scratch / release.replace("/", "+")
            directory.mkdir()
            archive = directory / npm(directory, "pack", "--silent", release).strip()
            with tarfile.open(archive) as packed:
                wanted = [each for each in packed if each.isfile() and is_wanted(PurePosixPath(each.name))]
                packed.extractall(directory, wanted, filter="data")
            for path in sorted(directory.rglob("*.yml")):
                if path.name in CONFIGS:
                    yield release, path


def is_wanted(path: PurePosixPath) -> bool:
    """
    Whether a file of a package is a configuration, or belongs to one.
    """
    inside = path.parts[1:]
    return inside[0] in ("conf", "scripts") and path.suffix in (".yml", ".json")


def release_root(path: Path) -> Path:
    """
    The top directory of a package that has been unpacked.
    """
    return next(parent for parent in path.parents if parent.name == "package")


def npm(directory: Path, *arguments: str) -> str:
    """
    The output of npm.
    """
    return subprocess.run(["npm", *arguments], cwd=directory, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
