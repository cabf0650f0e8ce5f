"""What the checkout's own transforms make of rows, by a generated data config.

``own_config.py FOLDER MODULE:CLASS INPUTS METADATA OUTPUT``, under the checkout's Python: INPUTS
holds arrays of one sample by key; OUTPUT gets state, action and images. The last line printed is
JSON: what the model-specific transform was told, and the keys by modality.
"""

import importlib
import json
import sys
from pathlib import Path

import numpy as np


def main(folder, named, inputs, metadata, output):
    sys.path.append(folder)
    data_configs = importlib.import_module("gr00t.experiment.data_config")
    module, name = named.split(":")
    if hasattr(data_configs, "load_data_config"):
        config = data_configs.load_data_config(named)
    else:
        config = getattr(importlib.import_module(module), name)()
    schema = importlib.import_module("gr00t.data.schema")
    (content,) = json.loads(Path(metadata).read_text()).values()
    transform = config.transform()
    transform.eval()
    steps, last = transform.transforms[:-1], transform.transforms[-1]
    data = dict(np.load(inputs))
    for step in steps:
        if hasattr(step, "set_metadata"):
            step.set_metadata(schema.DatasetMetadata.model_validate(content))
        data = step(data)
    arrays = {key: np.asarray(data[key]) for key in ("video", "state", "action")}
    np.savez(output, allow_pickle=False, **arrays)
    fields = ("state_horizon", "action_horizon", "max_state_dim", "max_action_dim")
    told = {field: getattr(last, field) for field in fields}
    told["tags"] = last.embodiment_tag_mapping
    keys = {
        modality: [list(keys.delta_indices), list(keys.modality_keys)]
        for modality, keys in config.modality_config().items()
    }
    sys.stdout.write(json.dumps({"last": told, "keys": keys}) + "\n")


main(*sys.argv[1:])
