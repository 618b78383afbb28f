#!/usr/bin/env python3
"""Runs each code block of the guides against a daemon of its own, as a reader would from the repository's root: sh, python, js, java, csharp.
A block that cannot be run here names in a comment above it the file of the test that runs it. Usage: run.py FACEOODD; the environment has what
scripts/test-docs puts there."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

import bad_pictures

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUIDES = [
    *("quickstart.md", "quickstart.zh.md", "integrators.md", "integrators.zh.md"),
    *("operations.md", "operations.zh.md", "analysis.md", "evaluation.md", "fleet.md"),
]
# What is written there shall not stay, and those who read these are anywhere.
ELSEWHERE = ("operations", "analysis")
DOCUMENTED = "127.0.0.1:7860"
PHOTO = "tests/photos/astronaut.jpg"
# How a program for a gate begins what it tells the person in front of it, in each guide: whose face is not accepted, and whose is.
OPENINGS = {"integrators.md": ("please:", "note:"), "integrators.zh.md": ("提示：", "注意：")}
BLOCK = re.compile(r"(?:<!-- not run here: ([^\n]+) -->\n)?^```(\w*)\n(.*?)^```$", re.M | re.S)
PLAIN = {"text", "json", "toml", "yaml", "mermaid"}
NEEDED = {"java": "java", "csharp": "mcs"}


def blocks(guide):
    text = (ROOT / "docs" / guide).read_text()
    found = [(text[: match.start()].count("\n") + 1, *match.groups()) for match in BLOCK.finditer(text)]
    fences = len(re.findall(r"^```", text, re.M))
    assert fences == 2 * len(found), f"{guide}: {fences} fences, {len(found)} blocks"
    return found


def run(language, text, folder, place):
    """Runs a block; says what it printed."""
    if language == "sh":
        command = ["bash", "-euo", "pipefail", "-c", text]
    elif language == "python":
        command = [sys.executable, "-c", text]
    elif language == "js":
        modules = folder / "node_modules"
        modules.mkdir(exist_ok=True)
        if not (modules / "faceood").exists():
            (modules / "faceood").symlink_to(ROOT / "clients/typescript")
        (folder / "block.mjs").write_text(text)
        command = ["node", folder / "block.mjs"]
    elif language == "java":
        name = re.search(r"class (\w+)", text)[1]
        (folder / f"{name}.java").write_text(text)
        command = ["java", folder / f"{name}.java"]
    elif language == "csharp":
        (folder / "block.cs").write_text(text)
        subprocess.run(["mcs", "-r:System.Net.Http", f"-out:{folder}/block.exe", folder / "block.cs"], check=True)
        command = ["mono", folder / "block.exe"]
    else:
        raise ValueError(f"nobody knows how to run {language!r}")
    before = set(place.iterdir())
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=120)
    written = [file for file in set(place.iterdir()) - before if file.stat().st_size]
    if done.returncode != 0 or not (done.stdout.strip() or written):
        raise ValueError(f"exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def differences(documented, printed, place=""):
    """Where what a guide shows of an answer is not in the answer. Scores may differ by .01, because processors do."""
    if isinstance(documented, dict):
        missing = [f"{place} is {printed!r}"] if not isinstance(printed, dict) else []
        return missing or [one for key, value in documented.items() for one in differences(value, printed.get(key), f"{place}.{key}")]
    if isinstance(documented, list) and documented:
        if not isinstance(printed, list) or len(printed) < len(documented):
            return [f"{place} is {printed!r}"]
        return [one for at, value in enumerate(documented) for one in differences(value, printed[at], f"{place}[{at}]")]
    if isinstance(documented, float) and isinstance(printed, float):
        return [] if abs(documented - printed) <= 0.01 else [f"{place} is {printed}, and the guide shows {documented}"]
    return [] if documented == printed else [f"{place} is {printed!r}, and the guide shows {documented!r}"]


def ask(host, picture):
    request = urllib.request.Request(f"http://{host}/v1/quality", picture, {"Content-Type": "image/jpeg"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def gates(host, folder, pictures):
    """Runs the guides' programs for a gate on bad pictures: each must show the first hint, and go on where the face is accepted."""
    hinted = {}
    for name, picture in pictures.items():
        answer = ask(host, picture)
        accepted = bool(answer["faces"]) and answer["faces"][0]["decision"]["action"] == "accept"
        if answer["hints"] or not accepted:
            hinted[name] = picture, accepted
    assert sum(not accepted for _, accepted in hinted.values()) >= 10, f"hardly a picture is bad: {list(hinted)}"
    assert hinted.get("several", (b"", False))[1], "a picture of several people is accepted, with a hint"
    wrong, ran = [], 0
    for guide, openings in OPENINGS.items():
        for line, reason, language, text in blocks(guide):
            if "hints" not in text or language in PLAIN or reason:
                continue
            for name, (picture, accepted) in hinted.items():
                place = folder / "bad.jpg"
                place.write_bytes(picture)
                program = text.replace(DOCUMENTED, host)
                # Somebody was enrolled with a good photo; at the gate the picture is a bad one.
                program = program.replace("box.quality(PHOTO)", f'box.quality("{place}")').replace(f'readFile("{PHOTO}")', f'readFile("{place}")')
                ran += 1
                try:
                    said = run(language, program, folder, ROOT).strip()
                except ValueError as error:
                    said = str(error)
                first, *more = said.splitlines() or [""]
                advice = first.removeprefix(openings[accepted]).strip()
                if advice == first or advice in ("", "undefined", "None") or len(more) != accepted:
                    wrong.append(f"docs/{guide}, line {line}, a picture with {name}: the program says {said!r}")
    assert ran >= 4 * len(hinted), "both guides have programs in Python and JavaScript"
    return wrong, ran


def main():
    wrong, ran, skipped = [], 0, []
    os.environ["FACEOOD_LOG__KEEP_THUMBNAILS"] = "true"  # one block exports them
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        os.environ["HOME"] = str(folder)  # for what readers put there
        daemon = subprocess.Popen([sys.argv[1], "--listen", "127.0.0.1:0", "--data-dir", folder / "data"], cwd=ROOT, stderr=subprocess.DEVNULL)
        try:
            address = folder / "data/address"
            deadline = time.monotonic() + 120
            while not address.exists():
                if daemon.poll() is not None or time.monotonic() > deadline:
                    sys.exit("the daemon does not become ready")
                time.sleep(0.1)
            host = address.read_text().strip()
            photo = (ROOT / PHOTO).read_bytes()
            first = urllib.request.Request(f"http://{host}/v1/quality?source=gate-3", photo, {"Content-Type": "image/jpeg", "X-Request-Id": "gate-3.42"})
            with urllib.request.urlopen(first) as first:
                first = json.load(first)
            request_id = first["request_id"]
            os.environ["FACEOOD_DATA_DIR"] = str(folder / "data")
            os.environ["PATH"] = f"{pathlib.Path(sys.argv[1]).resolve().parent}:{os.environ['PATH']}"
            for guide in GUIDES:
                place = ROOT if not guide.startswith(ELSEWHERE) else pathlib.Path(tempfile.mkdtemp(dir=folder))
                said = ""
                named = {DOCUMENTED: host, "REQUEST_ID": request_id, "/mnt/backup": str(place)}
                for line, reason, language, text in blocks(guide):
                    if reason:
                        by = ROOT / reason.split()[0]
                        command = re.search(r"faceood-admin (\S+)", text)
                        does = ("guide", *([command[1]] if command else []))
                        if not by.is_file() or not any(word in by.read_text().lower() for word in does):
                            wrong.append(f"docs/{guide}, line {line}: nothing by the name of {by} runs this")
                        continue
                    if language == "json" and guide.startswith("quickstart"):
                        wrong += [f"docs/{guide}, line {line}: {one}" for one in differences(json.loads(text), json.loads(said))]
                    if language in PLAIN:
                        continue
                    if (needed := NEEDED.get(language)) and not shutil.which(needed):
                        skipped.append(f"{guide}:{line} (there is no {needed} here)")
                        continue
                    try:
                        for name, value in named.items():
                            text = text.replace(name, value)
                        said = run(language, text, folder, place)
                        if language == "sh" and "urn:faceood:problem" in said:
                            raise ValueError(said)
                        ran += 1
                    except (ValueError, subprocess.TimeoutExpired) as error:
                        wrong.append(f"docs/{guide}, line {line}: {error}")
            more, asked = gates(host, folder, bad_pictures.make(ROOT / PHOTO, first["faces"][0]))
            wrong += more
            with urllib.request.urlopen(f"http://{host}/v1/inferences?source=gate-3&limit=100") as rows:
                assert b'"action"' in rows.read(), "the examples asked the daemon"
        finally:
            daemon.terminate()
            daemon.wait()
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{asked} times the guides' programs for a gate showed the first hint")
    print(f"{ran} code blocks of the guides run" + (f"; skipped: {', '.join(skipped)}" if skipped else ""))


main()
