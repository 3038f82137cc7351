"""
The command C{dstwist}, for people.

C{dstwist start} is short for C{twistd --nodaemon dstwist}. The options of twistd itself need the command C{twistd}.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from dstwist import __version__
from dstwist.cli.admin import admin
from dstwist.cli.backup import backup, restore
from dstwist.cli.failure import failed
from dstwist.cli.info import info
from dstwist.cli.nginx import nginx
from dstwist.cli.permissions import permissions
from dstwist.cli.replaced import daemon, install
from dstwist.cli.service import service
from dstwist.cli.transfer import export_command, import_command
from dstwist.config.load import find, load, load_hashing
from dstwist.config.plugins import PluginSettings
from dstwist.config.settings import Settings
from dstwist.config.stores import SqliteSettings
from dstwist.errors import ConfigError
from dstwist.permission.selection import load_rules
from dstwist.tls.context import serve

#: The default hash in deepstream's format: digest, iterations, bytes.
LEGACY_HASH = ("sha512", 210_000, 32)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="dstwist")
def main() -> None:
    """
    A realtime data server, a drop-in for deepstream.io.
    """


for command in (
    admin,
    permissions,
    service,
    info,
    nginx,
    backup,
    restore,
    export_command,
    import_command,
    daemon,
    install,
):
    main.add_command(command)


@main.command()
@click.option("-c", "--config", "config_file", metavar="FILE", help="config.yml of deepstream.io v2 to v10.")
@click.option("-l", "--listen", multiple=True, metavar="ENDPOINT", help="Twisted endpoint, e.g. tcp:6020. Repeatable.")
@click.option("--host", metavar="ADDRESS", help="Address to listen on, in the place of the configured one.")
@click.option("-p", "--port", metavar="PORT", help="TCP port, in the place of the configured one.")
@click.option("--disable-auth", is_flag=True, help="Accept all clients.")
@click.option("--disable-permissions", is_flag=True, help="Permit everything.")
@click.option("-d", "--data-dir", metavar="DIR", help="Directory for what is to survive a restart.")
@click.option("--log-level", metavar="LEVEL", help="debug, info, warn, error or off.")
@click.option("--server-name", metavar="NAME", help="The node's name, in the place of the configured one.")
@click.option("--lib-dir", metavar="DIR", help="Directory of Python modules of your own that the config names.")
@click.option("--colors", is_flag=False, flag_value="true", metavar="[true|false]", help="Without effect.")
def start(
    config_file: str | None,
    listen: Sequence[str],
    host: str | None,
    port: str | None,
    disable_auth: bool,
    disable_permissions: bool,
    data_dir: str | None,
    log_level: str | None,
    server_name: str | None,
    lib_dir: str | None,
    colors: str | None,
) -> None:
    """
    Run the server in the foreground, until it is interrupted.

    Without --config it takes the file that DSTWIST_CONFIG or DEEPSTREAM_CONFIG_DIRECTORY names, or the first there is
    of conf/config.yml, /etc/dstwist/config.yml and /etc/deepstream/config.yml; .yaml and .json will do. If there is
    none, every option has its default.
    """
    if colors not in (None, "true", "false"):
        raise failed("Invalid argument for --colors, please provide true or false")
    if colors == "true":
        click.echo("--colors: the log of dstwist has none", err=True)
    if config_file is None:
        config_file = find(os.environ)
        click.echo(f"Configuration: {config_file or 'none found, all options have their defaults'}", err=True)
    arguments = []
    for option, values in (
        ("--config", [config_file]),
        ("--listen", listen),
        ("--host", [host]),
        ("--port", [port]),
        ("--data-dir", [data_dir]),
        ("--log-level", [log_level]),
        ("--server-name", [server_name]),
        ("--lib-dir", [lib_dir]),
    ):
        for value in values:
            if value is not None:
                arguments += [option, value]
    arguments += ["--disable-auth"] * disable_auth + ["--disable-permissions"] * disable_permissions
    run_twistd(["--nodaemon", "--pidfile=", "dstwist", *arguments])


@main.command("check-config")
@click.argument("file", metavar="[FILE]", required=False)
def check_config(file: str | None) -> None:
    """
    Check whether the server would start with FILE, and print the problems. Opens no port, and loads no plug-in.

    Without FILE it is the one that dstwist start would take.
    """
    if file is None:
        file = find(os.environ)
        if file is None:
            raise failed("No config file found")
    try:
        settings = load(file, os.environ)
        # Plug-ins are not loaded here: they may begin to work.
        warnings: Sequence[str] = ()
        if settings.permission.type == "config":
            _, warnings = load_rules(settings.permission)
        if settings.http.ssl is not None:
            serve(settings.http.ssl, "httpServer.options.ssl")
    except ConfigError as error:
        click.echo(str(error), err=True)
        raise SystemExit(1) from None
    for note in settings.notes:
        click.echo(note)
    for warning in warnings:
        click.echo(f"warning: {warning}")
    if isinstance(settings.storage, SqliteSettings) and settings.storage.path is None:
        click.echo("storage.options.path is missing: the server starts with --data-dir only.")
    not_loaded = _plugins_of(settings)
    for plugin in not_loaded:
        click.echo(f"not checked: {plugin.where}: {plugin.source} is loaded at a start only")
    click.echo(f"{file} is fine{', as far as it was checked' if not_loaded else ''}.")


def _plugins_of(settings: Settings) -> list[PluginSettings]:
    """
    The plug-ins of all sections.
    """
    sections = (
        settings.cache,
        settings.storage,
        *settings.auth,
        settings.permission.plugin,
        *settings.plugins.values(),
    )
    return [section for section in sections if isinstance(section, PluginSettings)]


@main.command("hash")
@click.argument("password", required=False)
@click.option(
    "-c", "--config", "config_file", metavar="FILE", help="Hash as its first auth section with passwords says."
)
@click.option("--legacy", is_flag=True, help="Hash in deepstream's own format, PBKDF2; what FILE says, or sha512.")
def hash_password(password: str | None, config_file: str | None, legacy: bool) -> None:
    """
    Print the line with a password for users.yml.

    The password is asked for, or read from standard input. It can be an argument too, which others on this machine can
    see. Without --legacy it is hashed by argon2id, which no other server knows, unless FILE configures another hash.
    """
    # Imported here, so that the other commands do not wait for it.
    from dstwist.auth.hashing import hash_argon2, hash_pbkdf2

    digest, iterations, key_length = LEGACY_HASH if legacy else (None, 0, 0)
    if config_file is not None:
        digest, iterations, key_length = _configured_hash(config_file, legacy)
    password = _read_password() if password is None else password
    if not password:
        raise failed("Error: Must provide password to hash")
    stored = hash_argon2(password) if digest is None else hash_pbkdf2(password, digest, iterations, key_length)
    if legacy and config_file is None:
        options = f"{{hash: {digest}, iterations: {iterations}, keyLength: {key_length}}}"
        click.echo(f"For users of an auth section with options: {options}", err=True)
    click.echo(f'password: "{stored}"')


def _configured_hash(config_file: str, legacy: bool) -> tuple[str | None, int, int]:
    try:
        found = load_hashing(config_file, os.environ)
    except ConfigError as error:
        raise failed(str(error)) from None
    if found is None:
        raise failed("Error: Can only use hash with file authentication as auth type")
    if found.hash is None and legacy:
        raise failed("Error: Can only use hash with file authentication: there is no hash among its options")
    return found.hash, found.iterations or 0, found.key_length or 0


def _read_password() -> str:
    stream = sys.stdin
    if stream.isatty():
        password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        return password
    return stream.readline().rstrip("\r\n")


def run_twistd(arguments: Sequence[str]) -> None:
    """
    Become C{twistd} with C{arguments}; return when the server has stopped.
    """
    # Imported here, so that the other commands do not wait a second for it.
    from twisted.scripts import twistd

    sys.argv = ["twistd", *arguments]
    twistd.run()


if __name__ == "__main__":
    main()
