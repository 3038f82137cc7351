"""
The documents: every reader of reStructuredText understands them, and what they point to is there.
"""

from __future__ import annotations

import re
from pathlib import Path

from docutils.core import publish_doctree
from docutils.utils import SystemMessage
from twisted.trial.unittest import SynchronousTestCase

CHECKOUT = Path(__file__).resolve().parent.parent
DOCUMENTS = [
    path
    for pattern in ("*.rst", "docs/*.rst", "bench/*.rst", "newsfragments/*.rst")
    for path in sorted(CHECKOUT.glob(pattern))
]


class DocumentTests(SynchronousTestCase):
    """
    All of them, as they stand in the checkout.
    """

    def test_markup(self) -> None:
        """
        None has an error in its markup.
        """
        self.assertGreater(len(DOCUMENTS), 10)
        for path in DOCUMENTS:
            try:
                publish_doctree(
                    path.read_text(encoding="utf-8"), str(path), settings_overrides={"halt_level": 2, "report_level": 5}
                )
            except SystemMessage as error:
                self.fail(str(error))

    def test_links(self) -> None:
        """
        What a document links to exists.
        """
        for path in DOCUMENTS:
            for target in re.findall(r"`[^`]+<([^`>]+)>`_", path.read_text(encoding="utf-8")):
                if not target.startswith(("http://", "https://")):
                    self.assertTrue((path.parent / target).exists(), f"{path.name}: {target}")
