"""``gr00t-assets model`` and ``serve``: what becomes of a model that is good enough."""

import os
import signal
import time
from typing import Annotated

import typer
from rich.table import Table

from gr00t_assets.cli.arguments import Json, argument, experiments, option
from gr00t_assets.cli.output import console, echo, print_json, tell_dagster
from gr00t_assets.core.errors import ServingError
from gr00t_assets.core.project import Store
from gr00t_assets.evaluation.trials.plan import model_to_serve
from gr00t_assets.experiments.project_files import read_project
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.reporting.promotion.promote import promote
from gr00t_assets.reporting.promotion.record import promoted_folder, promoted_models
from gr00t_assets.reporting.promotion.record import push as push_to_hub
from gr00t_assets.runs.model_reference import split_reference
from gr00t_assets.serving.client import Latency, PolicyClient, save_latency
from gr00t_assets.serving.messages import LOOPBACK, PORT
from gr00t_assets.serving.server import PolicyServer, serving

model_app = typer.Typer(help="Models that are good enough to be used.", no_args_is_help=True)


@model_app.command("promote")
def model_promote(
    experiment: Annotated[
        str, argument("An experiment of any sweep; @STEP, @last or @best behind it", experiments)
    ],
    because: Annotated[
        str | None, option("Why it is promoted although nothing shows that it beats doing nothing")
    ] = None,
    push: Annotated[str | None, option("Also push it to this Hub repository: owner/name")] = None,
    private: Annotated[bool, option("Nobody else is to see the repository", "--private")] = False,
) -> None:
    """Give a model that beats the baselines a card and a place; refuse any other, with reasons."""
    store = Store.from_environment()
    name, selector = split_reference(experiment)
    record = promote(read_project().experiments[name], store, selector, because)
    folder = promoted_folder(store, record.experiment, record.config_hash, record.step)
    echo(f"promoted {record.promoted_at}: {folder}")
    echo(record.verdict)
    if record.chosen:
        echo(f"chosen: {record.chosen}")
    if because and not record.because:
        echo("nothing is against it: --because is not on its card")
    try:
        if push is not None:
            pushed = push_to_hub(record, folder, push, private)
            echo(f"pushed: {pushed.url}, commit {pushed.commit}")
    finally:
        tell_dagster("promoted_model", record.experiment)


@model_app.command("list")
def model_list(as_json: Json = False) -> None:
    """Promoted models of the store, the newest first."""
    models = promoted_models(Store.from_environment())
    if as_json:
        print_json(
            [
                {"folder": str(model.folder), "problem": model.problem}
                | (model.record.model_dump(mode="json") if model.record else {})
                for model in models
            ]
        )
        return
    table = Table("model", "promoted", "gate", "success", "held-out error", "training loss")
    for model in models:
        if (record := model.record) is None:
            table.add_row("/".join(model.folder.parts[-2:]), "", "cannot be read")
            continue
        table.add_row(
            record.name,
            record.promoted_at[:16],
            "against it" if record.reasons else "passed" if record.judged else "not asked",
            record.success_text or "not rolled out",
            "none" if record.held_out_error is None else f"{record.held_out_error:.3g}",
            f"{record.loss:.3g}",
        )
    out = console()
    out.print(table if models else "no model has been promoted")
    for model in models:
        if model.problem:
            out.print(model.problem)
        elif model.record and model.record.because:
            out.print(f"{model.record.name}: because {model.record.because}")


_WARM_UP = 10  # Requests that are not measured: the first ones allocate and compile


def serve(
    model: Annotated[
        str,
        argument("EXPERIMENT, EXPERIMENT@STEP, @best, a folder, trial:PLAN:LETTER", experiments),
    ],
    host: Annotated[str, option("Another than loopback needs a token")] = LOOPBACK,
    port: Annotated[int, option("0: any", "--port", "-p", min=0, max=65535)] = PORT,
    token_env: Annotated[str | None, option("Variable with the clients' token")] = None,
    device: Annotated[str | None, option("cpu or cuda; else a GPU if any")] = None,
    dataset: Annotated[str | None, option("Of a mixture: whose robot is driven")] = None,
    denoising_steps: Annotated[int | None, option("Else the model's", min=1)] = None,
    seed: Annotated[int, option("Of the noise of every answer", min=0)] = 0,
    time_limit: Annotated[float, option("Seconds an answer may take", min=0.1)] = 10.0,
    measure: Annotated[int | None, option("Time so many requests, and end", min=1)] = None,
) -> None:
    """Answer observations as Isaac-GR00T's server does; see docs/robot.md."""
    token = _token(token_env)
    reference = model_to_serve(model, Store.from_environment())
    policy = trainer_named(reference.trainer).open_policy(reference.directory, device, dataset)
    policy.denoising_steps = denoising_steps or policy.denoising_steps
    where = (LOOPBACK, 0) if measure else (host, port)
    log = (lambda line: None) if measure else echo
    server = PolicyServer(policy, *where, token=token, seed=seed, time_limit=time_limit, log=log)
    if measure:
        latency = measured(server, measure)
        if reference.step is None:
            save_latency(latency, reference.directory)
        echo(f"{reference.name} on {latency.device}: {latency.text}")
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: server.stop())
    who = "this machine alone" if token is None else "whoever has the token"
    echo(f"serving {reference.name} on {policy.device} at {host}:{server.port}, for {who}")
    server.serve()


def measured(server: PolicyServer, requests: int) -> Latency:
    """Latencies of so many requests of a client on this machine, one after another."""
    observation, seconds = server.policy.example_observation(), []
    with serving(server), PolicyClient(port=server.port, token=server.token, timeout=60) as client:
        for _ in range(_WARM_UP + requests):
            began = time.perf_counter()
            client.act(observation)
            seconds.append(time.perf_counter() - began)
    return Latency.of(seconds[_WARM_UP:], requests, server.policy.device)


def _token(variable: str | None) -> str | None:
    """The token, which is never on the command line, where every user of the machine sees it."""
    if variable is not None and not os.environ.get(variable):
        remedy = 'make one: python -c "import secrets; print(secrets.token_urlsafe())"'
        raise ServingError(variable, "there is no token.", [remedy])
    return None if variable is None else os.environ[variable]
