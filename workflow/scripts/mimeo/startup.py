"""Imports torch quickly. Stages are short, so start-up counts: this takes a third of the time of a plain import.

* Garbage collection is paused: the import makes some million objects that live as long as the process, which the
  collector would walk again and again, and once more at exit. Frozen, they are left alone.
* Optimisers are kept from importing the compiler (torch._dynamo, longer than torch itself) when they are made, merely
  to be told that they shall not be compiled. Nothing here is compiled.
"""

import gc

gc.disable()
import torch  # noqa: E402

gc.freeze()
gc.enable()

from torch import nn  # noqa: E402

__all__ = ["nn", "torch"]

for _method in vars(torch.optim.Optimizer).values():
    if hasattr(_method, "__wrapped__"):  # where torch._disable_dynamo keeps the function it has wrapped
        _method.__wrapped__.__dynamo_disable = _method.__wrapped__
