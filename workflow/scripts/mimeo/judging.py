"""Which epoch of a training is kept where it is not the last: that which a judge values most.

Of equals the last is kept, as in the official code of Knockoff Nets. The judge is a callable on the network. What it
looks at, this module and the training do not know.
"""

from collections.abc import Callable, Mapping

from mimeo.startup import nn, torch


class Judge:
    """Values a network after every epoch and keeps the weights that it values most.

    Args:
        value: of a network in evaluation mode, on the device on which it is trained; more is better. It draws nothing
            at random, so that a training goes the same way with a judge and without.

    Attributes:
        values: one an epoch.
        weights: those of the epoch kept so far; none once the network has them.
        end: those of the last epoch, once the network has others.
    """

    def __init__(self, value: Callable[[nn.Module], float]) -> None:
        self.value = value
        self.values: list[float] = []
        self.weights: dict[str, torch.Tensor] = {}
        self.end: dict[str, torch.Tensor] = {}

    @property
    def epoch(self) -> int:
        """The epoch that is kept, counted from 1; 0 where there was none."""
        return max(range(len(self.values)), key=lambda place: (self.values[place], place)) + 1 if self.values else 0

    def look(self, network: nn.Module, epoch: int) -> None:
        """Values a network in training after an epoch, counted from 1; one taken up after its end has been valued."""
        if len(self.values) >= epoch:
            return
        network.eval()
        self.values.append(float(self.value(network)))
        network.train()
        if self.epoch == epoch:
            self.weights = _copied(network)

    def settle(self, network: nn.Module) -> None:
        """Gives the network the weights of the epoch that is kept, at the end of its training."""
        if self.weights:
            self.end = _copied(network)
            network.load_state_dict(self.weights)
            self.weights = {}

    def put_back(self, values: list[float], weights: Mapping[str, torch.Tensor]) -> None:
        """Goes on from the values and weights of a training that was stopped."""
        self.values, self.weights = list(values), dict(weights)


def _copied(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
