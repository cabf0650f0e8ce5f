"""What the real dataset class hands over, as it is and fed by the launcher.

``frames.py LAUNCHER_FOLDER LAUNCH OUTPUT``, under the checkout's Python. All rows are read with the
transforms off. OUTPUT, JSON, gets the SHA-256 of every frame and of some that the class decodes
itself (by row); the last line printed is JSON: rows read, and the first differences in state,
action and language between the class as it is and the class as it is fed.
"""

import hashlib
import importlib
import json
import sys
from pathlib import Path

import numpy as np

EVERY = 131
"""Rows between those whose frame the class decodes itself; decord takes 40 ms for each."""


def opened(arguments, without=()):
    configs = importlib.import_module("gr00t.experiment.data_config").DATA_CONFIG_MAP
    modalities = configs[arguments["data_config"]].modality_config()
    return importlib.import_module("gr00t.data.dataset").LeRobotSingleDataset(
        dataset_path=arguments["dataset_path"][0],
        modality_configs={key: value for key, value in modalities.items() if key not in without},
        embodiment_tag=arguments["embodiment_tag"],
        video_backend="decord",
    )


def sample(dataset, row):
    """One sample without transforms; the class keeps the metadata's transforms apart."""
    return dataset.get_step_data(*dataset.all_steps[row])


def digest(frame):
    assert frame.dtype == np.uint8 and frame.shape[0] == 1, (frame.dtype, frame.shape)
    return hashlib.sha256(np.ascontiguousarray(frame[0]).tobytes()).hexdigest()


def same(one, other):
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and (one == other).all()
    return type(one) is type(other) and one == other


def chosen(metadata):
    for part in ("statistics", "modalities"):
        for modality, keys in metadata[part].items():
            for key, value in keys.items():
                yield part, modality, key, value


def main(folder, launch, output):
    """Read everything once before the methods are replaced and once after."""
    launch = json.loads(Path(launch).read_text())
    whole, values = opened(launch["arguments"]), opened(launch["arguments"], without=["video"])
    metadata = values.metadata.model_dump(mode="json")
    camera = whole.modality_keys["video"][0]
    own = {row: digest(sample(whole, row)[camera]) for row in range(0, len(whole), EVERY)}
    before = [sample(values, row) for row in range(len(values))]

    sys.path.append(folder)
    importlib.import_module("launcher_data").replace_reading(launch)
    fed, frames, different = opened(launch["arguments"]), [], []
    for row, expected in enumerate(before):
        found = sample(fed, row)
        frames.append(digest(found.pop(camera)))
        different += [f"row {row}: keys"] if set(found) != set(expected) else []
        different += [
            f"row {row}: {key}" for key in expected if not same(expected[key], found[key])
        ]
    # What is fed knows the keys that the data config chose; the class knows all of them.
    for part, modality, key, value in chosen(fed.metadata.model_dump(mode="json")):
        if value != metadata[part][modality][key]:
            different.append(f"metadata: {part} of {modality}.{key}")
    if list(map(tuple, fed.all_steps)) != list(map(tuple, whole.all_steps)):
        different.append("order of rows")
    Path(output).write_text(json.dumps({"frames": frames, "decoded": own}))
    told = {"rows": len(frames), "different": different[:20]}
    sys.stdout.write(json.dumps(told) + "\n")


main(*sys.argv[1:])
