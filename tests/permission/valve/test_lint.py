"""
Tests for L{dstwist.permission.valve.lint}: what is warned of in rules, and what is not.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.tree import parse
from dstwist.errors import ConfigError
from dstwist.permission.valve.lint import MAX_WARNINGS, warnings_of
from dstwist.permission.valve.rules import load_permissions
from tests.permission.cases import TABLE, permissions
from tests.permission.valve.helpers import LintCase, linted

ROOT = Path(__file__).parents[3]
SECTIONS = ("record", "event", "rpc", "presence")


class LintTests(LintCase):
    """
    Each kind of warning.
    """

    def undefined(self, name: str, hint: str) -> str:
        return f"{name} is not defined, so the rule fails when it gets there{hint}"

    def test_unknown_names(self) -> None:
        """
        A name for which nothing stands, with what was probably meant.
        """
        for rule, hint in (
            ("yes", "; did you mean true? In YAML 1.2 yes is a text"),
            ("off", "; did you mean false? In YAML 1.2 off is a text"),
            ("True", "; did you mean true?"),
            ("olddata", "; did you mean oldData?"),
            ("id", "; did you mean $id?"),
            ("userId", "; did you mean user.id?"),
            ("Date", "; did you mean now?"),
            ("somethingElse", ""),
            ("Array", ""),
        ):
            self.says(rule, self.undefined(rule, hint))
        self.says("usr.id === 'x'", self.undefined("usr", "; did you mean user.id?"))
        self.says("false && usr.role", self.undefined("usr", "; did you mean user?"))
        self.says("startsWith('a')", self.undefined("startsWith", "; it is a method: write name.startsWith(...)"))

    def test_path_variables(self) -> None:
        """
        A path variable that the pattern does not declare.
        """
        hint = "; the pattern a/$id declares $id; did you mean $id?"
        self.says("$name === user.id", self.undefined("$name", hint))
        hint = "; the pattern a/$user_id declares $user; did you mean $user?"
        self.says("$user_id === user.id", self.undefined("$user_id", hint), pattern="a/$user_id")
        hint = "; the pattern a/b declares no path variables"
        self.says("$id === user.id", self.undefined("$id", hint), pattern="a/b")
        self.says_nothing("$a === user.id && $b !== ''", pattern="$a/$b/$unused")

    def test_groups(self) -> None:
        """
        A group in the pattern that is taken for a path variable.
        """
        problem = (
            "$id is not what it seems: the group in parentheses in (a|b)/$id counts as a path variable; write (?:...) "
            "for the group"
        )
        self.says("$id === user.id", problem, pattern="(a|b)/$id")
        for pattern in ("(?:a|b)/$id", "$id/(a|b)", r"\(a\)/$id"):
            self.says_nothing("$id === user.id", pattern=pattern)
        self.says_nothing("user.id !== null", pattern="(a|b)/$id")

    def test_user(self) -> None:
        """
        A member that no user has.
        """
        for key in ("Id", "name", "username", "uid"):
            self.says(f"user.{key} === 'a'", f"user.{key} is always undefined; did you mean user.id?")
        self.says("user['isAuth']", "user.isAuth is always undefined; did you mean user.isAuthenticated?")
        self.says("user?.serverData.x", "user.serverData is always undefined; did you mean user.data?")
        self.says(
            "user.role === 'admin'",
            "user.role is always undefined; did you mean user.data.role? What the authenticator tells the rules of a "
            "user is in user.data",
        )
        self.says("user.startsWith('a')", "user has no method startsWith; did you mean user.id.startsWith(...)?")
        self.says_nothing("user.data.role === 'admin'", "user.data?.Id", "user[$id]", "user.id.length > 3", "!user.id")

    def test_constants(self) -> None:
        """
        A constant that there is not.
        """
        self.says("data > Math.Pi", "Math.Pi is always undefined; did you mean Math.PI?")
        self.says("data > Number.nothing", "Number.nothing is always undefined")
        self.says_nothing(
            "data > Math.PI", "data < Number.MAX_SAFE_INTEGER", "data instanceof Array", "typeof x === 'object'"
        )

    def test_data(self) -> None:
        """
        Data where there never is any. Of most rules that name it the file is refused.
        """
        self.says(
            "data === 1", "data is always undefined in rules subscribe of event", section="event", kind="subscribe"
        )
        problem = "oldData is always undefined in rules of event; only records have it"
        self.says("!oldData", problem, section="event", kind="publish")
        self.says_nothing("data === 1", section="event", kind="publish")
        self.says_nothing("!oldData || data.n > oldData.n")

    def test_references(self) -> None:
        """
        A path variable within quotes.
        """
        self.says(
            "_('user/$id').admin",
            "_('user/$id') asks for a record of just this name: in quotes $id is not replaced; did you mean "
            "_('user/' + $id)?",
        )
        self.says_nothing("_('user/' + $id).admin", "_('cash$').admin", "_(`user/${$id}`).admin", "_($id)")

    def test_constant_results(self) -> None:
        """
        A rule that is a text permits everything; one that asks for nothing may fail each time.
        """
        self.says("'no'", "'no' is a text that is not empty, and so permits everything; write true or false")
        self.says("null.a", "it always fails: TypeError: Cannot read properties of null (reading 'a')")
        self.says("undefined.a", "it always fails: TypeError: Cannot read properties of undefined (reading 'a')")
        self.says_nothing("true", "''", "1 > 0", "NaN")
        self.assertEqual(linted(True), [])

    def test_hidden(self) -> None:
        """
        A rule whose names all have another one that decides. Rules of other kinds hide nothing.
        """
        longer = {"a/$identifier": {"write": True}}
        hidden = (
            'it never decides: record["{}"].write matches every name that this pattern matches, and is {}; the longest '
            "pattern decides, so shorten the names of its variables"
        )
        for pattern in ("a/$id", "a/bcd"):
            self.says("true", hidden.format("a/$identifier", "longer"), pattern=pattern, **longer)
        later = {"a/$no": {"write": True}}
        self.says("true", hidden.format("a/$no", "as long, and later in the file"), **later)
        self.says_nothing("true", pattern="a/bcd/e", **longer)
        self.says_nothing("true", kind="read", **longer)

    def test_listen(self) -> None:
        """
        A rule for listening that holds for a pattern, but for none of the names that match.
        """
        self.says(
            "name === 'a/.*'",
            "it permits to listen to 'a/.*', but to none of the names that match: the rule has to hold for each name "
            "that is offered, too",
            kind="listen",
        )
        self.says_nothing("name === 'a/b'", "name === 'a/.*' || name.startsWith('a/')", kind="listen")
        self.says_nothing("name === 'a/.*'", kind="write")

    def test_many(self) -> None:
        """
        The same is told once of a rule, and no more than L{MAX_WARNINGS} in all.
        """
        self.says("yes || yes", self.undefined("yes", "; did you mean true? In YAML 1.2 yes is a text"))
        many = {f"b/{number}": {"write": "yes"} for number in range(MAX_WARNINGS)}
        self.assertEqual(len(warnings_of(self.loaded(many))), MAX_WARNINGS)
        many["c"] = {"write": "yes"}
        told = warnings_of(self.loaded(many))
        self.assertEqual(
            (len(told), told[-1]), (MAX_WARNINGS + 1, "more than 100 rules look wrong; the others are not listed")
        )

    def loaded(self, entries: dict[str, Any], path: str = "") -> Any:
        rules = {**{each: {"*": {}} for each in SECTIONS}, "record": {"*": {}, **entries}}
        return load_permissions(rules, path)

    def test_places(self) -> None:
        """
        Each is told with its place, in the order of the lines.
        """
        rules = self.loaded({"a": {"write": "yes"}, "b": {"create": "no"}})
        lines = {'p.record["a"].write': "x: line 2", "p.record.a.write": "x: line 2", "p.record.b.create": "x: line 11"}
        told = warnings_of(rules, "p", lines.__getitem__)
        self.assertEqual(
            [line.split(" is not")[0] for line in told],
            ["x: line 2: p.record.a.write: yes", "x: line 11: p.record.b.create: no"],
        )


class RealFilesTests(SynchronousTestCase):
    """
    Files as they are in use: nothing is said of them that is not so.
    """

    #: The cases of the reference that are about what is warned of.
    DOUBTFUL = {
        "path-alternation-shifts-variables",
        "path-variable-unused-in-literal-path",
        "spec-long-variable-beats-literal",
        "user-unknown-property",
        "user-name-undefined",
        "result-string-truthy",
        "js-undeclared-throws",
        "js-undeclared-short-circuit",
        "action-letter-never",
        "real-undeclared-name",
        "cfg-rule-data-in-subscribe",
        "yaml-no-is-text",
        "yaml-yes-is-text",
        "yaml-on-is-text",
    }

    def test_cases(self) -> None:
        """
        The cases of the reference.
        """
        found = set()
        for case in TABLE["cases"] + TABLE["flows"]:
            given = permissions(case)
            if "permissions_yaml" in case:
                try:
                    given = parse("rules.yml", case["permissions_yaml"].encode())
                except ConfigError:
                    continue
            try:
                rules = load_permissions(given)
            except ConfigError:
                continue
            if warnings_of(rules):
                found.add(case["id"])
        self.assertEqual(found, self.DOUBTFUL)

    def test_files(self) -> None:
        """
        The files that come with the server and its tests.
        """
        for path in ("etc/dstwist/permissions.yml", "tests/e2e/complex_permissions.yml"):
            rules = load_permissions(parse(path, (ROOT / path).read_bytes()))
            self.assertEqual((warnings_of(rules), rules.count > 0), ([], True), path)

    def test_documents(self) -> None:
        """
        The examples in the documentation.
        """
        found = 0
        for path in sorted((ROOT / "docs").glob("*.rst")):
            for block in re.findall(r"(?:(?<=::\n\n)|(?<=yaml\n\n))((?:    .*\n|\n)+)", path.read_text("utf-8")):
                try:
                    content = parse("rules.yml", block.encode())
                except ConfigError:
                    continue
                if isinstance(content, dict) and content.keys() & set(SECTIONS) and not content.keys() - set(SECTIONS):
                    given = {each: {"*": {}, **content.get(each, {})} for each in SECTIONS}
                    rules = load_permissions(given)
                    told = warnings_of(rules)
                    found += 1
                    if "name === 'game/.*'" in block:
                        # The one that shows what does not work.
                        self.assertEqual(len(told), 1)
                    else:
                        self.assertEqual(told, [], f"{path}{os.linesep}{block}")
        self.assertGreater(found, 2)
