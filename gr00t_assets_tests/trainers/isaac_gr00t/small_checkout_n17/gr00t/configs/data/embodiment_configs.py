"""Modality configs by embodiment tag."""

from gr00t.data.embodiment_tags import EmbodimentTag

MODALITY_CONFIGS = {"libero_sim": "what the checkout has for this tag"}


def register_modality_config(config, embodiment_tag=EmbodimentTag.NEW_EMBODIMENT):
    """Add one."""
    assert embodiment_tag.value not in MODALITY_CONFIGS, f"{embodiment_tag} already registered"
    MODALITY_CONFIGS[embodiment_tag.value] = config
