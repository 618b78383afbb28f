#!/usr/bin/env python3
"""Holds deploy/grafana and deploy/prometheus against a real daemon, scraped by a real Prometheus: every query is understood, every
metric in it exists, and every alert's runbook is a heading in docs/operations.md; and the dashboard against Grafana's own types. Usage:
check.py FACEOODD; needs prometheus in PATH, and the npm packages of tests/page."""
import json
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
PHOTO = ROOT / "tests/photos/astronaut.jpg"
DASHBOARD = ROOT / "deploy/grafana/faceood.json"
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
DEADLINE_S = 120
# Only where there is an NVIDIA driver, an address that speaks TLS, or a centre that rows are shipped to; the daemon's code says that
# they exist there.
NOT_HERE = re.compile(r"^faceood_((process_)?gpu|tls|ship)_")


def fetch(url, body=None, kind="image/jpeg"):
    request = urllib.request.Request(url, data=body, headers={"Content-Type": kind} if body else {})
    with urllib.request.urlopen(request, timeout=60) as response:
        return response.read().decode()


def wait(what, attempt):
    """The first answer that is something."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        try:
            found = attempt()
        except (OSError, urllib.error.URLError):
            found = None
        if found:
            return found
        time.sleep(0.2)
    sys.exit(f"{what} did not come about within {DEADLINE_S} s")


def queries():
    """Each query, with the place that it stands in. A list of panels is read as Grafana would."""
    dashboard = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids)), "two panels have one id"
    spread = {"$instance": ".*", "$__rate_interval": "1m", "$__interval": "1m"}
    found = [(f"panel {panel['title']}", target["expr"]) for panel in dashboard["panels"] for target in panel.get("targets", [])]
    found += [("annotations", one["expr"]) for one in dashboard["annotations"]["list"]]
    for place, query in found:
        for name, value in spread.items():
            query = query.replace(name, value)
        assert "$" not in query, f"{place}: a variable is left in {query}"
        yield place, query


# A text in JSON is no member of an enumeration to TypeScript, but its value. What the query of an annotation looks like is left to
# its data source.
TYPED = """import type { AnnotationQuery, Dashboard } from "@grafana/schema";
type Written<T> = T extends string ? `${T}` : T extends object ? { [K in keyof T]: Written<T[K]> } : T;
type Asking = Written<AnnotationQuery> & { expr: string; titleFormat?: string };
type Whole = Omit<Written<Dashboard>, "annotations"> & { annotations: { list: Asking[] } };
export const dashboard: Whole = """


def check_types():
    """What Grafana would not know is an error to TypeScript."""
    modules = ROOT / "tests/page/node_modules"
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "node_modules").symlink_to(modules)
        (folder / "dashboard.ts").write_text(TYPED + DASHBOARD.read_text())
        options = ["--noEmit", "--strict", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler"]
        done = subprocess.run([modules / ".bin/tsc", *options, folder / "dashboard.ts"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{DASHBOARD.name} is no dashboard of Grafana's:\n{done.stdout}{done.stderr}")


def rules(prometheus):
    """Each alert as Prometheus itself has read it."""
    groups = json.loads(fetch(f"{prometheus}/api/v1/rules"))["data"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def anchors(document):
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def main():
    program = sys.argv[1]
    check_types()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "faceood.toml").write_text('[telemetry]\nsources = ["gate-1"]\n')
        command = [program, "--config", folder / "faceood.toml", "--listen", "127.0.0.1:0", "--data-dir", folder / "data"]
        daemon = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        scraper = None
        try:
            address = folder / "data/address"
            wait("the daemon", lambda: address.exists() and address.read_text())
            host = address.read_text().strip()
            (folder / "prometheus.yml").write_text(
                f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{ALERTS}]\n"
                f"scrape_configs: [{{job_name: faceood, static_configs: [{{targets: ['{host}']}}]}}]\n"
            )
            subprocess.run(["promtool", "check", "config", folder / "prometheus.yml"], check=True, stdout=subprocess.DEVNULL)
            scraper = subprocess.Popen(
                ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}",
                 f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            prometheus = f"http://127.0.0.1:{port}"
            check(prometheus, host)
        finally:
            for process in (scraper, daemon):
                if process:
                    process.terminate()
                    process.wait()


def check(prometheus, host):
    photo = PHOTO.read_bytes()
    for source in ("gate-1", "elsewhere"):
        fetch(f"http://{host}/v1/extract?source={source}", photo)
    form = b"".join(b'--x\r\nContent-Disposition: form-data; name="%s"; filename="a"\r\n\r\n%s\r\n' % (name, photo) for name in (b"probe", b"reference"))
    fetch(f"http://{host}/v1/compare", form + b"--x--\r\n", "multipart/form-data; boundary=x")

    def ask(query):
        answer = json.loads(fetch(f"{prometheus}/api/v1/query?{urllib.parse.urlencode({'query': query})}"))
        return answer["data"]["result"]

    wait("a scrape that has the requests", lambda: ask('faceood_verdicts_total{job="faceood"}'))
    alerts = wait("the rules", lambda: rules(prometheus))
    runbooks = anchors((ROOT / "docs/operations.md").read_text())
    places = list(queries()) + [(rule["name"], rule["query"]) for rule in alerts]
    sources = (ROOT / "src/telemetry/metrics.rs").read_text()
    wrong = []
    names = set()
    for place, query in places:
        try:
            ask(query)
        except urllib.error.HTTPError as error:
            wrong.append(f"{place}: {query}: {error.read().decode()}")
        for name in set(re.findall(r"\bfaceood_\w+", query)) - names:
            names.add(name)
            exists = f'"{name}"' in sources if NOT_HERE.match(name) else bool(ask(name))
            if not exists:
                wrong.append(f"{place}: there is no metric {name}")
    for rule in alerts:
        document, anchor = rule["annotations"]["runbook"].split("#")
        if document != "docs/operations.md" or anchor not in runbooks:
            wrong.append(f"{rule['name']}: {rule['annotations']['runbook']} leads nowhere")
        if rule["state"] != "inactive" or rule["health"] == "err":
            wrong.append(f"{rule['name']} is {rule['state']} on a healthy box ({rule['health']} {rule.get('lastError', '')})")
    by_source = {sample["metric"]["source"] for sample in ask("faceood_source_actions_total > 0")}
    if by_source != {"gate-1", "other"}:
        wrong.append(f"sources that are labels: {by_source}")
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{len(places)} queries of the dashboard and of {len(alerts)} alerts, over {len(names)} metrics that are there")


main()
