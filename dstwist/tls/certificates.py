"""
The certificate of a TLS port, which may change while the server runs.

::

    files --reload()--> key, chain, options --all are right----> used for new connections
                                            --one is wrong-----> the old ones stay in use, and the log says why

Open connections keep the certificate that they began with. The files are read again on SIGHUP, and after a change; see
L{dstwist.reload.files}. The server looks for a change every C{reloadInterval}.

Always true: key, certificate and options that are in use were checked together.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from zope.interface import implementer

from dstwist.config.file import FileText, files_of
from dstwist.config.http_server import SslSettings
from dstwist.config.values import read_again
from dstwist.errors import ConfigError
from dstwist.interfaces import PeerCertificate
from dstwist.log import Logger
from dstwist.reload.files import FileWatch
from dstwist.scheduling.clocks import wall_time
from dstwist.tls.context import Served, TlsConnection, common_names, openssl_reasons, serve

DAY_SECONDS = 86400.0
#: The log warns every day when a certificate expires within this time, in seconds, or is in the last third of its life.
EXPIRY_WARNING_SECONDS = 21 * DAY_SECONDS

#: The options that may come from files.
_FILES = ("key", "cert", "ca", "client_ca", "client_crl")


@implementer(IOpenSSLServerConnectionCreator)
class ServerCertificate:
    """
    The certificate of one port.

    @param path: the path of its settings, for errors and the log: C{httpServer.options.ssl}.
    @raise ConfigError: the settings cannot be used.
    @ivar served: the certificate and the context for new connections.
    """

    _log = Logger()

    def __init__(self, settings: SslSettings, path: str) -> None:
        self._settings = settings
        self.path = path
        # The watch looks at the files before they are read, so it finds a change in between later.
        self._watch = FileWatch(self._files, self._reload_changed)
        self._settings = self._read()
        self.served: Served = serve(self._settings, path)
        self._calls: list[LoopingCall] = []
        self._wall_time: Any = None

    @property
    def asks(self) -> bool:
        """
        Whether clients are asked for certificates.
        """
        return self._settings.request_cert

    def serverConnectionForTLS(self, tlsProtocol: Any) -> TlsConnection:
        return TlsConnection(self.served.context, None)

    def start(self, clock: IReactorTime) -> None:
        """
        Log the certificate; from now on watch the files, and warn before the certificate expires.
        """
        self._wall_time = wall_time(clock)
        self._say("TLS_CERTIFICATE | {path}: serving {what}", what=self.served.describe())
        self._warn_of_permissions()
        self._call_every(DAY_SECONDS, clock, self._check_expiry, now=True)
        interval = self._settings.reload_interval
        if interval is not None and list(self._files()):
            self._watch.start(interval, clock)

    def stop(self) -> None:
        """
        Stop watching.
        """
        calls, self._calls = self._calls, []
        for call in calls:
            call.stop()
        self._watch.stop()

    def reload(self) -> str:
        """
        Read the files again, and use them for new connections; return the text for the log.

        @raise ConfigError: they cannot be used. The old certificate stays.
        """
        self._watch.reset()
        settings = self._read()
        served = serve(settings, self.path)
        now = self._wall_time() if self._wall_time is not None else None
        if now is not None and served.expires_at <= now < self.served.expires_at:
            raise ConfigError(self.path, f"the new certificate has expired already: {served.describe()}")
        self._settings, self.served = settings, served
        return f"serving {served.describe()}"

    def _read(self) -> SslSettings:
        texts: dict[str, Any] = {}
        for name in _FILES:
            text = getattr(self._settings, name)
            try:
                texts[name] = None if text is None else read_again(text)
            except OSError as error:
                raise ConfigError(self.path, f"cannot read {error.filename}: {error.strerror}") from None
        return replace(self._settings, **texts)

    # -- watching

    def _files(self) -> Iterator[str]:
        for name in _FILES:
            yield from files_of(getattr(self._settings, name))

    def _reload_changed(self) -> None:
        try:
            what = self.reload()
        except ConfigError as error:
            self._log.error(
                "TLS_CERTIFICATE | {error}; the old certificate stays in force: {what}",
                error=error,
                what=self.served.describe(),
                event="TLS_CERTIFICATE",
            )
        else:
            self._say("TLS_CERTIFICATE | {path}: the files have changed, now {what}", what=what)
            self._check_expiry()

    def _check_expiry(self) -> None:
        served = self.served
        left = served.expires_at - self._wall_time()
        days = max(0, int(left // DAY_SECONDS))
        if left <= 0:
            self._log.error(
                "TLS_CERTIFICATE | {path}: the certificate has EXPIRED, clients will refuse it: {what}",
                path=self.path,
                what=served.describe(),
                event="TLS_CERTIFICATE",
            )
        elif left < min(EXPIRY_WARNING_SECONDS, (served.expires_at - served.begins_at) / 3):
            self._log.warn(
                "TLS_CERTIFICATE | {path}: the certificate expires in {days} days: {what}",
                path=self.path,
                days=days,
                what=served.describe(),
                event="TLS_CERTIFICATE",
            )

    def _warn_of_permissions(self) -> None:
        key = self._settings.key
        if isinstance(key, FileText):
            try:
                mode = os.stat(key.path).st_mode
            except OSError:
                return
            if mode & 0o007:
                self._log.warn(
                    "TLS_CERTIFICATE | {file}: all users of this machine have access to the private key; chmod o= it",
                    file=key.path,
                    event="TLS_CERTIFICATE",
                )

    def _call_every(self, interval: float, clock: IReactorTime, what: Any, now: bool = False) -> None:
        def run() -> None:
            # A LoopingCall ends when its function raises.
            try:
                what()
            except Exception:
                self._log.failure("looking after a certificate failed")

        call = LoopingCall(run)
        call.clock = clock
        call.start(interval, now=now)
        self._calls.append(call)

    def _say(self, text: str, **fields: object) -> None:
        self._log.info(text, path=self.path, event="TLS_CERTIFICATE", **fields)


def peer_certificate(transport: Any) -> PeerCertificate | None:
    """
    The identity that a client has proved by a certificate. C{None} without TLS, without a certificate, and if the
    certificate is not good.
    """
    find = getattr(transport, "getPeerCertificate", None)
    found = find() if find is not None else None
    if found is None or transport.getHandle().problem is not None:
        return None
    return read_peer(found.to_cryptography())


def tls_problem(reason: Failure) -> str | None:
    """
    The problem with TLS that ended a connection; C{None} if the connection ended for another reason.
    """
    error = reason.value
    return openssl_reasons(error) if isinstance(error, SSL.Error) and error.args else None


def read_peer(certificate: x509.Certificate) -> PeerCertificate:
    """
    The identities in a certificate.
    """
    try:
        names: Any = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        names = x509.SubjectAlternativeName([])
    return PeerCertificate(
        certificate.subject.rfc4514_string(),
        common_names(certificate),
        tuple(names.get_values_for_type(x509.RFC822Name)),
        tuple(names.get_values_for_type(x509.DNSName)),
        tuple(names.get_values_for_type(x509.UniformResourceIdentifier)),
        certificate.fingerprint(SHA256()).hex(),
        certificate.not_valid_after_utc.timestamp(),
    )
