"""All that a training changes as it goes on, as named tensors: with them put back it goes on bit for bit."""

from collections.abc import Mapping

from mimeo.startup import nn, torch


def state_of(
    network: nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """Weights and buffers, the optimiser's state, and the random generators': the training's own and PyTorch's.

    Not copied: the tensors change as the training goes on.
    """
    found = {f"network/{name}": tensor for name, tensor in network.state_dict().items()}
    for index, weight in enumerate(_weights(optimizer)):
        state = optimizer.state.get(weight, {})
        found |= {f"optimizer/{index}/{name}": value for name, value in state.items() if torch.is_tensor(value)}
    found |= {"random/own": generator.get_state(), "random/cpu": torch.get_rng_state()}
    if next(network.parameters()).is_cuda:
        found["random/cuda"] = torch.cuda.get_rng_state()
    return found


def put_back(
    state: Mapping[str, torch.Tensor],
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
) -> None:
    """Copies ``state_of`` another run of the same training into this one, whose optimiser has made no step.

    Args:
        network: on its device, in its memory format.
    """
    network.load_state_dict({name: state[f"network/{name}"] for name in network.state_dict()})
    weights = _weights(optimizer)
    for name in [name for name in state if name.startswith("optimizer/")]:
        _, index, what = name.split("/")
        weight, value = weights[int(index)], state[name]
        # Laid out as the weight is: fused optimisers go through both in the order in which they lie in memory.
        like = weight.detach() if value.shape == weight.shape else value
        optimizer.state[weight][what] = torch.empty_like(like, dtype=value.dtype, device=weight.device).copy_(value)
    generator.set_state(state["random/own"])
    torch.set_rng_state(state["random/cpu"])
    if "random/cuda" in state:
        torch.cuda.set_rng_state(state["random/cuda"])


def _weights(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [weight for group in optimizer.param_groups for weight in group["params"]]
