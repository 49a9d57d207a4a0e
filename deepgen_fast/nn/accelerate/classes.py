"""How a module is accelerated in place: it takes a class that stands in for its own, and gives it back.

``module.__class__`` becomes a subclass of the same name with another ``forward``, and nothing is stored in the module.
So parameters, buffers, hooks, ``state_dict``, ``repr`` and ``isinstance`` are what they were, restoring is exact, and
what copies a module knows nothing of it. A ``forward`` set on the instance would be bound to one module: replicas
(``nn.DataParallel``, ``copy.copy``) would go on with the original's parameters, and torch.compile would not see it
change. PyTorch's parametrizations change classes in the same way; the two go together in either order.
"""

from __future__ import annotations

import copy
import copyreg
import warnings
from typing import Any, ClassVar
from weakref import WeakKeyDictionary, WeakValueDictionary

from torch import nn


class Accelerated(nn.Module):
    """What every class that stands in for a plain one has in common.

    A module for the sake of its layout in memory: Python lets an object change to a class of the same layout only.
    """

    _plain_class: ClassVar[type]

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "qconfig" and value is not None:  # what quantization first gives to every module
            warnings.warn(
                f"an accelerated {type(self).__name__} is not quantized, and stays in floating point: call "
                "deepgen_fast.restore(model) before quantizing or fusing layers",
                stacklevel=2,
            )

    def __reduce_ex__(self, protocol: Any) -> Any:
        """A pickle holds the plain module, so that it loads where deepgen_fast is not installed."""
        reduced = super().__reduce_ex__(protocol)
        if isinstance(reduced, str):
            return reduced
        here, plain = type(self), plain_class(type(self))
        make, arguments, *state = reduced
        if make is copyreg.__newobj__:  # type: ignore[attr-defined]  # which pickle holds to the object's own class
            return (copyreg._reconstructor, (plain, object, None), *state)  # type: ignore[attr-defined]
        arguments = tuple(plain if argument is here else argument for argument in arguments)
        return (plain if make is here else make, arguments, *state)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        inherited = getattr(super(), "__deepcopy__", None)
        return deepcopy_by_attributes(self, memo) if inherited is None else inherited(memo)

    def __copy__(self) -> Any:
        inherited = getattr(super(), "__copy__", None)
        if inherited is not None:
            return inherited()
        replica = self.__new__(type(self))
        replica.__dict__.update(self.__dict__)
        return replica

    def __prepare_scriptable__(self) -> Any:
        """TorchScript compiles the source of the plain ``forward``: torch.jit.script restores what it is given."""
        restore_class(self)
        return self


def deepcopy_by_attributes(self: Any, memo: dict[int, Any]) -> Any:
    """``copy.deepcopy`` of a module by its attributes, not by its pickle; what PyTorch's parametrizations do too."""
    if id(self) in memo:
        return memo[id(self)]
    replica = memo[id(self)] = self.__new__(type(self))
    replica.__dict__.update(copy.deepcopy(self.__dict__, memo))
    return replica


# For each plain class what stands in for it; weak, so that a class that somebody defines in a function can go.
_made: WeakKeyDictionary[type, WeakValueDictionary[type, type]] = WeakKeyDictionary()


def standing_in(plain: type, behavior: type[Accelerated]) -> type:
    """The class that stands in for ``plain``: ``behavior`` in front of it, under its name.

    The module it says it comes from is the plain class's as well, for tools that take layers of ``torch.nn`` as the
    units of a model (torch.fx's tracers).
    """
    made = _made.setdefault(plain, WeakValueDictionary())
    found = made.get(behavior)
    if found is None:
        names = ("__module__", "__qualname__", "__doc__")
        namespace = {name: getattr(plain, name) for name in names} | {"_plain_class": plain}
        found = made.setdefault(behavior, type(plain)(plain.__name__, (behavior, plain), namespace))
    return found


def plain_class(cls: type) -> type:
    """The class that ``cls`` stands in for; itself when it is a plain one."""
    if not issubclass(cls, Accelerated):
        return cls
    if "_plain_class" in cls.__dict__:
        return cls._plain_class
    # PyTorch made it of an accelerated one: a parametrization, fully_shard.
    return _on_other_bases(cls, tuple(plain_class(base) for base in cls.__bases__))


def accelerated_class(cls: type, behavior: type[Accelerated], injected: bool) -> type:
    """The class that stands in for ``cls``.

    Args:
        cls: a plain class.
        behavior: what it gets.
        injected: the class was made for its one module by a parametrization, which expects to find its own class
            when it goes: what it was made of is accelerated.
    """
    if injected:
        return _on_other_bases(cls, tuple(standing_in(base, behavior) for base in cls.__bases__))
    return standing_in(cls, behavior)


def _on_other_bases(cls: type, bases: tuple[type, ...]) -> type:
    namespace = {name: value for name, value in cls.__dict__.items() if name not in ("__dict__", "__weakref__")}
    # A parametrization forbids pickling, so copies need a way of their own; it had seen one in the accelerated class.
    if "__getstate__" in namespace and not any(hasattr(base, "__deepcopy__") for base in bases):
        namespace["__deepcopy__"] = deepcopy_by_attributes
    return type(cls)(cls.__name__, bases, namespace)


def restore_class(module: nn.Module) -> None:
    module.__class__ = plain_class(type(module))
