"""Lets Isaac-GR00T N1.5 run without a GPU; Python imports it from a folder on PYTHONPATH.

It does nothing until the package ``gr00t`` is imported, so that every other process that inherits
PYTHONPATH stays as it is. Then, from outside and without a change in the checkout:

- empty modules stand in for flash-attn, which ``radio_model.py`` imports unconditionally;
- ``torch.cuda.get_device_capability`` answers, which the same file asks at import;
- flash_attention_2 becomes sdpa wherever a model is made;
- ``TrainingArguments`` loses ``tf32``, which transformers refuses without an Ampere GPU;
- ``DEFAULT_EAGLE_PATH`` is the folder that ``ISAAC_CPU_EAGLE`` names, where it names one.

Where there is a GPU nothing is replaced but the last.
"""

import importlib.machinery
import importlib.util
import os
import sys
import types
from importlib.abc import MetaPathFinder

EAGLE = "ISAAC_CPU_EAGLE"
EAGLE_MODULE = "gr00t.model.backbone.eagle_backbone"
ATTENTION = "_attn_implementation"


class _Isaac(MetaPathFinder):
    """Waits for ``gr00t``; finds nothing itself but the module that names the Eagle folder."""

    def __init__(self):
        self.prepared = False

    def find_spec(self, fullname, path=None, target=None):
        """Prepare the process at the first import of ``gr00t``."""
        if fullname == "gr00t" and not self.prepared:
            self.prepared = True
            _without_gpu()
        if fullname != EAGLE_MODULE or not os.environ.get(EAGLE):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            module.DEFAULT_EAGLE_PATH = os.environ[EAGLE]

        spec.loader.exec_module = exec_module
        return spec


def _without_gpu():
    import torch

    if torch.cuda.is_available():
        return
    torch.cuda.get_device_capability = lambda device=None: (8, 0)
    if "flash_attn" not in sys.modules and importlib.util.find_spec("flash_attn") is None:
        _flash_attention_stand_ins()
    _no_flash_attention()
    _no_tf32()


def _flash_attention_stand_ins():
    def missing(*args, **kwargs):
        raise NotImplementedError("flash-attn is not installed; this is a stand-in for a CPU")

    for name, functions in {
        "flash_attn": (),
        "flash_attn.flash_attn_interface": ("flash_attn_unpadded_qkvpacked_func",),
        "flash_attn.bert_padding": ("pad_input", "unpad_input"),
    }.items():
        module = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package="." not in name)
        module.__dict__.update(dict.fromkeys(functions, missing))
        sys.modules[name] = module


def _no_flash_attention():
    model = importlib.import_module("transformers").PreTrainedModel
    initialize, autoset = model.__init__, model._autoset_attn_implementation.__func__

    def rewrite(config):
        for part in (config, *map(config.__dict__.get, ("vision_config", "text_config"))):
            if getattr(part, ATTENTION, None) == "flash_attention_2":
                setattr(part, ATTENTION, "sdpa")

    def initialized(self, config, *args, **kwargs):
        rewrite(config)
        initialize(self, config, *args, **kwargs)

    def chosen(cls, config, *args, **kwargs):
        rewrite(config)
        return autoset(cls, config, *args, **kwargs)

    model.__init__ = initialized
    model._autoset_attn_implementation = classmethod(chosen)


def _no_tf32():
    arguments = importlib.import_module("transformers").TrainingArguments
    check = arguments.__post_init__

    def checked(self):
        self.tf32 = None
        check(self)

    arguments.__post_init__ = checked


sys.meta_path.insert(0, _Isaac())
