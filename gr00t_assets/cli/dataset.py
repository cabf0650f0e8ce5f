"""``gr00t-assets dataset``: whether datasets can be trusted, demonstrations, data configs."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.text import Text

from gr00t_assets.cli.arguments import Json, argument, datasets, environments, option
from gr00t_assets.cli.dataset_catalog import dataset_add, dataset_list, dataset_show
from gr00t_assets.cli.output import (
    console,
    echo,
    episodes_progress,
    plain_table,
    print_findings,
    print_json,
)
from gr00t_assets.core.errors import DataConfigError, DatasetError, system_errors_explained
from gr00t_assets.core.files import published_directory, write_bytes
from gr00t_assets.core.project import Store, project_root
from gr00t_assets.core.text import name_problem
from gr00t_assets.core.yaml_files import shown_path
from gr00t_assets.datasets.adding.adding import stand_ins
from gr00t_assets.datasets.checks.scan import DEFAULT_BACKEND
from gr00t_assets.datasets.fit.dataset_check import check_dataset, check_stored_dataset
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.frames.frame_check import check_frames
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.quality.figures import Quality
from gr00t_assets.datasets.quality.measure import measure_quality
from gr00t_assets.datasets.quality.scores import proposed_curation
from gr00t_assets.datasets.quality.table import COLUMNS, SCORE_COLUMNS, quality_table, score_table
from gr00t_assets.datasets.sources.versions import DatasetRecord, load_record
from gr00t_assets.modality.config import load_modality_config
from gr00t_assets.modality.data_config import data_configs
from gr00t_assets.modality.python_config import read_python, yaml_text

DatasetPath = Annotated[str, argument("A dataset's folder, or its name in the store", datasets)]

dataset_app = typer.Typer(help="Datasets, and whether they can be trusted.", no_args_is_help=True)


@dataset_app.command("check")
def dataset_check(
    path: DatasetPath,
    data_config: Annotated[
        str | None, option("A data config that it is to fit: so100_dualcam")
    ] = None,
    embodiment_tag: Annotated[str, option("One of GR00T's embodiment tags")] = "new_embodiment",
    video_backend: Annotated[
        str, option("What will decode it: frame-cache, decord, torchcodec")
    ] = "frame-cache",
    with_quality: Annotated[
        bool, option("Lag, jerk, repeats, and a score of each episode too", "--quality")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print everything that is wrong with a dataset; exit code 1 where it cannot be trained on."""
    directory, stored = _dataset(path)
    with episodes_progress(as_json) as show:
        if stored is not None and video_backend == DEFAULT_BACKEND:
            store = Store.from_environment()
            findings = check_stored_dataset(stored, store, data_config, embodiment_tag)
        else:
            findings = check_dataset(
                directory, data_config, embodiment_tag, video_backend, show, stand_ins(directory)
            )
    quality = _measured(directory, stored) if with_quality else None
    proposal = proposed_curation(findings, quality, stored.curated if stored else None)
    if as_json:
        content = {"dataset": str(directory), **findings.to_json(), "curation": proposal}
        print_json(content | ({"quality": quality.model_dump(mode="json")} if quality else {}))
    else:
        if quality:
            _print_quality(quality)
        print_findings(findings, path)
        if proposal:
            echo(f"proposed for its entry in data/datasets.yaml:\n{proposal}")
    raise typer.Exit(0 if findings.ok else 1)


@dataset_app.command("frames")
def dataset_frames(
    path: DatasetPath,
    video_backend: Annotated[
        str, option("frame_cache, decord, torchcodec or torchvision_av")
    ] = "torchvision_av",
    isaac_commit: Annotated[str | None, option("Commit of Isaac-GR00T that trains with it")] = None,
    all_rows: Annotated[bool, option("Every row, not a sample", "--all-rows")] = False,
    as_json: Json = False,
) -> None:
    """Compare the frames that a video backend gives with those decoded in order; 1 if wrong."""
    dataset = LeRobotDataset.open(_dataset(path)[0])
    result = check_frames(
        dataset, None, dataset.cameras, video_backend, all_rows, isaac_commit=isaac_commit
    )
    warnings = result.warnings()
    if as_json:
        print_json({**result.model_dump(mode="json"), "warnings": list(warnings)})
    else:
        echo(result.sentence())
        for warning in warnings:
            remedy = warning.removeprefix(f"{result.sentence()}; ")
            echo(f"  {'do' if remedy != warning else 'warning'}: {remedy}")
    raise typer.Exit(0 if result.verified else 1)


def _dataset(path: str) -> tuple[Path, DatasetRecord | None]:
    """The folder of a dataset by its path; or by its name in the store, then with its record."""
    if Path(path).exists() or name_problem(path):
        return Path(path), None
    store = Store.from_environment()
    record = load_record(path, store)
    return record.directory(store), record


def _measured(directory: Path, stored: DatasetRecord | None) -> Quality | None:
    """The quality of a dataset, with its frames where the store has them; None of an unreadable."""
    cache, store = None, Store.from_environment()
    with suppress(DatasetError):
        if stored is not None:
            size = load_modality_config(stored.name, store).frame_size
            cache = FrameCache.open(store.frame_cache(stored.name, stored.version), size)
    with suppress(DatasetError):  # The check has said why.
        return measure_quality(LeRobotDataset.open(directory), cache)
    return None


def _print_quality(quality: Quality) -> None:
    out = console()
    out.print(plain_table(*COLUMNS[:2], rows=(row[:2] for row in quality_table(quality))))
    for message in quality.messages():
        out.print(Text.assemble(("warning ", "yellow"), message), soft_wrap=True)
    if rows := score_table(quality):
        out.print()
        out.print(plain_table(*SCORE_COLUMNS, rows=rows))


def dataset_config(
    file: Annotated[Path, argument("A file of launch_finetune.py's --modality-config-path")],
    name: Annotated[str | None, option("By default the file's")] = None,
) -> None:
    """Read NVIDIA's modality config of N1.7 into data/data_configs; the file is not run."""
    chosen, known = name or file.stem, data_configs()
    problem = name_problem(chosen)
    if chosen in known or chosen in known.errors:
        problem = "there is a data config of this name"
    if problem:
        raise DataConfigError(chosen, f"{problem}.", ["give another one: --name"])
    text = yaml_text(read_python(file), file.name)
    path = project_root() / "data" / "data_configs" / f"{chosen}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, text.encode())
    echo(text)
    echo(f"written to {shown_path(path)}; name it as data_config in data/datasets.yaml")


def dataset_record(
    environment: Annotated[
        str, argument("Built in, or of data/environments.yaml: so101-pick", environments)
    ],
    out: Annotated[Path, option("Folder to make")],
    expert: Annotated[bool, option("The environment's own expert is recorded", "--expert")] = False,
    episodes: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    seed: Annotated[int, option("Of the first episode", min=0)] = 0,
    noise: Annotated[
        str, option("Disturbance of the executed commands: of all, or of each by commas")
    ] = "0",
    version: Annotated[
        Literal["v2.1", "v3.0"], option("LeRobot's, v2.1 or v3.0", "--format")
    ] = "v2.1",
) -> None:
    """Record demonstrations as a LeRobot dataset; episodes in which the expert fails are left out.

    Recorded is what the expert commands; with noise, something near it is executed, so that the
    demonstrations show how to get back.
    """
    from gr00t_assets.datasets.expert_recording import record_expert
    from gr00t_assets.datasets.source_kinds import EnvironmentSource

    if not expert:
        raise typer.BadParameter("say who acts: --expert", param_hint="--expert")
    if out.exists():
        problem = "it is there already; nothing is written into a folder that exists."
        raise DatasetError(str(out), problem, ["name another one by --out"])
    try:
        every = tuple(float(number) for number in noise.split(","))
        disturbed = every[0] if len(every) == 1 else every
        source = EnvironmentSource(
            environment=environment, episodes=episodes, seed=seed, noise=disturbed
        )
    except ValueError as error:
        expected = "expected a number from 0 on, or one for each number of the action: 1,1,1,1,0,0"
        raise typer.BadParameter(expected, param_hint="--noise") from error
    with system_errors_explained(out.parent), published_directory(out) as folder:
        record_expert(source, folder, version, echo)
    echo(f"{out}: LeRobot {version}; take it into the catalog: gr00t-assets dataset add {out}")


dataset_app.command("add")(dataset_add)
dataset_app.command("config")(dataset_config)
dataset_app.command("record")(dataset_record)
dataset_app.command("list")(dataset_list)
dataset_app.command("show")(dataset_show)
