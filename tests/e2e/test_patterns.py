"""
Listen patterns, compared with JavaScript.
"""

from __future__ import annotations

import json
import random
import subprocess

from twisted.trial.unittest import SynchronousTestCase

from tests.patterns.test_javascript import CASES, REFUSED, here, some_pattern

_IN_JAVASCRIPT = """
const cases = JSON.parse(require('fs').readFileSync(0, 'utf8'))
const verdict = pattern => {
  let regexp
  try { regexp = new RegExp(pattern) } catch (e) { return null }
  return cases.names.map(name => regexp.test(name))
}
console.log(JSON.stringify(cases.patterns.map(verdict)))
"""


def in_javascript(patterns: list[str], names: list[str]) -> list[list[bool] | None]:
    """
    For each pattern whether each name matches it, or C{None} for a pattern that is none; Node.js decides.
    """
    done = subprocess.run(
        ["node", "-e", _IN_JAVASCRIPT],
        input=json.dumps({"patterns": patterns, "names": names}),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    verdicts: list[list[bool] | None] = json.loads(done.stdout)
    return verdicts


class PatternTests(SynchronousTestCase):
    """
    L{compile_pattern}, and Node.js.
    """

    def test_cases_in_javascript(self) -> None:
        """
        The table of the unit tests agrees with Node.js.
        """
        names = sorted({name for _, matching, others in CASES for name in matching + others})
        verdicts = in_javascript([pattern for pattern, _, _ in CASES], names)
        for (pattern, matching, others), verdict in zip(CASES, verdicts, strict=True):
            assert verdict is not None, pattern
            found = dict(zip(names, verdict, strict=True))
            self.assertTrue(all(found[name] for name in matching), pattern)
            self.assertFalse(any(found[name] for name in others), pattern)

    def test_refused_in_javascript(self) -> None:
        """
        The patterns that are refused there are no regular expressions for Node.js either.
        """
        self.assertEqual(in_javascript(list(REFUSED), []), [None] * len(REFUSED))

    def test_like_javascript(self) -> None:
        """
        Node.js and dstwist accept the same ones of thousands of patterns, and these match the same names.
        """
        rng = random.Random(42)
        patterns = sorted({some_pattern(rng) for _ in range(4000)})
        names = [
            "",
            "a",
            "ab",
            "a/b",
            "1",
            "a1_",
            "-",
            "\n",
            "aab/1",
            "é",
            "b é",
            " ",
            "\xa0",
            "{2}",
            "[",
            "]",
            "a{,2}",
        ]
        names += ["".join(rng.choices("ab/1_-{},]é \n\b\\cz", k=rng.randrange(1, 12))) for _ in range(60)]
        for pattern, expected in zip(patterns, in_javascript(patterns, names), strict=True):
            self.assertEqual(here(pattern, names), expected, pattern)
