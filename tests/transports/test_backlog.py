"""
Tests for L{dstwist.transports.backlog}.
"""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from dstwist.transports import backlog
from dstwist.transports.backlog import Backlog


class BacklogTests(SynchronousTestCase):
    """
    L{Backlog}, with frames of ten bytes and more as large ones.
    """

    def setUp(self) -> None:
        self.patch(backlog, "LARGE_FRAME_BYTES", 10)
        self.backlog = Backlog()

    def test_large_frames(self) -> None:
        """
        Large frames stay what they are; small ones between them are joined.
        """
        large = b"0123456789"
        self.backlog.extend([large, b"one ", b"two", large], more=False)
        self.assertEqual(self.backlog.pieces, [large, b"one two", large])
        self.assertIs(self.backlog.pieces[0], large)
        self.assertIs(self.backlog.pieces[2], large)
        self.assertEqual(self.backlog.size, 27)

    def test_small_frames(self) -> None:
        """
        Small frames that come one after the other while the client does not read are gathered in few buffers, none of
        them in that which may be on its way.
        """
        for number in range(100):
            self.backlog.extend([b"%02d" % number], more=True)
        self.assertLess(len(self.backlog.pieces), 25)
        self.assertEqual(self.backlog.pieces[0], b"00")
        self.assertEqual(self.backlog.take(1000), b"".join(b"%02d" % number for number in range(100)))

    def test_views(self) -> None:
        """
        The views begin where the bytes that have left end.
        """
        self.backlog.extend([b"0123456789", b"abcdefghij"], more=False)
        self.assertEqual([bytes(view) for view in self.backlog.views(5)], [b"0123456789", b"abcdefghij"])
        self.backlog.sent(4)
        self.assertEqual([bytes(view) for view in self.backlog.views(5)], [b"456789", b"abcdefghij"])
        self.assertEqual([bytes(view) for view in self.backlog.views(1)], [b"456789"])
        self.backlog.sent(6)
        self.assertEqual([bytes(view) for view in self.backlog.views(5)], [b"abcdefghij"])
        self.assertFalse(self.backlog.partly_sent)

    def test_behind(self) -> None:
        """
        A piece on its way does not count among those behind it, whether or not a part of it has left.
        """
        self.backlog.extend([b"0123456789", b"abcdefghij"], more=False)
        self.assertEqual(self.backlog.behind, 20)
        self.backlog.begun = True
        self.assertEqual(self.backlog.behind, 10)
        self.backlog.sent(4)
        self.assertEqual(self.backlog.behind, 10)

    def test_clear_behind(self) -> None:
        """
        The rest of a piece that has left in part is kept, and nothing else.
        """
        self.backlog.extend([b"0123456789", b"abcdefghij"], more=False)
        self.backlog.sent(4)
        self.backlog.clear_behind()
        self.assertEqual((self.backlog.size, self.backlog.take(100)), (6, b"456789"))
        self.backlog.extend([b"0123456789"], more=False)
        self.backlog.clear_behind()
        self.assertEqual((self.backlog.size, bool(self.backlog)), (0, False))

    def test_take(self) -> None:
        """
        However much is taken or sent at a time, all bytes leave in order, and the size is right.
        """
        random = Random(3)
        expected = left = b""
        for number in range(2000):
            frames = [b"<%d>" % number * random.choice((1, 1, 5)) for _ in range(random.randrange(3))]
            self.backlog.extend(frames, more=random.random() < 0.5)
            expected += b"".join(frames)
            size = random.choice((1, 7, 40))
            if random.random() < 0.5:
                left += self.backlog.take(size)
            elif self.backlog:
                data = b"".join(self.backlog.views(3))[:size]
                self.backlog.sent(len(data))
                left += data
            self.assertEqual(self.backlog.size, len(expected) - len(left))
        self.assertEqual(left + self.backlog.take(1 << 20), expected)
