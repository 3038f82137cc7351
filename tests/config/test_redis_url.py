"""
Tests for L{dstwist.config.redis_url}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.redis_url import RedisUrl, read_redis_url
from dstwist.errors import ConfigError


class RedisUrlTests(SynchronousTestCase):
    """
    URLs of a Redis.
    """

    def test_parts(self) -> None:
        """
        Each part that a URL has is taken from it.
        """
        for url, expected in (
            ("redis://a", RedisUrl("a")),
            ("redis://a:7/", RedisUrl("a", 7)),
            ("redis://:p@a/2", RedisUrl("a", password="p", db=2)),
            ("redis://u:p%40%2F%25@a:1", RedisUrl("a", 1, username="u", password="p@/%")),
            ("redis://u@a", RedisUrl("a", username="u")),
            ("rediss://a", RedisUrl("a", tls=True)),
            ("REDIS://A", RedisUrl("a")),
            ("redis://[::1]:5", RedisUrl("::1", 5)),
            ("redis://", RedisUrl()),
            ("redis://a?db=3&family=6&allowUsernameInURI=true", RedisUrl("a", db=3, family=6)),
            ("unix:///run/r.sock", RedisUrl(path="/run/r.sock")),
            ("redis+unix://:p@/run/r%20s.sock?db=1", RedisUrl(path="/run/r s.sock", password="p", db=1)),
            ("redis+socket:///r", RedisUrl(path="/r")),
        ):
            self.assertEqual(expected, read_redis_url(url, "url"), url)

    def test_refused(self) -> None:
        """
        A text that is no such URL is refused, with a message that does not repeat the password.
        """
        for url, expected in (
            ("", "expected a text, got an empty one"),
            ("a:6379", "expected a URL such as redis://user:password@host:6379/0: there is no ://"),
            ("http://:hunter2@a", "expected a URL such as redis://user:password@host:6379/0: expected one of redis, "),
            ("redis://:hunter2@a:99999", "not a URL such as"),
            ("redis://:hun/ter2@a:x", "not a URL such as"),
            ("redis://:p#hunter2@a", "not a URL such as"),
            ("redis://:hunter2@a/hunter2", "what follows the host is not the number of a database"),
            ("redis://a?db=x", "what follows the host is not the number of a database"),
            ("redis://a?family=5", "the parameter family is not taken in the URL; write it as an option"),
            ("redis://a?password=hunter2", "the parameter password is not taken in the URL"),
            ("unix://run/r.sock", "expected the path of a UNIX socket behind three slashes"),
            ("unix://", "expected the path of a UNIX socket"),
        ):
            problem = str(self.assertRaises(ConfigError, read_redis_url, url, "url"))
            self.assertTrue(problem.startswith(f"url: {expected}"), f"{url}: {problem}")
            self.assertNotIn("hunter2", problem)
            self.assertNotIn("ter2", problem)
