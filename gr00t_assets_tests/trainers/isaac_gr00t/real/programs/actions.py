"""Actions of NVIDIA's class on given inputs; runs under the checkout's Python.

``actions.py MODEL INPUTS OUTPUT``: INPUTS holds tensors as the native trainer names them and the
noise to start from; OUTPUT gets ``actions``. Everything is float32. The
last line printed is JSON: names that the model lacked or did not expect.
"""

import importlib
import json
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

GR00T_N1_5 = importlib.import_module("gr00t.model.gr00t_n1").GR00T_N1_5


def main(folder, inputs, output):
    """Load twice: NVIDIA's ``from_pretrained`` keeps what it missed to itself."""
    _, info = PreTrainedModel.from_pretrained.__func__(
        GR00T_N1_5, folder, local_model_path=folder, output_loading_info=True
    )
    model = GR00T_N1_5.from_pretrained(folder).float().eval()
    given = load_file(inputs)
    noise = given.pop("noise")
    rename = {"input_ids", "attention_mask", "pixel_values"}
    batch = {f"eagle_{name}" if name in rename else name: value for name, value in given.items()}
    batch["eagle_image_sizes"] = torch.zeros(1)
    drawn = torch.randn
    torch.randn = lambda *args, **kwargs: noise
    try:
        with torch.no_grad():
            actions = model.get_action(batch)["action_pred"]
    finally:
        torch.randn = drawn
    save_file({"actions": actions.contiguous()}, output)
    told = {name: sorted(info[f"{name}_keys"]) for name in ("missing", "unexpected")}
    sys.stdout.write(json.dumps(told) + "\n")


main(*sys.argv[1:])
