"""Writes src/faceood/shapes.py, the types of what a daemon answers, from the description that it serves:
python3 generate_shapes.py http://127.0.0.1:7860"""

import json
import pathlib
import sys
import textwrap
import urllib.request
from typing import Any, TypeAlias

TARGET = pathlib.Path(__file__).parent / "src/faceood/shapes.py"
# Bodies that the client makes by itself.
UNUSED = {"Binary", "CompareRequest", "CompareSide", "FeedbackRequest", "ImageForm", "ImageRequest", "PairForm"}
PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}

Schema: TypeAlias = dict[str, Any]


def kind(schema: Schema) -> str:
    """The Python type of a value that this schema describes."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "enum" in schema:
        return f"Literal[{', '.join(json.dumps(value) for value in schema['enum'])}]"
    if "oneOf" in schema:
        return " | ".join(kind(one) for one in schema["oneOf"])
    found = schema.get("type", "object")
    if isinstance(found, list):
        return " | ".join(kind({**schema, "type": one}) for one in found)
    if found == "array":
        return f"list[{kind(schema.get('items', {}))}]"
    if found == "object":
        values = schema.get("additionalProperties")
        return f"dict[str, {kind(values) if isinstance(values, dict) else 'Any'}]"
    return PLAIN[found]


def declaration(name: str, schema: Schema) -> str:
    """The statement that declares this shape."""
    bases = ["TypedDict"]
    for one in schema.get("allOf", []):
        if "$ref" in one:
            bases = [kind(one)]
        else:
            schema = {**one, "description": schema["description"]}
    if "properties" not in schema:
        return f"{name}: TypeAlias = {kind(schema)}\n"
    lines = [f"class {name}({', '.join(bases)}):", f'    """{schema["description"]}"""', ""]
    for member, described in schema["properties"].items():
        needed = member in schema.get("required", [])
        lines.append(f"    {member}: {kind(described) if needed else f'NotRequired[{kind(described)}]'}")
        words = described.get("description")
        if words:
            lines += textwrap.wrap(f'"""{words}"""', 116, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines) + "\n"


def render(description: Schema) -> str:
    """The module for this description."""
    found = {name: schema for name, schema in description["components"]["schemas"].items() if name not in UNUSED}
    # What is extended or named has to stand before what extends it, and before other names for it.
    ordered = sorted(found.items(), key=lambda item: ("properties" not in item[1], "allOf" not in item[1], item[0]))
    head = '"""What the service answers. Made from its /openapi.json by generate_shapes.py; do not edit."""\n'
    imports = (
        "from __future__ import annotations\n\nfrom typing import Any, Literal, NotRequired, TypeAlias, TypedDict\n"
    )
    return "\n\n".join([f"{head}\n{imports}", *(declaration(name, schema) for name, schema in ordered)])


if __name__ == "__main__":
    address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860"
    with urllib.request.urlopen(f"{address}/openapi.json") as response:
        TARGET.write_text(render(json.load(response)), encoding="utf-8")
