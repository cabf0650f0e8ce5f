"""How far this model is from NVIDIA's own, on vectors that NVIDIA's class made.

Run ``python -m gr00t_assets_tests.trainers.native.model_parity DIR`` with a folder of
``config.json``, ``model.safetensors`` and ``vectors.safetensors``. It prints the differences as
JSON and exits 0 within the tolerances, else 1.
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
from gr00t_assets.trainers.native.gr00t_n15 import Gr00tN15
from gr00t_assets.trainers.native.gr00t_n17 import Gr00tN17

_PROMPT = ("input_ids", "attention_mask")

TOLERANCES = {
    **{"features": 1e-5, "loss": 1e-5, "actions": 1e-5},
    **{"grad_norm": 1e-4, "grad_norm_relative": 1e-4},
}


def measure(directory: Path, device: str = "cpu", bfloat16: bool = False) -> dict[str, Any]:
    """Largest absolute differences from the vectors, in float32 or in mixed precision.

    Samples whose images are left out of the vectors begin at NVIDIA's own features.

    Returns:
        ``features``, ``loss``, ``actions``, ``gradients`` by parameter name, and where the vectors
        have it ``grad_norm`` (over all parameters) and ``grad_norm_relative``. Of N1.7 the largest
        of all cases.

    Raises:
        BaseModelError: The folder is not complete.
    """
    file = directory / "vectors.safetensors"
    if not file.is_file():
        raise BaseModelError(str(directory), "vectors.safetensors is missing.")
    vectors = load_file(file, device)
    model = load_base_model(str(directory.absolute()), device=device).model.eval()
    with torch.autocast(device, dtype=torch.bfloat16, enabled=bfloat16):
        if isinstance(model, Gr00tN17):
            return _measure_n17(model, vectors)
        assert isinstance(model, Gr00tN15)
        return _differences(model, vectors)


def _differences(model: Gr00tN15, vectors: dict[str, torch.Tensor]) -> dict[str, Any]:
    expected = vectors["backbone_features"]
    seen = _samples_with_images(vectors)
    computed, _ = model.backbone_features({**vectors, **{n: vectors[n][:seen] for n in _PROMPT}})
    features, mask = torch.cat([computed, expected[seen:]]), vectors["attention_mask"]
    loss = model.action_head(features, mask, vectors, vectors["noise"], vectors["t"])
    loss.backward()
    actions = model.action_head.get_action(features, mask, vectors, vectors["sample_noise"])
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    differences: dict[str, Any] = {
        "features": _largest(computed, expected[:seen]),
        "loss": _largest(loss, vectors["loss"]),
        "actions": _largest(actions, vectors["action_pred"]),
        "gradients": {
            name: _largest(gradients[name], value) if name in gradients else math.inf
            for key, value in vectors.items()
            if (name := key.removeprefix("grad:")) != key
        },
    }
    if "grad_norm" in vectors:
        norm = torch.stack([gradient.norm() for gradient in gradients.values()]).norm()
        difference = _largest(norm, vectors["grad_norm"])
        differences["grad_norm"] = difference
        differences["grad_norm_relative"] = difference / float(vectors["grad_norm"])
    return differences


def _measure_n17(model: Gr00tN17, vectors: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Of each case ``CASE/KEY`` of the vectors, with padding hidden from all attention."""
    names = ("features", "loss", "actions", "grad_norm_relative")
    largest: dict[str, Any] = dict.fromkeys(names, 0.0)
    for case in sorted({name.partition("/")[0] for name in vectors}):
        own = {
            name.partition("/")[2]: value
            for name, value in vectors.items()
            if name.startswith(f"{case}/")
        }
        model.zero_grad()
        features, kinds = model.backbone_features(own)
        loss = model.action_head(features, kinds, own, own["noise"], own["t"])
        loss.backward()
        norm = torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm()
        actions = model.action_head.get_action(features, kinds, own, own["sample_noise"])
        seen = own["attention_mask"].bool()
        found = {
            "features": _largest(features[seen], own["backbone_features"][seen]),
            "loss": _largest(loss, own["masked:loss"]),
            "actions": _largest(actions, own["masked:action_pred"]),
            "grad_norm_relative": _largest(norm / own["masked:grad_norm"], torch.ones(1)),
        }
        largest = {name: max(value, found[name]) for name, value in largest.items()}
    return largest


def _samples_with_images(vectors: dict[str, torch.Tensor]) -> int:
    """Samples that the images are of: all, or the first ones with one camera each."""
    return min(len(vectors["pixel_values"]), len(vectors["input_ids"]))


def _largest(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours.detach() - theirs).abs().max())


def main(arguments: list[str]) -> int:
    """Print the differences of one folder; 0 within the tolerances, 1 outside, 2 unreadable."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m gr00t_assets_tests.trainers.native.model_parity DIR\n")
        return 2
    try:
        differences = measure(Path(arguments[0]))
    except Gr00tAssetsError as error:
        sys.stderr.write(error.explain() + "\n")
        return 2
    sys.stdout.write(json.dumps(differences, indent=2) + "\n")
    # A NaN is outside every tolerance.
    within = [differences[key] <= limit for key, limit in TOLERANCES.items() if key in differences]
    return 0 if all(within) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
