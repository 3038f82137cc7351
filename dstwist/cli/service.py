"""
The command C{dstwist service}: the server as a service of systemd, under any name.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click

from dstwist.cli.failure import failed
from dstwist.installed_files import find_installed_file

#: The directory of the operator's units.
UNIT_DIRECTORY = Path("/etc/systemd/system")

#: The user of the shipped unit.
UNIT_USER = "dstwist"

_NAME = re.compile(r"[A-Za-z0-9_.@-]+")


@click.command()
@click.argument("action", type=click.Choice(["add", "remove", "start", "stop", "restart", "status"]))
@click.option("-c", "--config", "config_file", metavar="FILE", help="add: the configuration file.")
@click.option("-n", "--service-name", "name", metavar="NAME", default="dstwist", show_default=True)
@click.option("-l", "-o", "--log-dir", metavar="DIR", help="add: log into files there, instead of into the journal.")
@click.option("-p", "--pid-directory", metavar="DIR", help="Not needed: systemd knows the process.")
@click.option("--dry-run", is_flag=True, help="add: print the unit file, and change nothing.")
def service(
    action: str, config_file: str | None, name: str, log_dir: str | None, pid_directory: str | None, dry_run: bool
) -> None:
    """
    Add dstwist to the services of systemd, or remove, start, stop, restart or show that service.
    """
    if not _NAME.fullmatch(name):
        raise failed(f"{name!r} cannot be the name of a service")
    if action == "add":
        _add(name, config_file, log_dir, dry_run)
    elif action == "remove":
        _remove(name)
    else:
        raise SystemExit(_systemctl(action, name))


def _add(name: str, config_file: str | None, log_dir: str | None, dry_run: bool) -> None:
    if config_file is None:
        raise failed("Please provide the config when adding a service")
    config_file = os.path.abspath(config_file)
    text = unit(name, command(), config_file, log_dir and os.path.abspath(log_dir))
    if dry_run:
        click.echo(text, nl=False)
        return
    path = UNIT_DIRECTORY / f"{name}.service"
    if path.exists():
        raise failed("Service already exists, please uninstall first")
    _check_system()
    if not os.path.exists(config_file):
        raise failed(f"There is no file {config_file}")
    if config_file.startswith(("/home/", "/root/", "/run/user/")):
        raise failed(f"{config_file} cannot be seen by the service: copy it to /etc/{name}")
    try:
        if log_dir is not None:
            os.makedirs(log_dir, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise failed(f"{error.filename}: {error.strerror}") from None
    _systemctl("daemon-reload")
    click.echo(f"{path} is written. systemctl enable --now {name} starts it, now and at each start of the system.")


def _check_system() -> None:
    """
    Check that systemd is there, and the user that the server is to run as.
    """
    if shutil.which("systemctl") is None:
        raise failed("Only systemd services are supported")
    try:
        pwd.getpwnam(UNIT_USER)
    except KeyError:
        raise failed(
            f"There is no user {UNIT_USER}. As root: useradd --system --user-group --home-dir /var/lib/dstwist"
            f" --shell /usr/sbin/nologin {UNIT_USER}"
        ) from None


def _remove(name: str) -> None:
    path = UNIT_DIRECTORY / f"{name}.service"
    if not path.exists():
        raise failed("Service doesn't exist, nothing to uninstall")
    _systemctl("disable", "--now", name)
    try:
        path.unlink()
    except OSError as error:
        raise failed(f"{path}: {error.strerror}") from None
    _systemctl("daemon-reload")
    click.echo(f"{path} is removed.")


def command() -> str:
    """
    The path by which systemd is to call this command: where it was installed to.
    """
    installed = os.path.join(os.path.dirname(sys.executable), "dstwist")
    found = installed if os.path.exists(installed) else shutil.which("dstwist")
    return os.path.abspath(found or sys.argv[0])


def unit(name: str, program: str, config_file: str, log_dir: str | None = None) -> str:
    """
    The shipped unit, adapted to the options.

    @param program: the path of the command C{dstwist}.
    """
    path = find_installed_file("dstwist.service")
    if path is None:
        raise failed("The unit file that comes with dstwist, dstwist.service, is not installed")
    start = f"{_quoted(program)} start --config {_quoted(config_file)} --data-dir /var/lib/{name} $DSTWIST_OPTS"
    changed = {
        "Description": "dstwist, a realtime data server" + ("" if name == "dstwist" else f" ({name})"),
        "EnvironmentFile": f"-/etc/default/{name}",
        "ExecStart": start,
        **dict.fromkeys(("StateDirectory", "LogsDirectory", "RuntimeDirectory"), name),
    }
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        key = line.partition("=")[0]
        lines.append(f"{key}={changed[key]}" if key in changed else line)
        if key == "ExecReload" and log_dir is not None:
            lines.append(f"StandardOutput=append:{log_dir}/{name}-out.log")
            lines.append(f"StandardError=append:{log_dir}/{name}-err.log")
    # The comments of the shipped unit do not apply to this one.
    return "\n".join(line for line in lines if not line.startswith("# systemd finds the command")) + "\n"


def _quoted(path: str) -> str:
    """
    C{path} as one word of a command in a unit file.
    """
    path = path.replace("%", "%%").replace("$", "$$")
    if re.search(r"[\s\"'\\;]", path):
        return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return path


def _systemctl(*words: str) -> int:
    try:
        return subprocess.run(["systemctl", *words], check=False).returncode
    except OSError as error:
        raise failed(f"systemctl: {error.strerror}") from None
