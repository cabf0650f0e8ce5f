"""A cut of NVIDIA's model vectors that is small enough to lie beside the tests.

``python -m gr00t_assets_tests.parity_cut WHOLE`` makes it anew from a folder of ``config.json``,
``model.safetensors`` and ``vectors.safetensors``. Of the per-embodiment weights it keeps those that
the vectors use, of the images those of the first sample: the other samples begin at NVIDIA's
features. What the forward pass never reads is zero. Numbers are as they were, to the last bit.

Each file is a safetensors file whose bytes are sorted by their place in a number (all first bytes,
all second bytes, ...), compressed with xz: weights drawn at random do not get smaller otherwise.
"""

import hashlib
import json
import lzma
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

CUT = Path(__file__).parent / "data" / "parity" / "model"
N17_CUT = CUT.parent / "n1.7" / "model"
FILES = ("model.safetensors", "vectors.safetensors")

_PER_EMBODIMENT = ("action_encoder.", "state_encoder.", "action_decoder.")
_GRADIENTS = ("attn1.to_q.weight", "position_embedding.weight", "vlln.weight")
"""Ends of the names of the gradients that are kept; ``grad_norm`` needs every image."""


def unpack(cut: Path, target: Path) -> Path:
    """Write the files of a cut as they are read; returns the folder."""
    target.mkdir(parents=True, exist_ok=True)
    (target / "config.json").write_bytes((cut / "config.json").read_bytes())
    for name in FILES:
        sorted_bytes = np.frombuffer(lzma.decompress((cut / f"{name}.xz").read_bytes()), np.uint8)
        (target / name).write_bytes(sorted_bytes.reshape(4, -1).T.tobytes())
    return target


def make(whole: Path, cut: Path) -> None:
    """Make the cut of a folder of NVIDIA's vectors."""
    import torch
    from safetensors.torch import load_file

    config = json.loads((whole / "config.json").read_text())
    weights, vectors = (load_file(whole / name) for name in FILES)
    embodiments, renumbered = vectors["embodiment_id"].unique(return_inverse=True)
    for tensors in (weights, vectors):
        for name, tensor in tensors.items():
            if any(part in name for part in _PER_EMBODIMENT):
                tensors[name] = tensor[embodiments].contiguous()
    horizon, used = config["action_horizon"], vectors["input_ids"].unique()
    for name, tensor in weights.items():
        if ".vision_model.head." in name:
            tensor.zero_()
        elif name.endswith("embed_tokens.weight"):
            weights[name] = torch.zeros_like(tensor).index_copy_(0, used, tensor[used])
        elif name == "action_head.position_embedding.weight":
            tensor[horizon:] = 0
    images = len(vectors["pixel_values"]) // len(vectors["input_ids"])
    vectors = {
        name: tensor
        for name, tensor in vectors.items()
        if not name.startswith("grad") or name.endswith(_GRADIENTS)
    } | {"pixel_values": vectors["pixel_values"][:images].contiguous(), "embodiment_id": renumbered}
    config["max_num_embodiments"] = len(embodiments)
    _write(cut, config, weights, vectors)


def make_n17(whole: Path, cut: Path) -> None:
    """Make the cut of a folder of N1.7's vectors, without NVIDIA's reading of padded prompts."""
    import torch
    from safetensors.torch import load_file

    config = json.loads((whole / "config.json").read_text())
    weights, vectors = (load_file(whole / name) for name in FILES)
    embodiments = torch.cat(
        [v for k, v in vectors.items() if k.endswith("/embodiment_id")]
    ).unique()
    for name, tensor in weights.items():
        if any(part in name for part in _PER_EMBODIMENT):
            weights[name] = tensor[embodiments].contiguous()
    vectors = {
        name: torch.searchsorted(embodiments, tensor) if name.endswith("embodiment_id") else tensor
        for name, tensor in vectors.items()
        if tensor.dtype != torch.bool and not name.split("/")[1].startswith(_UNMASKED)
    }
    config["max_num_embodiments"] = len(embodiments)
    _write(cut, config, weights, vectors)


def make_n17_data(whole: Path, cut: Path) -> None:
    """Make the cut of N1.7's samples: padding and all images but the first left out.

    Of images that are not square the hash of what NVIDIA's recipe makes of them is kept.
    """
    from safetensors.numpy import load_file, save_file

    samples, geometry = (load_file(whole / f"{n}.safetensors") for n in ("samples", "geometry"))
    kept = {
        name: value[..., :26] if name.endswith(("/state", "/action")) else value
        for name, value in samples.items()
        if name not in ("image", "action_mask")
    } | {"image": samples["image"][0]}
    hashes = {}
    for name, value in geometry.items():
        frame, _, rest = name.partition("/")
        if rest == "frame" or rest.startswith("released/"):
            kept[name] = value
        elif rest == "released":
            hashes[frame] = hashlib.sha256(value.tobytes()).hexdigest()
    cut.mkdir(parents=True, exist_ok=True)
    save_file({name: value.copy() for name, value in kept.items()}, cut / "samples.safetensors")
    facts = json.loads((whole / "samples.json").read_text())
    (cut / "samples.json").write_text(json.dumps({"samples": facts, "released": hashes}) + "\n")
    (cut / "modality_config.json").write_text((whole / "modality_config.json").read_text())
    statistics = json.loads((whole / "statistics.json").read_text())
    (cut / "statistics.json").write_text(json.dumps(statistics["new_embodiment"]) + "\n")


_UNMASKED = ("grad", "loss", "action_pred", "vl_features")


def _write(cut: Path, config: dict[str, Any], *contents: "dict[str, torch.Tensor]") -> None:
    from safetensors.torch import save

    cut.mkdir(parents=True, exist_ok=True)
    (cut / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    for name, tensors in zip(FILES, contents, strict=True):
        content = save(tensors)
        padded = content + b" " * (-len(content) % 4)
        sorted_bytes = np.frombuffer(padded, np.uint8).reshape(-1, 4).T.tobytes()
        (cut / f"{name}.xz").write_bytes(lzma.compress(sorted_bytes, preset=9))


if __name__ == "__main__":
    if (Path(sys.argv[1]) / "backbone").is_dir():
        make_n17(Path(sys.argv[1]), N17_CUT)
        make_n17_data(Path(sys.argv[1]).parent / "data", N17_CUT.parent / "data")
    else:
        make(Path(sys.argv[1]), CUT)
