"""Named choices of keys."""

from gr00t.data.dataset import ModalityConfig
from gr00t.model.transforms import GR00TTransform


class FourierGr1ArmsOnlyDataConfig:
    """Arms and hands of a GR1, one camera."""

    parts = ("left_arm", "right_arm", "left_hand", "right_hand")
    action_indices = tuple(range(16))

    def modality_config(self):
        """Keys and rows by modality."""
        now = [0]
        return {
            "video": ModalityConfig(delta_indices=now, modality_keys=["video.ego_view"]),
            "state": self._keys("state", now),
            "action": self._keys("action", list(self.action_indices)),
            "language": ModalityConfig(
                delta_indices=now, modality_keys=["annotation.human.action.task_description"]
            ),
        }

    def _keys(self, modality, indices):
        keys = [f"{modality}.{part}" for part in self.parts]
        return ModalityConfig(delta_indices=indices, modality_keys=keys)

    def transform(self):
        """From a sample to what the model is fed."""
        return GR00TTransform(self.modality_config())


DATA_CONFIG_MAP = {"fourier_gr1_arms_only": FourierGr1ArmsOnlyDataConfig()}
