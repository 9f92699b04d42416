"""The configuration and the rules that docs/how-to/metrics.md shows, given to a real Prometheus."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "metrics.md").read_text()

pytestmark = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="needs prometheus, from Debian's package prometheus",
)


def shown(name):
    """What the page has its reader write into a file."""
    return re.search(rf"<!-- test: file {name} -->\n```\w+\n(.*?)```", PAGE, re.S)[1]


@pytest.fixture
def configured(fresh_site, tmp_path):
    """The page's two files, with the addresses of this test in them."""
    site = fresh_site
    for shown_there, here in (
        ("127.0.0.1:22824", site.url.removeprefix("http://")),
        ("/etc/prometheus/batchyard-token", str(site.data / "metrics-token")),
        ("15s", "1s"),
    ):
        assert shown_there in shown("prometheus.yml")
        text = (tmp_path / "prometheus.yml").read_text() if (tmp_path / "prometheus.yml").exists() else None
        (tmp_path / "prometheus.yml").write_text((text or shown("prometheus.yml")).replace(shown_there, here))
    with (tmp_path / "prometheus.yml").open("a") as file:
        file.write("rule_files: [rules.yml]\n")
    (tmp_path / "rules.yml").write_text(shown("rules.yml"))
    return tmp_path / "prometheus.yml"


@pytest.fixture
def ask(configured, tmp_path):
    """What a running Prometheus answers to a query: (labels, value) of each series."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    flags = [f"--config.file={configured}", f"--storage.tsdb.path={tmp_path / 'tsdb'}"]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(["prometheus", *flags, f"--web.listen-address={address}"], stderr=log)

    def query(expression):
        try:
            with urllib.request.urlopen(
                f"http://{address}/api/v1/query?query={urllib.parse.quote(expression)}", timeout=5
            ) as answer:
                return [(each["metric"], float(each["value"][1])) for each in json.load(answer)["data"]["result"]]
        except (urllib.error.URLError, ConnectionError):
            assert server.poll() is None, (tmp_path / "log").read_text()
            return []

    yield query
    server.terminate()
    server.wait(15)


def test_the_pages_configuration_and_rules_are_valid(configured):
    checked = subprocess.run(["promtool", "check", "config", configured], capture_output=True, text=True)
    assert checked.returncode == 0 and "4 rules found" in checked.stdout, checked.stdout + checked.stderr


def test_its_linter_finds_nothing_to_say(fresh_site):
    site = fresh_site
    site.queue("work")
    site.wait_for((site.data / "metrics.prom").exists, "the first page is written")
    page = (site.data / "metrics.prom").read_text()
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_a_real_prometheus_scrapes_and_answers_the_pages_questions(fresh_site, ask):
    site = fresh_site
    queue = site.queue("work")
    resources = {"type": "EC2", "minvCpus": 1, "maxvCpus": 4, "instanceTypes": ["optimal"], "subnets": ["any"]}
    site.client("batch").create_compute_environment(
        computeEnvironmentName="elastic",
        type="MANAGED",
        computeResources=resources | {"securityGroupIds": ["any"], "instanceRole": "any"},
    )
    site.definition("yes", "true")
    site.finished(site.submit(queue, "yes", arrayProperties={"size": 10}))
    site.wait_for(lambda: ask('up{job="batchyard"} == 1'), "it is scraped")
    done = 'batchyard_jobs_finished_total{outcome="succeeded"}'
    site.wait_for(lambda: [value for _, value in ask(done)] == [10], "it knows the ten jobs")
    questions = re.findall(r"^\|[^|]+\| `([^`]+)` \|$", PAGE, re.M)
    assert len(questions) >= 6
    for question in questions:
        if "oldest_runnable" not in question:  # of jobs that wait, and none does
            site.wait_for(lambda question=question: ask(question), f"there is an answer to {question}")
            assert all(labels.keys() <= {"queue", "provider", "environment"} for labels, _ in ask(question)), question
