"""The real daemon, on a free port, with a folder of its own."""

import os
import pathlib
import subprocess
import tempfile
import time
from collections.abc import Iterator

import httpx
import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
PROGRAM = os.environ.get("FACEOODD", str(REPOSITORY / "target/debug/faceoodd"))
ASTRONAUT = REPOSITORY / "tests/photos/astronaut.jpg"
DEADLINE_SECONDS = 120


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """Where a daemon listens that is ready."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as log:
        command = [PROGRAM, "--listen", "127.0.0.1:0", "--data-dir", folder]
        daemon = subprocess.Popen(command, cwd=REPOSITORY, stdout=log, stderr=log)
        try:
            yield wait_until_ready(daemon, pathlib.Path(folder) / "address")
        except TimeoutError as error:
            log.seek(0)
            raise AssertionError(f"{PROGRAM} is not ready: {log.read()}") from error
        finally:
            daemon.terminate()
            daemon.wait()


def wait_until_ready(daemon: subprocess.Popen[bytes], address: pathlib.Path) -> str:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline and daemon.poll() is None:
        if address.exists():
            url = f"http://{address.read_text().strip()}"
            try:
                if httpx.get(f"{url}/readyz", trust_env=False).is_success:
                    return url
            except httpx.TransportError:
                pass
        time.sleep(0.05)
    raise TimeoutError


@pytest.fixture
def photo() -> bytes:
    """One clear frontal face."""
    return ASTRONAUT.read_bytes()
