"""
The documents: their markup is correct, and the files and names in them exist.
"""

from __future__ import annotations

import pkgutil
import re
from pathlib import Path

from docutils.core import publish_doctree
from docutils.utils import SystemMessage
from twisted.trial.unittest import SynchronousTestCase

from tests.test_imports import LAYERS

CHECKOUT = Path(__file__).resolve().parent.parent
DOCUMENTS = [
    path
    for pattern in ("*.rst", "docs/*.rst", "bench/*.rst", "newsfragments/*.rst")
    for path in sorted(CHECKOUT.glob(pattern))
]


class DocumentTests(SynchronousTestCase):
    """
    All documents of the checkout.
    """

    def test_markup(self) -> None:
        """
        No document has an error in its markup.
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
        Each link in a document leads to a file.
        """
        for path in DOCUMENTS:
            for target in re.findall(r"`[^`]+<([^`>]+)>`_", path.read_text(encoding="utf-8")):
                if not target.startswith(("http://", "https://")):
                    self.assertTrue((path.parent / target).exists(), f"{path.name}: {target}")

    def test_index(self) -> None:
        """
        The index names all pages.
        """
        docs = CHECKOUT / "docs"
        linked = re.findall(r"<([^`>/]+\.rst)>`_", (docs / "index.rst").read_text(encoding="utf-8"))
        self.assertEqual(set(linked), {path.name for path in docs.glob("*.rst")} - {"index.rst"})


#: Names that look like modules of dstwist: groups of entry points, units and files.
NO_CODE = {
    "dstwist.authentication",
    "dstwist.cache",
    "dstwist.conf",
    "dstwist.install",
    "dstwist.pid",
    "dstwist.plugin",
    "dstwist.service",
    "dstwist.socket",
    "dstwist.storage",
}


class CodeTests(SynchronousTestCase):
    """
    The parts of the code that documents name.
    """

    def test_names(self) -> None:
        """
        Each module, class and function that a document names exists.
        """
        count = 0
        for path in DOCUMENTS:
            for name in re.findall(r"``(dstwist(?:\.[A-Za-z_]\w*)+)", path.read_text(encoding="utf-8")):
                if name not in NO_CODE:
                    count += 1
                    try:
                        pkgutil.resolve_name(name)
                    except (ImportError, AttributeError):
                        self.fail(f"{path.name}: {name}")
        self.assertGreater(count, 80)

    def test_paths(self) -> None:
        """
        Each Python file, and each folder of the checkout, that a document names exists.
        """
        count = 0
        folders = ("dstwist/", "tests/", "docs/", "bench/", "etc/", "debian/", "fuzz/", "tools/")
        for path in DOCUMENTS:
            for name in re.findall(r"``([\w/.-]+(?:\.py|/))``", path.read_text(encoding="utf-8")):
                if not name.startswith(folders) and (name.startswith((".", "/")) or not name.endswith(".py")):
                    continue
                count += 1
                places = (CHECKOUT, CHECKOUT / "dstwist", path.parent)
                self.assertTrue(any((place / name).exists() for place in places), f"{path.name}: {name}")
        self.assertGreater(count, 20)

    def test_tree(self) -> None:
        """
        The table of the architecture has all parts, in the order of the layers.
        """
        text = (CHECKOUT / "docs" / "architecture.rst").read_text(encoding="utf-8")
        table = text[text.index("\nThe tree\n") : text.index("\nWhere to change it\n---")]
        named = re.findall(r"^``(\w+)`` ", table, re.MULTILINE)
        order = [layer.split() for layer in LAYERS if not layer.startswith("__")]
        self.assertEqual(sorted(named), sorted(sum(order, [])))
        self.assertEqual(
            named, sorted(named, key=lambda name: next(i for i, layer in enumerate(order) if name in layer))
        )
