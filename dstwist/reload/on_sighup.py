"""
The reload on SIGHUP. Each part uses its new settings, or stays as it was.

============================  ====================================================================
added by                      argument of C{reload}
============================  ====================================================================
L{Reloads.add}                none: the part reads files of its own
L{Reloads.add_section}        the settings, read from the configuration file again
============================  ====================================================================

A part returns the text for the log, or raises a L{DstwistError} if it cannot use the new settings. It changes nothing
before it knows whether it can use all of them. Parts are independent: even if the configuration file is broken, the
certificates are renewed. If a section has changed that no part reads again, the log says that the change takes a
restart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from dstwist.config.fields import key_of
from dstwist.config.file import files_of
from dstwist.config.settings import Settings
from dstwist.errors import DstwistError
from dstwist.log import OperatorLogger

# Settings that differ each time, even if the file has not changed.
_ALWAYS_NEW = {"server_name", "source", "notes"}


class Reloads:
    """
    The parts that can be read again.

    @param settings: the settings in use.
    @param read: reads the configuration file; C{None} if there is none.
    """

    _log = OperatorLogger()

    def __init__(self, settings: Settings, read: Callable[[], Settings] | None) -> None:
        self._settings = settings
        self._read = read
        self._parts: list[tuple[str, Callable[[], str]]] = []
        self._sections: list[tuple[str, Callable[[Settings], str]]] = []

    def add(self, name: str, reload: Callable[[], str]) -> None:
        """
        Add a part that reads files of its own.
        """
        self._parts.append((name, reload))

    def add_section(self, field: str, reload: Callable[[Settings], str]) -> None:
        """
        Add a part with a section of the configuration.

        @param field: the name of the section in L{Settings}. The part reports changes in it that take a restart.
        """
        self._sections.append((field, reload))

    def run(self) -> bool:
        """
        Reload all parts, and log the results.

        @return: whether all parts use their new settings.
        """
        fine = True
        for name, reload in self._parts:
            fine &= self._try(name, reload)
        return self._reload_sections() and fine

    def run_section(self, field: str) -> bool:
        """
        Reload the part with the section C{field}, and log the result.

        @return: whether the part uses its new settings.
        """
        reload = dict(self._sections)[field]
        try:
            settings = self._read() if self._read is not None else self._settings
        except DstwistError as error:
            self._refused(_key(field), error)
            return False
        return self._try(_key(field), lambda: reload(settings))

    def _reload_sections(self) -> bool:
        if self._read is None:
            return True
        try:
            settings = self._read()
        except DstwistError as error:
            self._refused("the configuration", error)
            return False
        except Exception:
            self._log.failure("RELOAD | reading the configuration failed; nothing of it changes", event="RELOAD")
            return False
        fine = True
        for field, reload in self._sections:
            fine &= self._try(_key(field), lambda reload=reload: reload(settings))  # type: ignore[misc]
        self._tell_of_the_rest(settings)
        return fine

    def _try(self, name: str, reload: Callable[[], str]) -> bool:
        try:
            said = reload()
        except DstwistError as error:
            self._refused(name, error)
            return False
        except Exception:
            self._log.failure("RELOAD | {name} failed; what was in force stays", name=name, event="RELOAD")
            return False
        self._log.info("RELOAD | {name}: {said}", name=name, said=said, event="RELOAD")
        return True

    def _refused(self, name: str, error: DstwistError) -> None:
        self._log.error(
            "RELOAD | {name} not reloaded, what was in force stays: {error}", name=name, error=error, event="RELOAD"
        )

    def _tell_of_the_rest(self, settings: Settings) -> None:
        known = {field for field, _ in self._sections} | _ALWAYS_NEW
        old, new = (_without_own_level(_without_certificate(each)) for each in (self._settings, settings))
        changed = [
            _key(field.name)
            for field in fields(Settings)
            if field.name not in known and getattr(old, field.name) != getattr(new, field.name)
        ]
        if changed:
            self._log.warn(
                "RELOAD | has changed in the configuration and takes a restart: {changed}",
                changed=", ".join(changed),
                event="RELOAD",
            )


def _key(name: str) -> str:
    return next(key_of(field) for field in fields(Settings) if field.name == name)


def _without_certificate(settings: Settings) -> Settings:
    """
    The settings, with the paths of certificates in the place of their content: another part reads the files again.
    """
    ssl = settings.http.ssl
    if ssl is None:
        return settings
    files: dict[str, Any] = {name: paths for name, text in vars(ssl).items() if (paths := files_of(text))}
    return replace(settings, http=replace(settings.http, ssl=replace(ssl, **files)))


def _without_own_level(settings: Settings) -> Settings:
    """
    The settings without the level of the section C{logger}, which is also C{log_level}.
    """
    return replace(settings, logger=replace(settings.logger, log_level=None))
