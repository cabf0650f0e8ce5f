"""``gr00t-assets serve``: a model that answers a robot's observations over the network."""

import os
import signal
import time
from typing import Annotated

import typer

from gr00t_assets.cli.completion import experiments
from gr00t_assets.cli.output import echo
from gr00t_assets.core.errors import ServingError
from gr00t_assets.core.project import Store
from gr00t_assets.evaluation.trials.plan import model_to_serve
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.serving.client import Latency, PolicyClient, save_latency
from gr00t_assets.serving.messages import LOOPBACK, PORT
from gr00t_assets.serving.server import PolicyServer, serving

_WARM_UP = 10
"""Requests that are not measured: the first ones allocate and compile."""


def serve(
    model: Annotated[
        str,
        typer.Argument(
            help="EXPERIMENT, EXPERIMENT@STEP, @best, a folder, trial:PLAN:LETTER",
            autocompletion=experiments,
        ),
    ],
    host: Annotated[str, typer.Option(help="Another than loopback needs a token")] = LOOPBACK,
    port: Annotated[int, typer.Option("--port", "-p", min=0, max=65535, help="0: any")] = PORT,
    token_env: Annotated[str | None, typer.Option(help="Variable with the clients' token")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; else a GPU if any")] = None,
    dataset: Annotated[str | None, typer.Option(help="Of a mixture: whose robot is driven")] = None,
    denoising_steps: Annotated[int | None, typer.Option(min=1, help="Else the model's")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise of every answer")] = 0,
    time_limit: Annotated[float, typer.Option(min=0.1, help="Seconds an answer may take")] = 10.0,
    measure: Annotated[
        int | None, typer.Option(min=1, help="Time so many requests, and end")
    ] = None,
) -> None:
    """Answer observations as Isaac-GR00T's server does; see docs/robot.md."""
    token = _token(token_env)
    found = model_to_serve(model, Store.from_environment())
    policy = trainer_named(found.trainer).open_policy(found.directory, device, dataset)
    policy.denoising_steps = denoising_steps or policy.denoising_steps
    where = (LOOPBACK, 0) if measure else (host, port)
    log = (lambda line: None) if measure else echo
    server = PolicyServer(policy, *where, token=token, seed=seed, time_limit=time_limit, log=log)
    if measure:
        latency = measured(server, measure)
        if found.step is None:
            save_latency(latency, found.directory)
        echo(f"{found.name} on {latency.device}: {latency.text}")
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: server.stop())
    who = "this machine alone" if token is None else "whoever has the token"
    echo(f"serving {found.name} on {policy.device} at {host}:{server.port}, for {who}")
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
