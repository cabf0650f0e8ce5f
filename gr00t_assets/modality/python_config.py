"""Data configs and NVIDIA's modality configs: the Python file of N1.7's ``--modality-config-path``.

Such a file registers a dict of ``ModalityConfig`` (``gr00t/data/types.py`` at 65cc4a1) under an
embodiment tag. It is read from its syntax and never run.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from gr00t_assets.core.errors import DataConfigError
from gr00t_assets.core.text import did_you_mean
from gr00t_assets.core.yaml_files import shown_path
from gr00t_assets.modality.data_config import DataConfig
from gr00t_assets.modality.generations import GENERATIONS
from gr00t_assets.modality.key_config import ActionTransforms
from gr00t_assets.modality.python_reader import Call, Member, NotPlainError, PlainReader

_REGISTER = "register_modality_config"
_CONSTRUCTORS = {
    "ModalityConfig": (
        "delta_indices",
        "modality_keys",
        "sin_cos_embedding_keys",
        "mean_std_embedding_keys",
        "action_configs",
    ),
    "ActionConfig": ("rep", "type", "format", "state_key"),
    _REGISTER: ("config", "embodiment_tag"),
}
_ENUMERATIONS = frozenset({"EmbodimentTag", "ActionRepresentation", "ActionType", "ActionFormat"})
_PARTS = ("video", "state", "action", "language")

_TAGS: Mapping[str, str] = {
    **{tag.upper(): tag for tag in GENERATIONS["n1.7"].embodiment_ids},
    "LIBERO_PANDA": "libero_sim",
    "REAL_G1": "real_g1_relative_eef_relative_joints",
    "REAL_R1_PRO_SHARPA": "real_r1_pro_sharpa_relative_eef",
    "REAL_R1_PRO_SHARPA_HUMAN": "real_r1_pro_sharpa_relative_eef_human",
    "REAL_R1_PRO_SHARPA_MAXINSIGHTS": "real_r1_pro_sharpa_relative_eef_maxinsights",
    "REAL_R1_PRO_SHARPA_MECKA": "real_r1_pro_sharpa_relative_eef_mecka",
    "UNITREE_G1": "unitree_g1_full_body_with_waist_height_nav_cmd",
    "XDOF": "xdof_relative_eef_relative_joint",
    "XDOF_SUBTASK": "xdof_relative_eef_relative_joint_subtask",
}
"""Embodiment tags by the name of their member of ``EmbodimentTag``."""


def read_python(file: Path) -> dict[str, Any]:
    """The data config that an NVIDIA modality config is, as its YAML file has it.

    The kinds of normalisation are those of the released base model: percentiles, and the whole
    range of relative actions.

    Raises:
        DataConfigError: The file is not plain, or asks for what data configs do not have.
    """
    try:
        calls = PlainReader(_CONSTRUCTORS, _ENUMERATIONS).calls(file, _REGISTER)
        if len(calls) != 1:
            lines = [f"line {call.node.lineno}: {_REGISTER}" for call in calls]
            problem = f"it registers {len(calls)} modality configs; a data config is one."
            raise DataConfigError(shown_path(file), problem, lines)
        content = _content(calls[0])
    except NotPlainError as error:
        problem = "this modality config cannot be read as a data config."
        remedy = "write such values out in the file, or write the data config by hand"
        raise DataConfigError(shown_path(file), problem, [str(error), remedy]) from error
    try:
        DataConfig.model_validate(content, context=file.stem)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        raise DataConfigError(shown_path(file), "it makes no data config.", lines) from error
    return content


def yaml_text(content: Mapping[str, Any], source: str) -> str:
    """A data config's YAML file, with what it was read from."""
    dumped = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=96)
    return f"# Read from NVIDIA's modality config {source}.\n{dumped}"


def _content(register: Call) -> dict[str, Any]:
    node, parts = register.node, register.arguments.get("config")
    tag = register.arguments.get("embodiment_tag", Member("EmbodimentTag", "NEW_EMBODIMENT"))
    if not isinstance(tag, Member) or tag.enumeration != "EmbodimentTag" or tag.name not in _TAGS:
        name = getattr(tag, "name", str(tag))
        hint = did_you_mean(name, _TAGS)
        raise NotPlainError(node, f"'{name}' is no EmbodimentTag of N1.7; {hint}")
    if not isinstance(parts, dict) or not all(_is_config(part) for part in parts.values()):
        raise NotPlainError(node, "a dict of ModalityConfig by modality is expected")
    for name, part in parts.items():
        if name not in _PARTS:
            raise NotPlainError(part.node, f"data configs have no modality '{name}'")
    if missing := [name for name in _PARTS if name not in parts]:
        raise NotPlainError(node, f"it has no {' and no '.join(missing)}")
    (video, videos), (state, states), (_, actions), (_, languages) = (
        (_list(parts[name], "delta_indices", int), _list(parts[name], "modality_keys", str))
        for name in _PARTS
    )
    if video != state:
        problem = f"video is of rows {video} and state of {state}; data configs have one for both"
        raise NotPlainError(parts["state"].node, problem)
    if not languages[0].startswith("annotation."):
        problem = f"language '{languages[0]}' is no annotation of modality.json; name one there"
        raise NotPlainError(parts["language"].node, problem)
    generation = GENERATIONS["n1.7"].defaults()
    horizon = _list(parts["action"], "delta_indices", int)
    return {
        "generation": "n1.7",
        "embodiment_tag": _TAGS[tag.name],
        "video": videos,
        **({} if video == [0] else {"observation_indices": video}),
        "state": {key: _transforms(parts["state"], key) for key in states},
        "action": dict(_action_transforms(parts["action"], actions)),
        "language": languages[0],
        **({} if horizon == generation["action_indices"] else {"action_indices": horizon}),
    }


def _action_transforms(part: Call, keys: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    if (configs := part.arguments.get("action_configs")) is None:
        configs = [None] * len(keys)
    if not isinstance(configs, list) or len(configs) != len(keys):
        raise NotPlainError(part.node, f"a list of {len(keys)} ActionConfig is expected")
    for key, config in zip(keys, configs, strict=True):
        fields: dict[str, Any] = {}
        if config is not None:
            if not _is_config(config, "ActionConfig"):
                raise NotPlainError(part.node, f"the ActionConfig of '{key}' is expected")
            for name in ("rep", "type", "format"):
                member = config.arguments.get(name)
                if not isinstance(member, Member):
                    raise NotPlainError(config.node, f"{name} is no member of its enumeration")
                if (value := member.name.lower()) != ActionTransforms.model_fields[name].default:
                    fields[name] = value
            state_key = config.arguments.get("state_key")
            if fields.get("rep") == "relative" and state_key not in (None, key):
                fields["state_key"] = state_key
        kind = "min_max" if fields.get("rep") == "relative" else "percentiles"
        fields |= _transforms(part, key, kind)
        try:
            ActionTransforms.model_validate(fields)
        except ValidationError as error:
            node = part.node if config is None else config.node
            raise NotPlainError(node, f"{key}: {error.errors()[0]['msg']}") from error
        yield key, fields


def _transforms(part: Call, key: str, kind: str = "percentiles") -> dict[str, Any]:
    turned, by_mean = (
        _list(part, name, str) if part.arguments.get(name) else []
        for name in ("sin_cos_embedding_keys", "mean_std_embedding_keys")
    )
    if key in turned:
        return {"sin_cos": True}
    return {"normalization": "mean_std" if key in by_mean else kind}


def _is_config(value: Any, constructor: str = "ModalityConfig") -> bool:
    return isinstance(value, Call) and value.function == constructor


def _list(part: Call, name: str, kind: type) -> list[Any]:
    values = part.arguments.get(name)
    if not isinstance(values, list) or not values or not all(type(v) is kind for v in values):
        raise NotPlainError(part.node, f"{name} is no list of {kind.__name__}")
    return values


_TEMPLATE = '''\
"""Data config {name} for Isaac-GR00T N1.7, written by gr00t-assets; changes here are lost."""

from gr00t.configs.data.embodiment_configs import register_modality_config
from gr00t.data.embodiment_tags import EmbodimentTag
from gr00t.data.types import (
    ActionConfig,
    ActionFormat,
    ActionRepresentation,
    ActionType,
    ModalityConfig,
)

config = {{
{parts}
}}

register_modality_config(config, embodiment_tag=EmbodimentTag.{tag})
'''


def python_text(name: str, tag: str, modalities: Mapping[str, Mapping[str, Any]]) -> str:
    """A modality config as a Python file for NVIDIA's script; what is None is left out.

    ``name`` is the data config's; ``modalities`` has by modality the arguments of
    ``ModalityConfig``, as processor files have them. DataConfigError where NVIDIA has no such tag.
    """
    members = {value: member for member, value in _TAGS.items()}
    if tag not in members:
        problem = f"Isaac-GR00T N1.7 has no embodiment tag {tag}."
        remedy = f"give its dataset another in data/datasets.yaml; {did_you_mean(tag, members)}"
        raise DataConfigError(name, problem, [remedy])
    parts = []
    for modality, arguments in modalities.items():
        given = {key: value for key, value in arguments.items() if value is not None}
        texts = {key: repr(list(value)) for key, value in given.items()}
        if "action_configs" in given:
            actions = "".join(f"            {_action(own)},\n" for own in given["action_configs"])
            texts["action_configs"] = f"[\n{actions}        ]"
        lines = "".join(f"        {key}={text},\n" for key, text in texts.items())
        parts.append(f'    "{modality}": ModalityConfig(\n{lines}    ),')
    return _TEMPLATE.format(name=name, parts="\n".join(parts), tag=members[tag])


def _action(fields: Mapping[str, Any]) -> str:
    kinds = {"rep": "ActionRepresentation", "type": "ActionType", "format": "ActionFormat"}
    members = ", ".join(f"{name}={kind}.{fields[name]}" for name, kind in kinds.items())
    state_key = fields.get("state_key")
    return f"ActionConfig({members}{f', state_key={state_key!r}' if state_key else ''})"
