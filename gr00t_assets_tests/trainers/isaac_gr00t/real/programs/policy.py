"""Actions of NVIDIA's ``Gr00tPolicy`` in the data's units; runs under the checkout's Python.

``policy.py MODEL DATA_CONFIG EMBODIMENT OBSERVATION OUTPUT``: OBSERVATION is an ``.npz`` with the
observation by key and the noise to start from, OUTPUT gets the actions by key. In float32, where
the class would take bfloat16. The last line printed is the JSON ``{}``.
"""

import importlib
import sys
from typing import Any

import numpy as np
import torch

DATA_CONFIGS = importlib.import_module("gr00t.experiment.data_config").DATA_CONFIG_MAP
policy: Any = importlib.import_module("gr00t.model.policy")


def main(model, data_config, embodiment, observation, output):
    """One observation, without a batch axis, as ``Gr00tPolicy`` is asked by a robot."""
    policy.COMPUTE_DTYPE = torch.float32
    config = DATA_CONFIGS[data_config]
    opened = policy.Gr00tPolicy(
        model_path=model,
        embodiment_tag=embodiment,
        modality_config=config.modality_config(),
        modality_transform=config.transform(),
        device="cpu",
    )
    given = dict(np.load(observation, allow_pickle=False))
    noise = torch.from_numpy(given.pop("noise"))
    torch.randn = lambda *args, **kwargs: noise
    np.savez(output, **opened.get_action(given))
    sys.stdout.write("{}\n")


main(*sys.argv[1:])
