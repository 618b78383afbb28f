"""The types are those of the service."""

import pathlib

import httpx

import generate_shapes


def test_the_shapes_are_those_of_the_service(url: str) -> None:
    description = httpx.get(f"{url}/openapi.json", trust_env=False).json()
    written = generate_shapes.TARGET.read_text(encoding="utf-8")
    assert written == generate_shapes.render(description), f"run {pathlib.Path(generate_shapes.__file__).name}"
