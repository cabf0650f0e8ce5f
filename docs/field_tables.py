"""Writes the tables of the pages below from the code that they describe.

``python docs/field_tables.py`` rewrites what stands between ``<!-- fields module:Model -->`` or
``<!-- faults FILE -->`` and ``<!-- end -->``; with ``--check`` it writes nothing and exits with 1
where a table is out of date.
"""

import importlib
import re
import sys
import typing
from functools import cache
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from gr00t_assets.core.finding import FaultCatalogue

PAGES = tuple(
    Path(__file__).with_name(name) for name in ("files.md", "data-checks.md", "notifications.md")
)
FIELDS = re.compile(r"(<!-- fields (\S+):(\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
FAULTS = re.compile(r"(<!-- faults (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> int:
    """Rewrite the pages, or say that one is out of date."""
    outdated = False
    for page in PAGES:
        old = page.read_text()
        new = FIELDS.sub(lambda match: match[1] + table(match[2], match[3]) + match[4], old)
        new = FAULTS.sub(lambda match: match[1] + fault_table(match[2]) + match[3], new)
        outdated |= new != old
        if "--check" not in sys.argv:
            page.write_text(new)
    return int(outdated and "--check" in sys.argv)


def table(module: str, name: str) -> str:
    """A Markdown table of the fields of one pydantic model."""
    rows = [
        f"| `{key}` | {kind(field)} | {default(field)} | {meaning(key, field)} |\n"
        for key, field in fields(module, name).items()
    ]
    return "\n| key | type | default | what |\n|---|---|---|---|\n" + "".join(rows) + "\n"


def fields(module: str, name: str) -> dict[str, FieldInfo]:
    """The fields of a pydantic model, by key."""
    model: type[BaseModel] = getattr(importlib.import_module(module), name)
    return model.model_fields


def meaning(key: str, field: FieldInfo) -> str:
    """What a key says: its own description, else that of the same key in another table."""
    return field.description or meanings().get(key, "")


@cache
def meanings() -> dict[str, str]:
    """The first description of each key, over all tables."""
    tables = [match for page in PAGES for match in FIELDS.finditer(page.read_text())]
    described = [item for match in tables for item in fields(match[2], match[3]).items()]
    return {key: field.description for key, field in reversed(described) if field.description}


def fault_table(file: str) -> str:
    """A Markdown table of the faults of a catalogue, by code."""
    catalogue = FaultCatalogue(Path(__file__).parents[1] / file)
    faults = sorted(catalogue.faults.values(), key=lambda fault: fault.code)
    rows = [
        f"| `{fault.code}` | {fault.severity} | {fault.expected} | {fault.remedy} |\n"
        for fault in faults
    ]
    return (
        "\n| code | severity | expected | what to do |\n|---|---|---|---|\n" + "".join(rows) + "\n"
    )


def kind(field: FieldInfo) -> str:
    """The type of a field as a reader of JSON or YAML would say it."""
    return plain(field.annotation).replace("|", "\\|")


def plain(annotation: object) -> str:
    """A type without the names of its modules."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is type(None):
        return "null"
    if origin is typing.Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin is typing.Annotated:
        return plain(arguments[0])
    if origin in (tuple, list):
        return "list of " + plain(arguments[0])
    if origin is dict:
        return f"{plain(arguments[1])} by name"
    if arguments:
        return " or ".join(dict.fromkeys(plain(argument) for argument in arguments))
    words = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false"}
    name = getattr(annotation, "__name__", str(annotation))
    return words.get(name, "any value" if name == "Any" else name)


def default(field: FieldInfo) -> str:
    """The default as YAML has it; nothing where the field must be given."""
    value = (
        field.get_default(call_default_factory=True)
        if not field.is_required()
        else PydanticUndefined
    )
    if value is PydanticUndefined:
        return "required"
    if value is None or value in ((), [], {}, "") or isinstance(value, BaseModel):
        return ""
    value = list(value) if isinstance(value, tuple) else value
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    sys.exit(main())
