"""``python -m faceood``."""

import json

import pytest
from conftest import ASTRONAUT

from faceood.__main__ import main

PHOTO = str(ASTRONAUT)


def test_answers_in_words(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", url, "compare", PHOTO, PHOTO]) == 0
    verdict, probe, reference = capsys.readouterr().out.splitlines()
    assert verdict == "same: similarity 1.00"
    assert probe.startswith("probe: accept: quality 0.") and reference.startswith("reference: accept: quality 0.")
    assert main(["--url", url, "quality", PHOTO]) == 0
    assert capsys.readouterr().out.startswith("accept: quality 0.")
    assert main(["--url", url, "ready"]) == 0
    assert capsys.readouterr().out.startswith("ready")
    assert main(["--url", url, "info"]) == 0
    assert " on " in capsys.readouterr().out


def test_the_whole_answer(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", url, "--source", "shell", "extract", "--json", "--faces", "all", PHOTO]) == 0
    assert len(json.loads(capsys.readouterr().out)["faces"][0]["embedding"]) == 512


def test_exit_codes(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", url, "compare", PHOTO, PHOTO, "--expect", "same"]) == 0
    assert main(["--url", url, "compare", PHOTO, PHOTO, "--expect", "different"]) == 3
    assert main(["--url", url, "quality", PHOTO, "--expect", "reject"]) == 3
    capsys.readouterr()
    assert main(["--url", url, "extract", __file__]) == 1
    assert capsys.readouterr().err.startswith("faceood: unsupported_media_type: ")
    assert main(["--url", url, "extract", "/no/such/file"]) == 1
    assert "No such file" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        main(["compare", PHOTO])
    assert stopped.value.code == 2
