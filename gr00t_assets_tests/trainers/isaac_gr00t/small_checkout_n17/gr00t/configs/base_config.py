"""The configuration of a run."""

from dataclasses import dataclass, field

from gr00t.configs.data.embodiment_configs import MODALITY_CONFIGS


@dataclass
class Data:
    """What is read."""

    dataset_paths: list = field(default_factory=list)
    embodiment_tag: str = ""
    seed: int = 42
    shard_size: int = 16
    num_shards_per_epoch: int = 50
    modality_configs: dict = field(default_factory=lambda: MODALITY_CONFIGS)


@dataclass
class Training:
    """How it is trained; what the script has no argument for is fixed."""

    asked: object = None
    use_ddp: bool = False


@dataclass
class Config:
    """All of it."""

    data: Data = field(default_factory=Data)
    training: Training = field(default_factory=Training)
