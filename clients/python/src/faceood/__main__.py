"""``python -m faceood``: asks a service from the shell.

Exit codes: 0 answered, 1 failed, 2 wrong usage; with ``--expect``, 3 where the answer is another one.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from . import DEFAULT_URL, Faceood, FaceoodError

DESCRIPTION = "Asks a faceood service whether face pictures can be trusted, and whether two of them show one person."


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m faceood", description=DESCRIPTION)
    made.add_argument("--url", default=os.environ.get("FACEOOD_URL", DEFAULT_URL), help="the service (or FACEOOD_URL)")
    token = "file with the access token (or FACEOOD_TOKEN, the token itself)"
    made.add_argument("--token-file", type=pathlib.Path, help=token)
    made.add_argument("--ca", help="PEM file of the authority that signed the service's certificate")
    made.add_argument("--certificate", help="PEM file of a client certificate")
    made.add_argument("--key", help="PEM file of its key")
    made.add_argument("--source", help="this terminal or camera")
    made.add_argument("--language", choices=["en", "zh"], help="language of the hints")
    made.add_argument("--timeout", type=float, default=30.0, help="longest wait for an answer, in seconds")
    commands = made.add_subparsers(dest="command", required=True)

    def command(name: str, words: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=words, description=words)
        added.add_argument("--json", action="store_true", help="the service's whole answer")
        return added

    for name, words in [
        ("extract", "Embedding, quality and decision of the faces in a picture."),
        ("quality", "The check before a picture is taken."),
    ]:
        added = command(name, words)
        added.add_argument("picture")
        added.add_argument("--scenario")
        added.add_argument("--faces", choices=["largest", "all"])
        added.add_argument("--expect", choices=["accept", "review", "reject"], help="exit with 3 on another decision")
    added = command("compare", "Whether two pictures show one person.")
    added.add_argument("probe")
    added.add_argument("reference")
    added.add_argument("--scenario")
    added.add_argument("--expect", choices=["same", "review", "different", "untrusted"], help="exit with 3 otherwise")
    command("info", "What runs there.")
    command("ready", "Whether requests are served.")
    return made


def connect(given: argparse.Namespace) -> Faceood:
    """A client made with what the command line gives."""
    # Not an argument: everybody on the machine can read those.
    token = given.token_file.read_text(encoding="utf-8") if given.token_file else os.environ.get("FACEOOD_TOKEN")
    return Faceood(
        given.url,
        token=token,
        ca=given.ca,
        certificate=given.certificate,
        key=given.key,
        source=given.source,
        language=given.language,
        timeout=given.timeout,
    )


def ask(client: Faceood, given: argparse.Namespace) -> Any:
    """The service's answer."""
    match given.command:
        case "extract":
            return client.extract(given.picture, scenario=given.scenario, faces=given.faces)
        case "quality":
            return client.quality(given.picture, scenario=given.scenario, faces=given.faces)
        case "compare":
            return client.compare(given.probe, given.reference, scenario=given.scenario)
        case "info":
            return client.info()
        case _:
            return client.ready()


def lines(command: str, answer: Any) -> list[str]:
    """The answer in words."""
    match command:
        case "compare":
            said = [f"{answer['verdict']}: similarity {answer['similarity']:.2f}"]
            said += [f"{name}: {face(answer[name])}" for name in ("probe", "reference")]
            return said + [f"{hint['part']}: {hint['message']}" for hint in answer["hints"]]
        case "extract" | "quality":
            found = [face(one) for one in answer["faces"]] or ["no face"]
            return found + [hint["message"] for hint in answer["hints"]]
        case "info":
            pack, provider = answer["pack"], answer["provider"]
            return [f"faceood {answer['version']}, pack {pack['name']} {pack['version']} on {provider['name']}"]
        case _:
            return [answer["status"], *answer.get("warnings", [])]


def face(found: Any) -> str:
    """One face in a line."""
    quality, decision = found["quality"], found["decision"]
    low, high = quality["interval"]
    causes = ", ".join(f"{cause['name']} {cause['weight']:.0%}" for cause in quality["causes"])
    said = f"{decision['action']}: quality {quality['score']:.2f} ({low:.2f}–{high:.2f}, {quality['grade']})"
    return f"{said}, because of {causes}" if causes else said


def outcome(command: str, answer: Any) -> str | None:
    """What ``--expect`` is held against."""
    if command == "compare":
        return str(answer["verdict"])
    faces = answer["faces"]
    return str(faces[0]["decision"]["action"]) if faces else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command."""
    given = parser().parse_args(arguments)
    try:
        with connect(given) as client:
            answer = ask(client, given)
    except (FaceoodError, OSError) as error:
        print(f"faceood: {error}", file=sys.stderr)
        return 1
    print(json.dumps(answer, ensure_ascii=False, indent=2) if given.json else "\n".join(lines(given.command, answer)))
    expected = getattr(given, "expect", None)
    return 3 if expected is not None and outcome(given.command, answer) != expected else 0


if __name__ == "__main__":
    sys.exit(main())
