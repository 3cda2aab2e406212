"""A device that exists on no machine: tensors "on the chip", and a log of who waits for it.

Its tensors wrap those of the CPU that do the work, so that numbers are right, and say that they lie
on `chip:0`. In the log are, with the place in the sources: "read", where the host has to know what
a tensor there holds, and "sent", where it sends one there (of pageable memory, for which it waits
as well). It cannot be undone: for processes of their own.
"""

import collections
import contextlib
import traceback

import keras
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

_setup_privateuseone_for_python_backend("chip")
CHIP = torch.device("chip:0")
LOG = collections.Counter()
# Sizes or values of the result depend on what the tensor holds.
_READS = {
    "_local_scalar_dense",
    "bincount",
    "equal",
    "masked_select",
    "nonzero",
    "repeat_interleave",
    "unique_consecutive",
    "unique_dim",
    "_unique2",
}
# There is none for the chip; the draws of the CPU are as good.
_Generator = torch.Generator
torch.Generator = lambda device=None: _Generator()


class OnChip(torch.Tensor):
    """A tensor on the chip; `near` has its numbers."""

    @staticmethod
    def __new__(cls, near):
        place = {"strides": near.stride(), "storage_offset": near.storage_offset()}
        made = torch.Tensor._make_wrapper_subclass(
            cls, near.size(), dtype=near.dtype, device=CHIP, **place
        )
        made.near = near
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return _dispatch(function, args, kwargs or {})

    def __repr__(self):
        return f"OnChip({self.near!r})"


class _Factories(TorchDispatchMode):
    """What makes tensors without being given one."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return _dispatch(function, args, kwargs or {})


class _Constants(TorchFunctionMode):
    """What PyTorch does in one piece, out of sight of the above."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function in (torch.as_tensor, torch.tensor) and kwargs.get("device") is not None:
            device = kwargs.pop("device")
            return function(*args, **kwargs).to(device)
        if function is torch.Tensor.tolist:
            return function(args[0].cpu())
        return function(*args, **kwargs)


def _dispatch(function, args, kwargs):
    name = function.name().removeprefix("aten::").split(".")[0]
    tensors = [a for a in tree_leaves((args, kwargs)) if isinstance(a, torch.Tensor)]
    there = [a for a in tensors if isinstance(a, OnChip)]
    stays = bool(there)
    if there and name in _READS:
        _note("read")
    if kwargs.get("device") is not None:
        stays = torch.device(kwargs["device"]).type == "chip"
        kwargs = {**kwargs, "device": "cpu"}
        if there and not stays:
            _note("read")
        elif stays and tensors and not there:
            _note("sent")
    if name == "copy_" and isinstance(args[0], OnChip) != isinstance(args[1], OnChip):
        _note("sent" if isinstance(args[0], OnChip) else "read")
    known = {id(a.near): a for a in there}
    args, kwargs = tree_map(lambda a: a.near if isinstance(a, OnChip) else a, (args, kwargs))

    def back(value):
        if not stays or not isinstance(value, torch.Tensor):
            return value
        return known[id(value)] if id(value) in known else OnChip(value)

    return tree_map(back, function(*args, **kwargs))


def _note(what):
    stack = [f for f in traceback.extract_stack() if "/torch/_" not in f.filename]
    places = [f"{f.filename.split('/')[-1]}:{f.lineno}" for f in stack]
    LOG[what, " ".join(p for p in places if not p.startswith("_chip"))[-300:]] += 1


@contextlib.contextmanager
def on_chip():
    """Within it Keras makes its tensors on the chip."""
    with keras.device("chip:0"), _Factories(), _Constants():
        yield


def move(variables):
    """Lay variables on the chip."""
    for variable in {id(v): v for v in variables}.values():
        value = variable.value.detach().clone()
        variable._value = torch.nn.Parameter(OnChip(value), requires_grad=variable.trainable)


def waits(what):
    """How often the log has it."""
    return sum(number for (kind, _), number in LOG.items() if kind == what)


def places(what):
    """Where in the sources."""
    return sorted(place for kind, place in LOG if kind == what)
