"""
Tests for L{dstwist.tls.certificates}.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography import x509
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.config.file import FileText
from dstwist.config.http_server import SslSettings
from dstwist.errors import ConfigError
from dstwist.tls import certificates
from dstwist.tls.certificates import (
    DAY_SECONDS,
    ServerCertificate,
    peer_certificate,
    read_peer,
)
from tests.e2e.certificates import Authority, pem_of
from tests.logs import Lines
from tests.tls.handshakes import Pair, client_context


class CertificateCase(SynchronousTestCase):
    """
    A certificate in files, good for a hundred days, that is looked at every ten seconds.
    """

    authority = Authority()
    #: How often the files were written.
    writes = 0

    def setUp(self) -> None:
        self.directory = Path(str(self.mktemp())).absolute()
        self.directory.mkdir()
        self.write(days=100)
        # Certificates know the time of day.
        self.clock = Clock()
        self.clock.advance(self.now())
        self.lines = Lines(self)
        self.certificate = ServerCertificate(self.settings(reload_interval=10.0), "ssl")
        self.certificate.start(self.clock)
        self.addCleanup(self.certificate.stop)

    def now(self) -> float:
        """
        A time at which all certificates that do not say otherwise are good.
        """
        certificate = self.authority.certificate
        return certificate.not_valid_before_utc.timestamp() + 2 * DAY_SECONDS

    def write(self, **kwargs: Any) -> None:
        """
        Put a new certificate in the place of the old one.
        """
        made = self.authority.write(self.directory, **kwargs)
        self.key, self.chain = made.key, made.chain
        # The clocks of file systems are coarse, and the file is the same one: each write is a second later.
        self.writes += 1
        os.utime(self.chain, ns=(0, os.stat(self.chain).st_mtime_ns + self.writes * 10**9))

    def settings(self, **changes: Any) -> SslSettings:
        key, chain = (FileText(path.read_text(), str(path)) for path in (self.key, self.chain))
        return replace(SslSettings(key=key, cert=chain), **changes)

    def shown(self) -> x509.Certificate:
        """
        The certificate that a new connection gets.
        """
        return self.connect().shown

    def connect(self) -> Pair:
        return Pair(self.certificate, client_context(self.authority.certificate))

    def on_disk(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.chain.read_bytes())


class ReloadTests(CertificateCase):
    """
    Reading the files again.
    """

    def test_interface(self) -> None:
        """
        It provides the interface that Twisted needs.
        """
        verifyObject(IOpenSSLServerConnectionCreator, self.certificate)

    def test_reload(self) -> None:
        """
        New connections get the new certificate; those that are open stay open, and can be talked on.
        """
        before = self.connect()
        self.write(days=100)
        self.assertEqual(self.shown(), before.shown)
        self.assertIn("serving CN=localhost", self.certificate.reload())
        self.assertNotEqual(self.shown(), before.shown)
        self.assertEqual(self.shown(), self.on_disk())
        self.assertEqual(before.say(b"still here"), b"still here")

    def kept(self, reason: str) -> None:
        """
        A reload fails for C{reason}, and the old certificate is served on.
        """
        before = self.shown()
        self.assertIn(reason, str(self.assertRaises(ConfigError, self.certificate.reload)))
        self.assertEqual(self.shown(), before)

    def test_mismatch(self) -> None:
        """
        As long as only one of key and certificate is new, the old pair stays.
        """
        old = self.key.read_text()
        self.write(days=100)
        new = self.key.read_text()
        self.key.write_text(old)
        self.kept("key and cert do not belong together")
        self.key.write_text(new)
        self.certificate.reload()
        self.assertEqual(self.shown(), self.on_disk())

    def test_broken(self) -> None:
        """
        So it does if a file is empty, half written or gone.
        """
        for path in (self.key, self.chain):
            good = path.read_text()
            for bad in ("", good[: len(good) // 2], "\xff\0"):
                path.write_text(bad)
                self.kept("ssl")
            path.unlink()
            self.kept(f"cannot read {path}: No such file")
            path.write_text(good)
        self.certificate.reload()

    def test_expired(self) -> None:
        """
        A new certificate that has expired already does not replace one that has not.
        """
        self.write(days=-1)
        self.clock.advance(1.5 * DAY_SECONDS)
        self.kept("the new certificate has expired already")

    def test_not_from_files(self) -> None:
        """
        A certificate in the configuration itself does not change.
        """
        settings = SslSettings(key=self.key.read_text(), cert=self.chain.read_text())
        self.certificate = ServerCertificate(settings, "ssl")
        before = self.shown()
        self.write()
        self.certificate.reload()
        self.assertEqual(self.shown(), before)

    def test_client_authorities(self) -> None:
        """
        The authorities of clients are read again, too: clients with certificates of a removed authority are refused.
        """
        old, new = Authority("clients"), Authority("clients")
        path = self.directory / "clients.pem"
        path.write_text(old.pem)
        settings = self.settings(request_cert=True, client_ca=FileText(old.pem, str(path)))
        certificate = ServerCertificate(settings, "ssl")
        ann = client_context(self.authority.certificate, old.issue("ann", (), client=True))
        first = Pair(certificate, ann)
        path.write_text(new.pem)
        certificate.reload()
        self.assertRaises(SSL.Error, Pair, certificate, ann, first.client.get_session())
        self.assertEqual(first.say(b"still here"), b"still here")


class WatchTests(CertificateCase):
    """
    Looking whether the files have changed.
    """

    def test_changed(self) -> None:
        """
        A change is taken up when the files look the same at two looks in a row.
        """
        before = self.shown()
        self.write(days=100)
        self.clock.advance(10)
        self.assertEqual(self.shown(), before)
        self.clock.advance(10)
        self.assertEqual(self.shown(), self.on_disk())
        self.assertIn("ssl: the files have changed, now serving CN=localhost", self.lines.last("info"))

    def test_still_writing(self) -> None:
        """
        While they change from look to look, nothing is read.
        """
        before = self.shown()
        old = self.key.read_text()
        self.write(days=100)
        new = self.key.read_text()
        self.key.write_text(old)
        self.clock.advance(10)
        self.key.write_text(new + "\n")
        self.clock.advance(10)
        self.assertEqual((self.shown(), self.lines.of("error")), (before, []))
        self.clock.advance(10)
        self.assertEqual(self.shown(), self.on_disk())

    def test_broken(self) -> None:
        """
        Files that cannot be used are reported once, with the certificate that stays. The next change is read again.
        """
        before = self.shown()
        good = self.key.read_text()
        self.key.write_text("nothing")
        for _ in range(5):
            self.clock.advance(10)
        (line,) = self.lines.of("error")
        self.assertIn("ssl.key: there is no private key in it; the old certificate stays in force: CN=localhost", line)
        self.assertEqual(self.shown(), before)
        self.key.write_text(good + "\n\n")
        self.clock.pump([10, 10])
        self.assertIn("the files have changed", self.lines.last("info"))

    def test_gone_and_back(self) -> None:
        """
        Files that are away for a moment, and come back as they were, are no change.
        """
        aside = self.key.with_suffix(".aside")
        self.key.rename(aside)
        self.clock.advance(10)
        aside.rename(self.key)
        self.clock.pump([10] * 3)
        self.assertEqual((len(self.lines.of("info")), self.lines.of("error")), (1, []))

    def test_written_while_reading(self) -> None:
        """
        A certificate that was written between reading the configuration and the start is served.
        """
        settings = self.settings()
        self.write()
        self.certificate = ServerCertificate(settings, "ssl")
        self.assertEqual(self.shown(), self.on_disk())

    def test_links(self) -> None:
        """
        As Let's Encrypt has it: what is named are links, and renewing makes them lead to new files.
        """
        live = self.directory / "live"
        live.mkdir()
        key, chain = live / "privkey.pem", live / "fullchain.pem"
        key.symlink_to(self.key)
        chain.symlink_to(self.chain)
        settings = SslSettings(
            key=FileText(key.read_text(), str(key)), cert=FileText(chain.read_text(), str(chain)), reload_interval=10.0
        )
        self.certificate = ServerCertificate(settings, "ssl")
        self.certificate.start(self.clock)
        self.addCleanup(self.certificate.stop)
        newer = self.directory / "archive"
        newer.mkdir()
        made = self.authority.write(newer, days=100)
        for link, target in ((key, made.key), (chain, made.chain)):
            link.unlink()
            link.symlink_to(target)
        self.clock.pump([10, 10])
        self.assertEqual(self.shown(), x509.load_pem_x509_certificate(made.chain.read_bytes()))

    def test_never(self) -> None:
        """
        reloadInterval: false looks at nothing; so does a server whose certificate stands in its configuration.
        """
        for settings in (
            self.settings(reload_interval=None),
            SslSettings(key=self.key.read_text(), cert=self.chain.read_text()),
        ):
            clock = Clock()
            certificate = ServerCertificate(settings, "ssl")
            certificate.start(clock)
            self.assertEqual([call.getTime() for call in clock.getDelayedCalls()], [DAY_SECONDS])
            certificate.stop()
            self.assertEqual(clock.getDelayedCalls(), [])


class LogTests(CertificateCase):
    """
    The lines for the operator.
    """

    def test_start(self) -> None:
        """
        At the start: whose certificate is served, under which names, and until when.
        """
        self.assertRegex(
            self.lines.of("info")[0],
            r"^TLS_CERTIFICATE \| ssl: serving CN=localhost \(DNS:localhost, IP:127.0.0.1\), "
            r"issued by CN=dstwist tests, valid until \d{4}-",
        )
        self.assertEqual(self.lines.of("warn"), [])

    def test_time_of_day(self) -> None:
        """
        A certificate expires by the time of day, which need not be that of the timers.
        """
        self.patch(certificates, "wall_time", lambda clock: lambda: self.now() + 1000 * DAY_SECONDS)
        certificate = ServerCertificate(self.settings(), "ssl")
        certificate.start(self.clock)
        self.addCleanup(certificate.stop)
        self.assertIn("the certificate has EXPIRED", self.lines.last("error"))

    def test_expires_soon(self) -> None:
        """
        Every day of the last three weeks, how many are left; after the end, that it has come.
        """
        self.clock.pump([DAY_SECONDS] * 78)
        self.assertEqual(self.lines.of("warn"), [])
        self.clock.pump([DAY_SECONDS] * 5)
        days = [line.partition("expires in ")[2].split()[0] for line in self.lines.of("warn")]
        self.assertEqual(days, sorted(days, key=int, reverse=True))
        self.assertTrue(2 <= len(days) <= 5 and int(days[-1]) < 20, days)
        self.assertEqual(self.lines.of("error"), [])
        self.clock.pump([DAY_SECONDS] * 20)
        self.assertIn("the certificate has EXPIRED", self.lines.last("error"))

    def test_short_lived(self) -> None:
        """
        Certificates that live for some days only are not complained about on the first.
        """
        for days, expected in ((4, 0), (0.9, 1)):
            self.lines.clear()
            self.write(days=days)
            clock = Clock()
            clock.advance(self.now())
            certificate = ServerCertificate(self.settings(), "ssl")
            certificate.start(clock)
            self.addCleanup(certificate.stop)
            self.assertEqual(len([line for line in self.lines.of("warn") if "expires in" in line]), expected)

    def test_open_key(self) -> None:
        """
        There is a warning about a key that all users of the machine can read.
        """
        self.key.chmod(0o644)
        certificate = ServerCertificate(self.settings(), "ssl")
        certificate.start(Clock())
        self.addCleanup(certificate.stop)
        self.assertIn(f"{self.key}: all users of this machine have access to the private key", self.lines.last("warn"))


class PeerTests(SynchronousTestCase):
    """
    The identity in the certificate of a client.
    """

    authority = Authority()

    def test_identities(self) -> None:
        """
        All of its names are found, by their kinds.
        """
        names = (
            x509.RFC822Name("ann@example.org"),
            x509.DNSName("ann.example.org"),
            x509.UniformResourceIdentifier("spiffe://example.org/ann"),
        )
        certificate, _ = self.authority.issue("ann", names, client=True)
        peer = read_peer(certificate)
        self.assertEqual(
            (peer.subject, peer.common_names, peer.emails, peer.dns_names, peer.uris),
            ("CN=ann", ("ann",), ("ann@example.org",), ("ann.example.org",), ("spiffe://example.org/ann",)),
        )
        self.assertEqual(peer.expires_at, certificate.not_valid_after_utc.timestamp())
        self.assertRegex(peer.fingerprint, "^[0-9a-f]{64}$")

    def test_no_names(self) -> None:
        """
        A certificate without alternative names has none.
        """
        peer = read_peer(self.authority.issue("ann", (), client=True)[0])
        self.assertEqual((peer.common_names, peer.emails, peer.dns_names, peer.uris), (("ann",), (), (), ()))

    def transport(self, own: Any) -> Any:
        """
        As much of a TLS transport as is asked.
        """
        certificate, key = self.authority.issue()
        settings = SslSettings(
            key=pem_of(key),
            cert=pem_of(certificate),
            request_cert=True,
            reject_unauthorized=False,
            client_ca=self.authority.pem,
        )
        server = Pair(ServerCertificate(settings, "ssl"), client_context(self.authority.certificate, own)).server

        class Transport:
            getHandle = staticmethod(lambda: server)
            getPeerCertificate = staticmethod(server.get_peer_certificate)

        return Transport()

    def test_verified_only(self) -> None:
        """
        Only what an authority has vouched for counts.
        """
        good = peer_certificate(self.transport(self.authority.issue("ann", (), client=True)))
        self.assertEqual(good and good.subject, "CN=ann")
        forged = Authority().issue("ann", (), client=True)
        self.assertIsNone(peer_certificate(self.transport(forged)))
        self.assertIsNone(peer_certificate(self.transport(None)))

    def test_no_tls(self) -> None:
        """
        Without TLS there is no certificate.
        """
        self.assertIsNone(peer_certificate(object()))
