"""Writes src/faceood/client.py, the blocking client, from src/faceood/aio.py, the asynchronous one:
python3 generate_client.py [TARGET]"""

import pathlib
import subprocess
import sys
import tempfile

import unasync  # type: ignore[import-untyped]

FOLDER = pathlib.Path(__file__).resolve().parent
SOURCE = FOLDER / "src/faceood/aio.py"
TARGET = FOLDER / "src/faceood/client.py"
HEAD = '# Made from aio.py by generate_client.py; do not edit.\n"""The blocking client."""\n'
# The names that unasync does not know: it knows only those of the language and of `collections.abc`.
BLOCKING_NAMES = {
    "AsyncFaceood": "Faceood",
    "AsyncClient": "Client",
    "AsyncBaseTransport": "BaseTransport",
    "aclose": "close",
    "asyncio": "time",
}
# `yield from` is not allowed in an asynchronous generator. The shorter names let more fit on a line.
TIDYING = [["check", "--select=UP028", "--fix-only", "--unsafe-fixes"], ["format"]]


def render() -> str:
    """The module of the blocking client."""
    with tempfile.TemporaryDirectory() as folder:
        made = pathlib.Path(folder) / SOURCE.name
        unasync.unasync_files([str(SOURCE)], [unasync.Rule(f"{SOURCE.parent}/", f"{folder}/", BLOCKING_NAMES)])
        _docstring, code = made.read_text(encoding="utf-8").split('"""\n', 1)
        made.write_text(HEAD + code, encoding="utf-8")
        for command in TIDYING:
            options = ["--quiet", "--no-cache", f"--config={FOLDER / 'pyproject.toml'}"]
            subprocess.run([sys.executable, "-m", "ruff", *command, *options, str(made)], check=True)
        return made.read_text(encoding="utf-8")


if __name__ == "__main__":
    target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    target.write_text(render(), encoding="utf-8")
