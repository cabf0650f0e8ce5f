"""Run by LeRobot's Python: a folder opened as its groot policy, and one chunk of actions.

``python lerobot_policy.py MODEL OBSERVATION ANSWER``, the last two npz files.
"""

import sys

import numpy as np
import torch
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.policies.groot.configuration_groot import GrootConfig
from lerobot.policies.groot.modeling_groot import GrootPolicy
from lerobot.policies.groot.processor_groot import make_groot_pre_post_processors


def main(model: str, given: str, answer: str) -> None:
    told = np.load(given)
    image, state = told["image"], told["state"]
    config = GrootConfig(
        base_model_path=model,
        device="cpu",
        use_bf16=False,
        input_features={
            "observation.images.ego_view": PolicyFeature(FeatureType.VISUAL, (3, *image.shape[:2])),
            "observation.state": PolicyFeature(FeatureType.STATE, state.shape),
        },
        output_features={"action": PolicyFeature(FeatureType.ACTION, told["numbers"].shape)},
    )
    policy = GrootPolicy(config).eval()
    before, after = make_groot_pre_post_processors(config)
    batch = before(
        {
            "observation.images.ego_view": torch.from_numpy(image).permute(2, 0, 1) / 255,
            "observation.state": torch.from_numpy(state),
            "task": str(told["task"]),
        }
    )
    torch.manual_seed(0)
    actions = after(policy.predict_action_chunk(batch))
    made = {name: batch[name].numpy() for name in ("state", "input_ids", "pixel_values")}
    np.savez(answer, actions=actions.numpy(), embodiment=batch["embodiment_id"].numpy(), **made)


if __name__ == "__main__":
    main(*sys.argv[1:])
