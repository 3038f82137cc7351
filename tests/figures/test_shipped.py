"""
The files in C{etc/} for Prometheus and Grafana: every metric that they name exists, and Prometheus accepts them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.load import load
from dstwist.config.monitoring import HttpMonitorSettings
from dstwist.figures.catalogue import HISTOGRAM, METRICS
from tests.api.stage import ignore
from tests.figures.stage import MonitoredTestCase

CHECKOUT = Path(__file__).parent.parent.parent
ETC = CHECKOUT / "etc"
#: C{make promtool} puts it there, if it is not on the path.
OWN_PROMTOOL = CHECKOUT / ".clients" / "promtool" / "usr" / "bin"

_NAME = re.compile(r"\b(?:dstwist|process)_[a-z_]+\b")


def promtool(*words: str, text: bytes = b"") -> str:
    """
    What C{promtool} says.

    @raise AssertionError: it finds a mistake.
    """
    environ = {**os.environ, "PATH": f"{os.environ['PATH']}:{OWN_PROMTOOL}"}
    done = subprocess.run(["promtool", *words], input=text, capture_output=True, env=environ, check=False)
    said = (done.stdout + done.stderr).decode()
    if done.returncode:
        raise AssertionError(said)
    return said


def known_names() -> set[str]:
    """
    The names of all metrics, as they may be in an expression.
    """
    ends = ("_bucket", "_sum", "_count")
    return {
        name
        for metric in METRICS
        for name in ([metric.name + end for end in ends] if metric.kind == HISTOGRAM else [metric.name])
    }


def alert_rules() -> list[dict[str, Any]]:
    found = YAML(typ="safe").load(ETC / "prometheus" / "alerts.yml")
    return [rule for group in found["groups"] for rule in group["rules"]]


def dashboard_queries() -> list[str]:
    found = json.loads((ETC / "grafana" / "dstwist.json").read_text())
    queries = [target["expr"] for panel in found["panels"] for target in panel.get("targets", ())]
    return queries + [each["query"]["query"] for each in found["templating"]["list"] if each["type"] == "query"]


class NameTests(SynchronousTestCase):
    """
    The names of metrics in these files.
    """

    def test_alerts(self) -> None:
        """
        Each alert names metrics that exist. It has a severity, and texts for people.
        """
        rules = alert_rules()
        self.assertGreater(len(rules), 15)
        for rule in rules:
            names = set(_NAME.findall(rule["expr"]))
            self.assertEqual(names - known_names(), set(), rule["alert"])
            self.assertTrue(names or rule["expr"].startswith("up{"), rule["alert"])
            self.assertIn(rule["labels"]["severity"], ("critical", "warning"))
            self.assertEqual(set(rule["annotations"]), {"summary", "description"})

    def test_dashboard(self) -> None:
        """
        Each query of the dashboard names metrics that exist, and the dashboard shows nearly all metrics.
        """
        queries = dashboard_queries()
        shown = {name for query in queries for name in _NAME.findall(query)}
        self.assertEqual(shown - known_names(), set())
        for query in queries:
            self.assertRegex(query, _NAME)
        unseen = {metric.name for metric in METRICS if not any(name.startswith(metric.name) for name in shown)}
        self.assertEqual(
            {name for name in unseen if not name.startswith("dstwist_cluster_")},
            {"process_virtual_memory_bytes", "process_start_time_seconds"},
        )

    def test_scrape(self) -> None:
        """
        The configuration of dstwist in the example of Prometheus can be used, and fits the example.
        """
        path = ETC / "prometheus" / "scrape.yml"
        comment = [line[1:] for line in path.read_text().splitlines() if line.startswith("#   ")]
        config = Path(self.mktemp()).with_suffix(".yml")
        config.write_text("\n".join(line[3:] for line in comment))
        monitors = load(str(config), {"METRICS_TOKEN": "abc"}).monitoring
        self.assertEqual(
            [vars(each) for each in monitors],
            [vars(HttpMonitorSettings("prometheus", "/metrics", "authorization", "Bearer abc"))],
        )
        (job,) = YAML(typ="safe").load(path)["scrape_configs"]
        self.assertEqual((job["job_name"], job["authorization"]["type"]), ("dstwist", "Bearer"))

    def test_dashboard_layout(self) -> None:
        """
        No two panels of the dashboard cover each other.
        """
        found = json.loads((ETC / "grafana" / "dstwist.json").read_text())
        taken: set[tuple[int, int]] = set()
        for panel in found["panels"]:
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            self.assertEqual(cells & taken, set(), panel["title"])
            taken |= cells
        self.assertEqual(len({panel["id"] for panel in found["panels"]}), len(found["panels"]))


class PromtoolTests(MonitoredTestCase):
    """
    The program of Prometheus that checks its files.
    """

    def test_rules(self) -> None:
        """
        Prometheus accepts the alerts.
        """
        self.assertIn("SUCCESS", promtool("check", "rules", str(ETC / "prometheus" / "alerts.yml")))

    def test_scrape(self) -> None:
        """
        Prometheus accepts the example of its configuration.
        """
        path = str(ETC / "prometheus" / "scrape.yml")
        self.assertIn("SUCCESS", promtool("check", "config", "--syntax-only", path))

    def test_dashboard(self) -> None:
        """
        Prometheus can read each query of the dashboard. (Grafana puts values in place of its variables.)
        """
        queries = [
            query.replace("$__rate_interval", "5m").replace("$job", ".*").replace("$instance", ".*")
            for query in dashboard_queries()
            if not query.startswith("label_values")
        ]
        path = Path(self.mktemp())
        rules = [{"record": f"test:number_{number}", "expr": query} for number, query in enumerate(queries)]
        path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
        self.assertIn(f"{len(queries)} rules found", promtool("check", "rules", str(path)))

    def test_metrics(self) -> None:
        """
        Prometheus accepts the metrics of a node that has something to count, and has no complaint about their names.
        """
        ann = self.client("v4", "ann")
        ann.subscribe("news")
        self.client("v3", "bob").subscribe("news")
        ann.emit("news", b"1")
        self.done(self.api.records.set("a", {}))
        self.done(self.api.rpc.provide("add", ignore))
        body = self.ask("/metrics", x_key="secret").body
        self.assertEqual(promtool("check", "metrics", text=body), "")

    def test_mistakes(self) -> None:
        """
        The program finds mistakes.
        """
        for text in (b"dstwist_users 3", b'dstwist_users{a="b} 3\n', b"# HELP a b\n# TYPE a counter\na 1\n"):
            self.assertRaises(AssertionError, promtool, "check", "metrics", text=text)
