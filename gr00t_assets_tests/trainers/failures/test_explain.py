"""What is taken for the cause, what is shown of a log, and what must not be."""

from pathlib import Path

import pytest

from gr00t_assets.trainers.failures.explain import as_explained, explain, is_explained
from gr00t_assets.trainers.failures.failure_pattern import (
    MAX_TAIL_LINES,
    clean_lines,
    find_exceptions,
)
from gr00t_assets_tests.defs.specs import a_spec

SPEC = a_spec(Path("/store"), trainer="isaac-gr00t")
TRACEBACK = (
    'Traceback (most recent call last):\n  File "train.py", line 9, in <module>\n    main()\n'
)
OUT_OF_MEMORY = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total "
    "capacity of 79.15 GiB of which 1.06 GiB is free."
)
NCCL = "torch.distributed.DistBackendError: NCCL error in: x.cpp:1, remote process exited"


def name(text: str, code: int = 1) -> str:
    return explain(text.split("\n"), code, SPEC).name


def ranked(rank: int, text: str) -> str:
    return "\n".join(f"[rank{rank}]: {line}" for line in text.split("\n"))


def test_an_unknown_failure_is_its_last_exception() -> None:
    lines = [*(f"step {step}" for step in range(50)), *TRACEBACK.split("\n")[:-1]]
    error = explain([*lines, "ValueError: 3 is not 4", "and more"], 1, SPEC).error("lr1e-3", "log")
    assert error.problem == "training failed: ValueError: 3 is not 4"
    assert error.details[:3] == ("and more", "log: log", "its last lines:")
    assert len(error.details) == 3 + MAX_TAIL_LINES
    assert error.details[-2:] == ("| ValueError: 3 is not 4", "| and more")


def test_of_a_chain_every_part_counts_and_the_last_is_its_name() -> None:
    chain = (
        f"{TRACEBACK}KeyError: 'a'\n\nDuring handling of the above exception, another exception "
        f"occurred:\n\n{TRACEBACK}RuntimeError: b"
    )
    chains = find_exceptions(chain.split("\n"))
    assert [chain.message for chain in chains] == ["RuntimeError: b"]
    assert "KeyError: 'a'" in chains[0].text


def test_an_exception_that_was_survived_is_not_the_cause() -> None:
    survived = f"{TRACEBACK}ModuleNotFoundError: No module named 'flash_attn'\ngoing on without\n"
    assert name(f"{survived}{TRACEBACK}ValueError: another one") == "exception"
    assert name(survived.strip()) == "flash-attn"


def test_a_cause_comes_before_what_follows_from_it() -> None:
    cause, follows = ranked(1, TRACEBACK + OUT_OF_MEMORY), ranked(0, TRACEBACK + NCCL)
    assert name(f"{cause}\n{follows}") == "gpu-memory"
    assert name(f"{follows}\n{cause}") == "gpu-memory"
    assert name(follows) == "nccl"


def test_an_unknown_cause_comes_before_what_follows_from_it() -> None:
    cause, follows = ranked(1, f"{TRACEBACK}ValueError: odd"), ranked(0, TRACEBACK + NCCL)
    explanation = explain(f"{follows}\n{cause}".split("\n"), 1, SPEC)
    assert explanation.problem == "training failed: ValueError: odd"


def test_lines_of_several_processes_are_told_apart() -> None:
    first, second = f"{TRACEBACK}ValueError: a".split("\n"), f"{TRACEBACK}KeyError: b".split("\n")
    mixed = [
        f"[rank{rank}]: {line}"
        for pair in zip(first, second, strict=True)
        for rank, line in enumerate(pair)
    ]
    assert [chain.message for chain in find_exceptions(mixed)] == ["ValueError: a", "KeyError: b"]


def test_a_progress_bar_does_not_hide_a_traceback() -> None:
    bar = "\r  0%|          | 0/4 [00:00<?, ?it/s]\r 50%|█████     | 2/4 [00:01<00:01, 1.5s/it]"
    lines = clean_lines(
        [f"{bar}Traceback (most recent call last):", "\x1b[31mKeyError: 'a'\x1b[0m"]
    )
    assert lines[1:] == ["Traceback (most recent call last):", "KeyError: 'a'"]
    assert lines[0].startswith(" 50%|")


@pytest.mark.parametrize(
    ("code", "words"),
    [(137, "SIGKILL"), (-9, "SIGKILL"), (139, "SIGSEGV"), (135, "SIGBUS"), (143, "SIGTERM")],
)
def test_a_signal_is_named_whatever_the_log_says(code: int, words: str) -> None:
    survived = f"{TRACEBACK}KeyError: 'a'\n" if code in (137, -9, 143) else ""
    explanation = explain(f"{survived}step 10".split("\n"), code, SPEC)
    assert words in explanation.problem
    assert "materialise it again" in explanation.details[-1]


def test_a_log_without_an_exception_is_said_to_have_none() -> None:
    explanation = explain(["loading", "cannot go on"], 3, SPEC)
    assert explanation.problem == "the trainer ended with code 3 and no exception in its log."
    assert explanation.details[0] == "its last words: cannot go on"
    assert explain([], 1, SPEC).error("x", "log").details[-1] == "log: log"


def test_the_data_check_is_named_with_its_arguments() -> None:
    spec = a_spec(Path("/store"), trainer="isaac-gr00t", hyperparameters={"frame_source": "video"})
    text = (
        "ValueError: Video key front not found in dataset metadata. "
        "Available keys: dict_keys(['ego_view'])"
    )
    explanation = explain((TRACEBACK + text).split("\n"), 1, spec)
    assert explanation.problem == "camera 'front' is not in the dataset demo."
    assert explanation.details[0].endswith("the dataset has: ['ego_view']")
    assert explanation.details[-1].endswith(
        "gr00t-assets dataset check demo --data-config so100_dualcam "
        "--embodiment-tag new_embodiment --video-backend decord"
    )


HEX = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    "line",
    [
        "wandb: key canary-of-the-environment",
        f"api_key={HEX}",
        f"api_key: '{HEX}'",
        "HF_TOKEN=hf_canaryCanaryCanary",
        "GET https://user:canary-password@example.org/x",
        "GET https://example.org/x?X-Amz-Signature=canary",
        "Authorization: Bearer canary.canary.canary",
        "wandb_v1_canarycanarycanarycanary",
        'WANDB_API_KEY="canarycanarycanary"',
    ],
)
def test_secrets_are_not_shown(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "canary-of-the-environment")
    for text in (line, f"{TRACEBACK}ValueError: {line}", f"{TRACEBACK}OSError: [Errno 28] {line}"):
        explanation = explain(text.split("\n"), 1, SPEC)
        shown = "\n".join([explanation.error("x", "log").explain(), *explanation.tail])
        assert "canary" not in shown.lower() and HEX not in shown


def test_what_is_no_secret_stays() -> None:
    lines = [
        f"commit {HEX}",
        "/data/token_embeddings.safetensors",
        "tokenizer: Qwen2TokenizerFast",
        "https://huggingface.co/nvidia/GR00T-N1.5-3B",
        "trainable token count = 12345",
    ]
    assert clean_lines(lines) == lines


def test_a_secret_at_the_cut_of_a_line_is_not_shown_in_half() -> None:
    for start in range(3_900, 4_001, 7):
        (line,) = clean_lines(["x" * start + " hf_canaryCanaryCanaryCanary" + "y" * 9_000])
        assert "canary" not in line.lower()


def test_a_long_line_is_cut() -> None:
    error = explain([*TRACEBACK.split("\n")[:-1], "ValueError: " + "x" * 9000], 1, SPEC).error("x")
    assert len(str(error)) < 500


def test_an_explained_failure_is_taken_as_it_is() -> None:
    message = "TrainingError: lr1e-3: it diverged.\n  lower learning_rate"
    assert is_explained(message) and not is_explained("KeyError: 'a'") and not is_explained(None)
    error = as_explained(message, "lr1e-3", ["step 1", *message.split("\n")], "log")
    assert str(error) == (
        "lr1e-3: it diverged.\n  lower learning_rate\n  log: log\n  its last lines:\n  | step 1"
    )
