"""Fine-tunes; the interface of Isaac-GR00T's script of the same name."""

import argparse
import importlib
import os
import sys
from dataclasses import MISSING, fields
from pathlib import Path

from gr00t.configs.base_config import Config
from gr00t.configs.finetune_config import FinetuneConfig
from gr00t.experiment.experiment import run


def from_command_line():
    """Flags as tyro has them: ``--tune-llm``, ``--no-tune-llm``."""
    parser = argparse.ArgumentParser()
    for field in fields(FinetuneConfig):
        flag = "--" + field.name.replace("_", "-")
        if field.default is MISSING:
            parser.add_argument(flag, required=True)
        elif isinstance(field.default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=field.default)
        elif field.name == "color_jitter_params":
            parser.add_argument(flag, nargs="*")
        else:
            kind = str if field.default is None else type(field.default)
            parser.add_argument(flag, type=kind, default=field.default)
    return FinetuneConfig(**vars(parser.parse_args()))


if __name__ == "__main__":
    asked = from_command_line()
    path = Path(asked.modality_config_path)
    sys.path.append(str(path.parent))
    importlib.import_module(path.stem)
    config = Config()
    config.data.dataset_paths = asked.dataset_path.split(os.pathsep)
    config.data.embodiment_tag = asked.embodiment_tag
    config.training.asked = asked
    run(config)
