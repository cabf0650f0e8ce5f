"""``gr00t-assets serve``: a model that answers a robot's observations over the network."""

import os
import signal
from pathlib import Path
from typing import Annotated

import typer

from gr00t_assets.cli.output import echo
from gr00t_assets.core.errors import ServingError
from gr00t_assets.core.project import Store
from gr00t_assets.evaluation.trials.plan_files import model_to_serve
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.serving.client import PolicyClient
from gr00t_assets.serving.latency import Latency, LatencyRecord, save_latency
from gr00t_assets.serving.server import LOOPBACK, PORT, PolicyServer, serving

_WARM_UP = 10
"""Requests that are not measured: the first ones allocate and compile."""


def serve(
    model: Annotated[
        str, typer.Argument(help="EXPERIMENT, EXPERIMENT@STEP, @best, a folder, trial:PLAN:LETTER")
    ],
    host: Annotated[
        str, typer.Option(help="Address to listen at; another than loopback needs a token")
    ] = LOOPBACK,
    port: Annotated[int, typer.Option("--port", "-p", min=0, max=65535, help="0: any")] = PORT,
    token_env: Annotated[
        str | None, typer.Option(help="Environment variable with the token of clients")
    ] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with the token")] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu or cuda; a GPU where there is one")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Of a mixture: the dataset whose robot is driven")
    ] = None,
    denoising_steps: Annotated[
        int | None, typer.Option(min=1, help="Of each answer; the model's own if left out")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise of every answer")] = 0,
    time_limit: Annotated[
        float, typer.Option(min=0.1, help="Seconds after which a request gets an error")
    ] = 10.0,
    largest_mb: Annotated[int, typer.Option(min=1, max=2000, help="Of a message")] = 64,
    measure: Annotated[
        int | None,
        typer.Option(min=1, help="Answer so many requests of its own, print how long, and end"),
    ] = None,
) -> None:
    """Answer observations as Isaac-GR00T's server does; see docs/robot.md."""
    token = _token(token_env, token_file)
    found = model_to_serve(model, Store.from_environment())
    policy = trainer_named(found.trainer).open_policy(found.directory, device, dataset)
    policy.denoising_steps = denoising_steps or policy.denoising_steps
    server = PolicyServer(
        policy,
        LOOPBACK if measure else host,
        0 if measure else port,
        token=token,
        seed=seed,
        time_limit=time_limit,
        most_bytes=largest_mb << 20,
        log=(lambda line: None) if measure else echo,
    )
    if measure:
        latency = measured(server, measure)
        if found.step is None:
            save_latency(latency, found.directory)
        echo(f"{found.name} on {latency.device}: {latency.text}")
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: server.stop())
    where = "this machine alone" if token is None else "whoever has the token"
    echo(f"serving {found.name} on {policy.device} at {host}:{server.port}, for {where}")
    server.serve()


def measured(server: PolicyServer, requests: int) -> Latency:
    """Latencies of so many requests of a client on this machine, one after another."""
    observation, record = server.policy.example_observation(), LatencyRecord()
    with serving(server), PolicyClient(port=server.port, token=server.token, timeout=60) as client:
        for _ in range(_WARM_UP):
            client.act(observation)
        for _ in range(requests):
            with record.timed():
                client.act(observation)
    latency = record.summary(server.policy.device)
    assert latency is not None
    return latency


def _token(variable: str | None, file: Path | None) -> str | None:
    """The token, which is never on the command line, where every user of the machine sees it."""
    if variable is None and file is None:
        return None
    if variable is not None and file is not None:
        raise ServingError("--token-env", "give a variable or a file, not both.")
    try:
        token = os.environ.get(variable, "") if variable else Path(file or "").read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ServingError(str(file), f"the token cannot be read: {error}.") from error
    if not token:
        remedy = 'make one: python -c "import secrets; print(secrets.token_urlsafe())"'
        raise ServingError(variable or str(file), "there is no token.", [remedy])
    return token
