"""How far this model is from NVIDIA's own, on vectors that NVIDIA's class made.

Run ``python -m gr00t_assets.trainers.native.parity DIR`` with a folder of ``config.json``,
``model.safetensors`` and ``vectors.safetensors``. It prints the differences as JSON and exits 0
within the tolerances, else 1.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from gr00t_assets.core.errors import BaseModelError, Gr00tAssetsError
from gr00t_assets.trainers.native.base_models import load_base_model

TOLERANCES = {"features": 1e-5, "loss": 1e-5, "actions": 1e-5, "grad_norm": 1e-4}


def measure(directory: Path) -> dict[str, Any]:
    """Largest absolute differences from the vectors, in float32 on the CPU.

    Returns:
        ``features``, ``loss``, ``actions``, ``grad_norm`` (over all parameters),
        ``grad_norm_relative``, and ``gradients`` by parameter name.

    Raises:
        BaseModelError: The folder is not complete.
    """
    file = directory / "vectors.safetensors"
    if not file.is_file():
        raise BaseModelError(str(directory), "vectors.safetensors is missing.")
    vectors = load_file(file)
    model = load_base_model(str(directory.absolute())).model.eval()
    features, _ = model.backbone_features(vectors)
    loss = model(vectors, vectors["noise"], vectors["t"])
    loss.backward()
    actions = model.get_action(vectors, vectors["sample_noise"])
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    norm = torch.stack([gradient.norm() for gradient in gradients.values()]).norm()
    expected = {
        key.removeprefix("grad:"): value
        for key, value in vectors.items()
        if key.startswith("grad:")
    }
    norm_difference = _largest(norm, vectors["grad_norm"])
    return {
        "features": _largest(features, vectors["backbone_features"]),
        "loss": _largest(loss, vectors["loss"]),
        "actions": _largest(actions, vectors["action_pred"]),
        "grad_norm": norm_difference,
        "grad_norm_relative": norm_difference / float(vectors["grad_norm"]),
        "gradients": {
            name: _largest(gradients[name], value) if name in gradients else math.inf
            for name, value in expected.items()
        },
    }


def _largest(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours.detach() - theirs).abs().max())


def main(arguments: list[str]) -> int:
    """Print the differences of one folder; 0 within the tolerances, 1 outside, 2 unreadable."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m gr00t_assets.trainers.native.parity DIR\n")
        return 2
    try:
        differences = measure(Path(arguments[0]))
    except Gr00tAssetsError as error:
        sys.stderr.write(error.explain() + "\n")
        return 2
    sys.stdout.write(json.dumps(differences, indent=2) + "\n")
    # A NaN is outside every tolerance.
    return 0 if all(differences[key] <= limit for key, limit in TOLERANCES.items()) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
