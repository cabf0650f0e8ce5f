"""What the doctor gathers of one environment, and what it finds of the checkout itself."""

from collections.abc import Sequence
from pathlib import Path

from gr00t_assets.core.finding import Collector, FaultCatalogue
from gr00t_assets.core.text import format_bytes
from gr00t_assets.trainers.isaac_gr00t.commits import Revision
from gr00t_assets.trainers.isaac_gr00t.environment import CHECKOUT_NAME, IsaacEnvironment

_FAULTS = FaultCatalogue(Path(__file__).parents[1] / "doctor_faults.yaml")
_MOST_NAMES = 6


class Diagnosis(Collector):
    """Findings about one environment, whose facts every text of a fault may name."""

    def __init__(self, environment: IsaacEnvironment) -> None:
        super().__init__(_FAULTS, ordered=False)
        self.environment = environment
        facts, checkout = environment.generation, environment.checkout
        folder = checkout.parent if checkout.name == CHECKOUT_NAME else "DIR"
        self.texts: dict[str, object] = {
            "setup": environment.setup_command(folder),
            "checkout": checkout,
            "package": facts.package(checkout),
            "python": environment.python,
            "line": facts.title,
            "variable": facts.variable,
            "pinned": facts.pinned,
            "batch_1": format_bytes(facts.batch_1_gb * 10**9),
            "parameters": f"{facts.weights:,}",
            "trained": f"{facts.trained:,}",
        }

    def judge(
        self, subject: str, code: str, found: str, fault: str = "", /, **texts: object
    ) -> None:
        """Add a fault of the catalogue; where none is named, that something is as it should be."""
        if fault:
            self.report(fault, subject, found, **{**self.texts, **texts})
        else:
            self.ok(code, subject, found)

    def check_checkout(self, revision: Revision) -> None:
        """Look whether the checkout is there, at its commit, and at the faults that it has."""
        environment, facts = self.environment, self.environment.generation
        checkout = environment.checkout
        if not environment.script.is_file():
            missing = f"no {facts.script} in" if checkout.is_dir() else "no folder"
            self.judge("checkout", "checkout", f"{missing} {checkout}", "checkout")
            return
        self.judge("checkout", "checkout", str(checkout))
        self._check_commit(revision)
        for fix in facts.fixes:
            if fixed := revision.fixed[fix.code]:
                found = f"fixed in this source, as by {fix.commit[:7]} ({fix.date})"
            else:
                unknown = "" if fixed is False else "whether it is fixed is not known: "
                found = f"{unknown}{fix.fault}"
            fault = "" if fixed else fix.code
            self.judge("checkout", fix.code, found, fault, commit=fix.commit, date=fix.date)

    def _check_commit(self, revision: Revision) -> None:
        line = {"unknown": "no line that is known"}.get(revision.line, f"the {revision.line} line")
        found, fault = f"commit {str(revision.commit)[:12]}, of {line}", "commit-of-another-line"
        if revision.commit is None:
            has_git = (self.environment.checkout / ".git").exists()
            fault = "commit-unreadable" if has_git else "commit-missing"
            found = "git cannot read the checkout" if has_git else "the folder is no clone"
            found += ", so runs do not record their commit"
        elif revision.line == self.environment.generation.line:
            fault = ""
        elif revision.line == "unknown":
            fault = "commit-unknown"
        self.judge("checkout", "commit", found, fault)
        if revision.changed:
            names = listed([line.strip() for line in revision.changed])
            found = f"files differ from the commit: {names}"
            self.judge("checkout", "changed-files", found, "changed-files")


def listed(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
