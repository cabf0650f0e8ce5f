"""Few, equal, constant, collinear and odd runs: always sentences, never a number JSON lacks."""

import re
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gr00t_assets.comparison.run import Run
from gr00t_assets_tests.comparison.statistics.made_runs import run, said
from gr00t_assets_tests.comparison.synthetic_runs import DATA

RNG = np.random.default_rng(0)


def many(count: int, **columns: Callable[[int], object]) -> list[Run]:
    """Losses between 0.1 and 0.2, settings from the number of the run."""
    losses = RNG.uniform(0.1, 0.2, count).tolist()
    return [
        run(f"r{n}", losses[n], **{"seed": n} | {name: of(n) for name, of in columns.items()})
        for n in range(count)
    ]


CASES: dict[str, list[Run]] = {
    "none": [],
    "one": many(1),
    "one failed": [run("a", None)],
    "all failed": [run("a", None), run("b", None, learning_rate=1e-3)],
    "two equal": [run("a", 0.1), run("b", 0.1, learning_rate=1e-3)],
    "all losses equal": [run(f"r{n}", 0.1, learning_rate=1e-4 * (n % 3 + 1), seed=n)
                         for n in range(9)],
    "constant columns": many(6),
    "two classes": [*many(4, learning_rate=lambda n: 1e-4 * (n + 1)),
                    *(run(f"s{n}", 0.3 + n / 10, learning_rate=1e-4 * (n + 1),
                          data=DATA | {"dataset": "other"}) for n in range(3))],
    "sixty words": many(61, augmentation=lambda n: f"kind-{n % 60}"),
    "sixty words, two factors": many(80, augmentation=lambda n: f"kind-{n % 60}",
                                     learning_rate=lambda n: 1e-4 * (n % 3 + 1)),
    "collinear": many(9, learning_rate=lambda n: 1e-4 * (n % 3 + 1),
                      weight_decay=lambda n: 0.1 * (n % 3)),
    "three collinear": many(12, learning_rate=lambda n: 1e-4 * (n + 1),
                            weight_decay=lambda n: 0.1 * n, warmup_ratio=lambda n: 0.01 * n),
    "nearly collinear": many(12, learning_rate=lambda n: 1e-4 * (n + 1),
                             weight_decay=lambda n: 0.1 * n + 1e-9 * (n % 2)),
    "saturated": many(4, learning_rate=lambda n: 1e-4 * (n % 2 + 1),
                      weight_decay=lambda n: 0.1 * (n // 2)),
    "more factors than runs": many(4, learning_rate=lambda n: 1e-4 * (n + 1),
                                   weight_decay=lambda n: 0.1 * (n % 2),
                                   warmup_ratio=lambda n: 0.1 * (n // 2),
                                   adam_beta1=lambda n: 0.9 + 0.01 * (n == 3)),
    "zero, negative and true": many(12, weight_decay=lambda n: n - 5.0,
                                    odd=lambda n: n % 2 == 0),
    "words and numbers": many(10, learning_rate=lambda n: "auto" if n % 3 == 0 else 1e-4 * n),
    "unknown values": many(10, learning_rate=lambda n: None if n % 2 else 1e-4 * (n + 1)),
    "losses far apart": [run(f"r{n}", 10.0 ** (150 * (-1) ** n), learning_rate=1e-4 * (n % 2 + 1),
                             seed=n // 2) for n in range(6)],
    "three of four cells": [*(run(f"a{n}", 0.1 + n / 100, batch_size=8, seed=n) for n in range(4)),
                            *(run(f"b{n}", 0.2 + n / 90, batch_size=16, max_steps=200, seed=9 + n)
                              for n in range(4)),
                            run("c", 0.15, batch_size=16, seed=20)],
    "one repeated": [run("a", 0.1, seed=0), run("b", 0.11, seed=1),
                     *many(5, learning_rate=lambda n: 1e-3 * (n + 1))],
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_degenerate_runs_are_answered_in_sentences(name: str) -> None:
    with warnings.catch_warnings(record=True) as heard:
        comparison = said(CASES[name])
    assert not heard, "libraries warn on the terminal of a person who compares runs"
    sentences = [answer.sentence for answer in comparison.answers] + [comparison.headline]
    assert not [text for text in sentences if re.search(r"\b(nan|inf)\b| None\b", text)]


@pytest.mark.parametrize("name", ["constant columns", "all losses equal", "collinear", "saturated"])
def test_nothing_is_claimed_of_them(name: str) -> None:
    comparison = said(CASES[name])
    assert not [answer for answer in comparison.answers if answer.verdict == "controlled"]
    assert comparison.classes[0].best is None


VALUES = {
    "learning_rate": st.sampled_from([1e-4, 3e-4, 1e-3, None]) | st.floats(1e-6, 1e-2),
    "weight_decay": st.sampled_from([0.0, 0.1, 0.2, None]),
    "batch_size": st.sampled_from([4, 8, 16]),
    "max_steps": st.sampled_from([200, 400, 800]),
    "lr_scheduler_type": st.sampled_from(["cosine", "linear", "constant", None]),
    "tune_llm": st.booleans(),
    "seed": st.sampled_from([0, 1, 2, None]),
    "odd": st.sampled_from([True, False, "a", "b", 3, None]),
}


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_small_table_is_answered_in_sentences(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(sorted(VALUES)), unique=True))
    losses = st.sampled_from([0.1, 0.1, 0.2]) | st.floats(1e-6, 1e3) | st.none()
    rows = data.draw(
        st.lists(
            st.tuples(losses, st.fixed_dictionaries({n: VALUES[n] for n in names})), max_size=14
        )
    )
    with warnings.catch_warnings(record=True) as heard:
        said([run(f"r{n}", loss, **row) for n, (loss, row) in enumerate(rows)])
    assert not heard
