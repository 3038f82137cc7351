"""
Tests for L{bench.pages}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from bench.pages import BEGIN, END, PAGE, NoPart, replaced


class ReplacedTests(SynchronousTestCase):
    """
    The part of a page that a program writes.
    """

    def test_replaced(self) -> None:
        """
        What stood between the comments is gone, and all else stays. The same part once more changes nothing.
        """
        page = replaced(f"before\n\n{BEGIN}\n\nold\n\n{END}\n\nafter\n", "new\n")
        self.assertEqual(page, f"before\n\n{BEGIN}\n\nnew\n\n{END}\n\nafter\n")
        self.assertEqual(replaced(page, "new"), page)

    def test_no_part(self) -> None:
        """
        A page without the comments is refused.
        """
        for page in ("text", f"{BEGIN}\n", f"{END}\n{BEGIN}\n"):
            self.assertRaises(NoPart, replaced, page, "new")

    def test_page(self) -> None:
        """
        The page in the documentation has the part.
        """
        self.assertIn("new", replaced(PAGE.read_text(encoding="utf-8"), "new"))
