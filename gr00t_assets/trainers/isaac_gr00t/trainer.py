"""The trainer isaac-gr00t: NVIDIA's own training code, in a checkout and Python of its own."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.finding import Finding
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.modality.config import ModalityConfig
from gr00t_assets.modality.data_config import is_built_in
from gr00t_assets.runs.run_directory import SPEC
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.base import EnvironmentReport, ModelLicense, Trainer
from gr00t_assets.trainers.base_model_files import (
    N17_LICENSE,
    RELEASED_LICENSE,
    RELEASED_MODEL,
    RELEASED_N17,
    known_generation,
)
from gr00t_assets.trainers.data_config_limits import data_config_limits, limit_findings
from gr00t_assets.trainers.failures.failure_pattern import FailurePattern, load_patterns
from gr00t_assets.trainers.isaac_gr00t.data_config_module import CLASS, module_name
from gr00t_assets.trainers.isaac_gr00t.environment import (
    GENERATIONS,
    LAUNCHER_REVISION,
    TRAINER_NAME,
    IsaacEnvironment,
)
from gr00t_assets.trainers.isaac_gr00t.hyperparameters import IsaacHyperparameters
from gr00t_assets.trainers.isaac_gr00t.isaac_checkpoints import LAYOUT, export
from gr00t_assets.trainers.isaac_gr00t.limits import generation_of, isaac_limits, refuse
from gr00t_assets.trainers.policy import Policy

_LOADING = """\
The files are laid out as Isaac-GR00T's policy reads them, which takes an absolute path:

```python
from pathlib import Path

{source}
from gr00t.model.policy import Gr00tPolicy

data_config = {data_config}
policy = Gr00tPolicy(
    model_path=str(Path.cwd()),
    modality_config=data_config.modality_config(),
    modality_transform=data_config.transform(),
    embodiment_tag="{embodiment_tag}",
)
```
"""


_N17_LOADING = """\
The files are laid out as Isaac-GR00T's policy of N1.7 reads them:

```python
from pathlib import Path

from gr00t.data.embodiment_tags import EmbodimentTag
from gr00t.policy.gr00t_policy import Gr00tPolicy

policy = Gr00tPolicy(
    embodiment_tag=EmbodimentTag.resolve("{embodiment_tag}"),
    model_path=str(Path.cwd()),
    device="cuda",
)
```
"""


class IsaacGr00tTrainer(Trainer):
    """Drives the fine-tuning script of a checkout of NVIDIA/Isaac-GR00T, N1.5's or N1.7's."""

    name = TRAINER_NAME
    hyperparameters = IsaacHyperparameters
    default_base_model = RELEASED_MODEL
    starter_settings: ClassVar = {"max_steps": 2_000, "save_steps": 500, "num_gpus": 1}
    starter_vram_gb = 24
    checkpoint_layout = LAYOUT
    takes_mixtures = True
    reads_videos = True
    upstream_url = "https://github.com/NVIDIA/Isaac-GR00T"
    licenses: ClassVar[Mapping[str, ModelLicense]] = {
        RELEASED_MODEL: RELEASED_LICENSE,
        RELEASED_N17: N17_LICENSE,
    }

    def model_names(self, config: ModalityConfig) -> tuple[str, tuple[str, ...]]:
        """Those of the generation of GR00T."""
        return trainer_named("native").model_names(config)

    def command(self, spec: TrainingSpec) -> list[str]:
        """``python -m gr00t_assets.trainers.isaac_gr00t SPEC.json``, which drives the checkout.

        Raises:
            TrainingError: The checkout or its Python is not there or not complete, or a video
                backend would give wrong frames.
        """
        from gr00t_assets.trainers.isaac_gr00t.doctor.doctor import examine

        experiment, store = spec.experiment, Store(Path(spec.store))
        environment = IsaacEnvironment.from_environment(spec.modality_config.generation)
        environment.require(experiment.name)
        findings = examine(environment, store=store, base_model=experiment.base_model).findings
        if not findings.ok:
            errors = [f"{item.code}: {item.found}; {item.remedy}" for item in findings.errors]
            problem = "Isaac-GR00T on this machine is not complete enough to train it."
            whole = "the whole list: gr00t-assets isaac doctor"
            raise TrainingError(experiment.name, problem, [*errors, whole])
        refuse(spec, environment)
        module = "gr00t_assets.trainers.isaac_gr00t"
        return [sys.executable, "-m", module, str(spec.run_directory / SPEC)]

    def load_policy(self, model_directory: Path, device: str | None = None) -> Policy:
        """The model in this package's own architecture, whose parameter names are NVIDIA's."""
        return trainer_named("native").load_policy(model_directory, device)

    def export_checkpoint(self, checkpoint: Path, spec: TrainingSpec, model: Path) -> None:
        """As the model of a finished run; not of a LoRA run, whose checkpoints hold adapters."""
        export(checkpoint, spec, model)

    def revision(self) -> str:
        """The checkout's commit, and the version of what the launcher replaces in it."""
        return f"{_present_environment().revision()}+{LAUNCHER_REVISION}"

    def limits(self, experiment: Experiment) -> list[Finding]:
        """What the model does not take, and what the script cannot do."""
        generation = known_generation(experiment.base_model) or generation_of(experiment)
        limits = data_config_limits(experiment, generation)
        return limit_findings([*limits, *isaac_limits(experiment)])

    def environment(self, store: Store) -> EnvironmentReport:
        """What the doctor finds of the checkout, its Python, and this machine."""
        from gr00t_assets.trainers.isaac_gr00t.doctor.doctor import examine

        return examine(_present_environment(), store=store)

    def video_backend(self, experiment: Experiment) -> str | None:
        """The script's own backend where the sweep file asks for videos."""
        settings = IsaacHyperparameters.of(experiment)
        return settings.video_backend if settings.frame_source == "video" else None

    def failure_patterns(self) -> Sequence[FailurePattern]:
        """Failures of NVIDIA's code and of the packages of the checkout's Python."""
        return load_patterns(Path(__file__).with_name("failure_patterns.yaml"))

    def shell_commands(self, experiment: Experiment) -> list[str]:
        """The command that prints the script's own command line."""
        return [f"gr00t-assets isaac command {experiment.name}"]

    def loading_example(self, config: ModalityConfig) -> str:
        """How NVIDIA's policy class loads it, and how this package does."""
        source = "from gr00t.experiment.data_config import DATA_CONFIG_MAP"
        texts = {"source": source, "data_config": f'DATA_CONFIG_MAP["{config.data_config}"]'}
        if not is_built_in(config.data_config):
            # ``write_model`` puts the module beside the weights.
            source = f"from {module_name(config.data_config)} import {CLASS}"
            texts = {"source": source, "data_config": f"{CLASS}()"}
        loading = _N17_LOADING if config.generation == "n1.7" else _LOADING
        nvidia = loading.format(embodiment_tag=config.embodiment_tag, **texts)
        return nvidia + "\nWith this package:\n\n" + super().loading_example(config)


def _present_environment() -> IsaacEnvironment:
    """The first generation's that has a checkout on this machine; N1.5's where none has."""
    environments = [IsaacEnvironment.from_environment(name) for name in GENERATIONS]
    there = (item for item in environments if item.script.is_file())
    return next(there, environments[0])
