"""Findings about the checkout: is it there, which commit, and what is known of that commit."""

from gr00t_assets.trainers.isaac_gr00t.doctor.commits import (
    FUTURE_TOKENS,
    MENDS,
    PINNED,
    RESUME,
    TORCHVISION_AV,
    Revision,
    revision_of,
)
from gr00t_assets.trainers.isaac_gr00t.doctor.findings import Collector
from gr00t_assets.trainers.isaac_gr00t.environment import CHECKOUT, IsaacEnvironment

_SHOWN = 5

_REMEDIES = {
    FUTURE_TOKENS.code: "compare such runs with each other alone, or take a later commit",
    RESUME.code: "nothing here, since the launcher mends it; a later commit for runs by hand",
    TORCHVISION_AV.code: "keep frame_source: cache, or use decord, or take a later commit",
}


def check_checkout(collector: Collector, environment: IsaacEnvironment, setup: str) -> Revision:
    """Look at the checkout.

    Args:
        collector: Takes the findings.
        environment: Where the checkout is.
        setup: The command that makes one.

    Returns:
        What is known of its commit.
    """
    collector.part = "checkout"
    checkout = environment.checkout
    if not environment.script.is_file():
        there = "no scripts/gr00t_finetune.py in" if checkout.is_dir() else "no folder"
        collector.error(
            "checkout",
            f"{there} {checkout}",
            "a checkout of Isaac-GR00T of the N1.5 line",
            f"{setup}, or name one with {CHECKOUT}",
        )
        return Revision(None, "unknown", {mend.code: None for mend in MENDS})
    collector.ok("checkout", str(checkout))
    revision = revision_of(checkout)
    _check_commit(collector, environment, revision, setup)
    for mend in MENDS:
        done = revision.mended[mend.code]
        if done:
            collector.ok(mend.code, f"mended in this source, as by {mend.commit[:7]} ({mend.date})")
            continue
        found = mend.fault if done is False else f"whether it is mended is not known: {mend.fault}"
        expected = f"commit {mend.commit[:7]} ({mend.date}) or later"
        collector.warn(mend.code, found, expected, _REMEDIES[mend.code])
    return revision


def _check_commit(
    collector: Collector, environment: IsaacEnvironment, revision: Revision, setup: str
) -> None:
    checkout = environment.checkout
    expected = f"a commit of the N1.5 line, such as {PINNED[:7]}"
    if revision.commit is None and (checkout / ".git").exists():
        collector.warn(
            "commit",
            "git cannot read the checkout, so runs do not record their commit",
            expected,
            f"see: git -C {checkout} log -1; where it is another user's: "
            f"git config --global --add safe.directory {checkout}",
        )
    elif revision.commit is None:
        collector.warn(
            "commit",
            "the folder is no clone, so runs do not record their commit",
            expected,
            f"clone it: {setup}",
        )
    elif revision.line in ("N1", "N1.6 or later"):
        collector.error(
            "commit",
            revision.sentence(),
            expected,
            f"{setup} in a new folder, or check out {PINNED}",
        )
    elif revision.line == "unknown":
        collector.warn(
            "commit",
            revision.sentence(),
            expected,
            "nothing where it is a commit of your own on the N1.5 line",
        )
    else:
        collector.ok("commit", revision.sentence())
    if revision.changed:
        more = len(revision.changed) - _SHOWN
        names = ", ".join(line.strip() for line in revision.changed[:_SHOWN])
        collector.warn(
            "changed-files",
            f"files differ from the commit: {names}{f' and {more} more' if more > 0 else ''}",
            "the commit as it is, since runs record the commit alone",
            f"commit them in the checkout, or: git -C {checkout} checkout -- .",
        )
