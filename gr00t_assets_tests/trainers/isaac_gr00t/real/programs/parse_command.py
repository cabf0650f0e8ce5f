"""Parse command lines with the real tyro into the real script's ArgsConfig.

usage: parse_command.py SCRIPT COMMANDS.json

Only the class is taken out of the script, which imports torch and a GPU's libraries. Prints, as
JSON: the parsed fields of each command line, and what transformers' TrainingArguments defaults to.
"""

import ast
import dataclasses
import importlib.util
import json
import sys
from pathlib import Path

import tyro  # pyright: ignore[reportMissingImports]
from transformers import TrainingArguments

BEFORE = """
from dataclasses import dataclass
from typing import List, Literal

EMBODIMENT_TAG_MAPPING = dict.fromkeys(["gr1", "oxe_droid", "agibot_genie1", "new_embodiment"])
DATA_CONFIG_MAP = dict.fromkeys(["fourier_gr1_arms_only", "so100_dualcam"])

@dataclass
"""


def main(script, commands):
    """The class alone, in a file of its own since tyro reads its source."""
    source = script.read_text()
    (arguments,) = (
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef) and node.name == "ArgsConfig"
    )
    alone = commands.with_name("arguments.py")
    alone.write_text(BEFORE.lstrip() + str(ast.get_source_segment(source, arguments)) + "\n")
    spec = importlib.util.spec_from_file_location("arguments", alone)
    assert spec and spec.loader
    module = sys.modules["arguments"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    parsed = [
        dataclasses.asdict(tyro.cli(module.ArgsConfig, args=words))
        for words in json.loads(commands.read_text())
    ]
    defaults = {field.name: field.default for field in dataclasses.fields(TrainingArguments)}
    answer = {"parsed": parsed, "defaults": defaults}
    sys.stdout.write(json.dumps(answer, default=str) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
