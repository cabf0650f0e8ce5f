"""``continue_from``: an experiment that goes on from the last checkpoint of a shorter one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gr00t_assets.core.names import did_you_mean
from gr00t_assets.core.yaml_files import Location, Problem

if TYPE_CHECKING:
    from gr00t_assets.experiments.drafts import Draft

_NEEDS = ("priority", "vram_gb")
_OWN = {"name", "continue_from", "hypothesis", "tags", "report_to", "hyperparameters", *_NEEDS}
"""What an entry with ``continue_from`` may say; the rest is that of the other experiment."""


def with_continued(drafts: Sequence["Draft"]) -> tuple[list["Draft"], list[Problem]]:
    """Complete the drafts that continue another one by what that one says.

    Returns:
        Every draft in its order, and what is wrong with those that continue.
    """
    by_name = {draft.name: draft for draft in drafts}
    problems: list[Problem] = []
    completed = [_completed(draft, by_name, (), problems) for draft in drafts]
    return completed, problems


def _completed(
    draft: "Draft", drafts: Mapping[str, "Draft"], before: tuple[str, ...], problems: list[Problem]
) -> "Draft":
    if draft.entry.continue_from is None:
        return draft
    where: Location = (*draft.location, "continue_from")
    name = draft.entry.continue_from + draft.name.removeprefix(draft.entry.name)
    if name not in drafts:
        named = draft.entry.continue_from
        message = f"no experiment '{named}' in this file; {did_you_mean(named, drafts)}"
        problems.append(Problem(where, message))
        return draft
    if name in (*before, draft.name):
        problems.append(Problem(where, f"'{draft.name}' continues itself"))
        return draft
    source = _completed(drafts[name], drafts, (*before, draft.name), [])
    problems += _problems(draft, source, where)
    steps = {"max_steps": draft.entry.hyperparameters.get("max_steps", 1)}
    entry = source.entry.model_copy(
        update={
            "name": draft.entry.name,
            "hypothesis": draft.entry.hypothesis,
            "tags": draft.entry.tags,
            "continue_from": draft.entry.continue_from,
        }
        | {
            name: getattr(draft.entry, name)
            for name in _NEEDS
            if name in draft.entry.model_fields_set
        }
    )
    return replace(
        draft,
        entry=entry,
        hyperparameters=source.hyperparameters | steps,
        continue_from=name,
        continued_steps=(*source.continued_steps, _steps(source)),
    )


def _problems(draft: "Draft", source: "Draft", where: Location) -> list[Problem]:
    own = sorted(draft.entry.model_fields_set - _OWN)
    own += sorted(set(draft.entry.hyperparameters) - {"max_steps"})
    found = [
        Problem(where, f"{name} is that of '{source.name}': only max_steps can be another")
        for name in own
    ]
    asked, done = draft.entry.hyperparameters.get("max_steps"), _steps(source)
    if asked is None:
        text = f"give max_steps: '{source.name}' has {done}, this one needs more"
        found.append(Problem(where, text))
    elif isinstance(asked, int) and asked <= done:
        text = f"max_steps {asked} is not more than the {done} of '{source.name}'"
        found.append(Problem((*draft.location, "hyperparameters", "max_steps"), text))
    return found


def _steps(draft: "Draft") -> int:
    from gr00t_assets.experiments.hyperparameters import Hyperparameters

    default = Hyperparameters.model_fields["max_steps"].default
    return int(draft.hyperparameters.get("max_steps", default))
