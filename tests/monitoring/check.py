#!/usr/bin/env python3
"""Holds deploy/grafana and deploy/prometheus against a real daemon, scraped by a real Prometheus: every query is understood, every
metric in it exists, and every alert's runbook is a heading in docs/operations.md; and the dashboards against Grafana's own types. The one
of the fleet asks a real PostgreSQL with the centre's tables. Usage: check.py FACEOODD; needs prometheus in PATH, the npm packages of
tests/page, and Debian's postgresql for the fleet."""
import json
import os
import pathlib
import re
import shutil
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
FLEET = ROOT / "deploy/grafana/faceood-fleet.json"
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
RECORDS = ROOT / "deploy/prometheus/fleet.yml"
CENTRE = ROOT / "migrations/centre"
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


def check_types(written):
    """What Grafana would not know is an error to TypeScript."""
    modules = ROOT / "tests/page/node_modules"
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "node_modules").symlink_to(modules)
        (folder / "dashboard.ts").write_text(TYPED + written.read_text())
        options = ["--noEmit", "--strict", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler"]
        done = subprocess.run([modules / ".bin/tsc", *options, folder / "dashboard.ts"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{written.name} is no dashboard of Grafana's:\n{done.stdout}{done.stderr}")


def run_as_postgres(command, **more):
    """Runs a program of PostgreSQL's, which refuses to be root's."""
    if os.getuid() == 0:
        command = ["runuser", "-u", "postgres", "--", *command]
    return subprocess.run(command, capture_output=True, text=True, **more)


def check_fleet():
    """Asks a PostgreSQL with the centre's tables, as one who may only read, each question of the dashboard of the fleet."""
    dashboard = json.loads(FLEET.read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids)), "two panels have one id"
    programs = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs or not list(CENTRE.glob("*.sql")):
        return "skipped: the dashboard of the fleet (there is no PostgreSQL here)"
    asked = [("variable", dashboard["templating"]["list"][1]["query"])]
    asked += [(panel["title"], target["rawSql"]) for panel in dashboard["panels"] for target in panel.get("targets", [])]
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        if os.getuid() == 0:
            shutil.chown(folder, "postgres")
        data = f"{folder}/data"
        made = run_as_postgres([programs[-1] / "initdb", "-D", data, "-A", "trust", "-E", "UTF8", "-N"])
        assert made.returncode == 0, made.stderr
        # Only by its Unix socket, which no other server has.
        options = f"-k {folder} -c listen_addresses= -c fsync=off"
        run_as_postgres([programs[-1] / "pg_ctl", "-D", data, "-w", "-o", options, "-l", f"{folder}/log", "start"])
        try:
            def ask(sql):
                return run_as_postgres(["psql", "-h", folder, "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-qAtX"], input=sql, timeout=60)

            # sqlx makes the first table itself.
            tables = "CREATE TABLE _sqlx_migrations (version bigint);" + "".join(file.read_text() for file in sorted(CENTRE.glob("*.sql")))
            made = ask(tables + SOME_ROWS)
            assert made.returncode == 0, made.stderr
            for place, query in asked:
                # What Grafana makes of its macros and variables.
                query = re.sub(r"\$__timeGroup\((\w+), \$__interval\)", r"floor(extract(epoch FROM \1) / 3600) * 3600", query)
                query = re.sub(r"\$__timeFilter\((\w+)\)", r"\1 BETWEEN now() - interval '7 days' AND now()", query)
                query = query.replace("$node", "'box-1', 'box-2'")
                assert "$" not in query, f"{place}: a variable is left in {query}"
                answer = ask(f"SET ROLE faceood_reader; {query};")
                if answer.returncode != 0 or not answer.stdout.strip():
                    wrong.append(f"{FLEET.name}, {place}: {answer.stderr or 'no answer'}")
        finally:
            run_as_postgres([programs[-1] / "pg_ctl", "-D", data, "-m", "immediate", "stop"])
    if wrong:
        sys.exit("\n".join(wrong))
    return f"{len(asked)} questions of the dashboard of the fleet"


SOME_ROWS = """
INSERT INTO boxes (node, last_seen, unshipped, oldest) VALUES ('box-1', now(), 10, now() - interval '1 hour');
INSERT INTO inferences (node, log_id, time, id, source, quality_score, action, pack_sha256, calibration_id, embedding_norm)
  SELECT 'box-1', gen_random_uuid(), now() - n * interval '1 minute', gen_random_uuid(), 'gate-1', (n % 10) / 10.0, 'accept', 'abc', 'c', 1
  FROM generate_series(1, 300) AS n;
"""


def rules(prometheus):
    """Each rule as Prometheus itself has read it."""
    groups = json.loads(fetch(f"{prometheus}/api/v1/rules"))["data"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def anchors(document):
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def main():
    program = sys.argv[1]
    for written in (DASHBOARD, FLEET):
        check_types(written)
    fleet = check_fleet()
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
                f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{ALERTS}, {RECORDS}]\n"
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
            print(fleet)
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
    found = wait("the rules", lambda: rules(prometheus))
    alerts = [rule for rule in found if rule["type"] == "alerting"]
    records = [rule for rule in found if rule["type"] == "recording"]
    # A share is one of what has been counted since the scrape before.
    fetch(f"http://{host}/v1/extract?source=gate-1", photo)
    here = [rule["name"] for rule in records if not any(NOT_HERE.match(name) for name in re.findall(r"\bfaceood_\w+", rule["query"]))]
    wait("a record of each kind for a fleet", lambda: all(ask(name) for name in here))
    runbooks = anchors((ROOT / "docs/operations.md").read_text())
    places = list(queries()) + [(rule["name"], rule["query"]) for rule in found]
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
    print(f"{len(places)} queries of the dashboard, of {len(alerts)} alerts and of {len(records)} records, over {len(names)} metrics that are there")


main()
