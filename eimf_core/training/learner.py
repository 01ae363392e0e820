"""What is learned, and how a gradient moves it: backbone, item table, adapter and their optimisers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from eimf_core.errors import ConfigError
from eimf_core.models import registry
from eimf_core.models.layers import linear
from eimf_core.models.shape import Shape
from eimf_core.training.config import TrainConfig
from eimf_core.training.item_embeddings import ItemTable
from eimf_core.training.optimiser import RowAdam
from eimf_core.training.process_group import ALONE, Group


class Learner:
    """Backbone, item table and, with labels, the adapter g from text space (D) to item space (d).

    The same settings and generator give the same start. `features`: how many item features there are, `events`
    how many kinds of behaviour.
    """

    def __init__(
        self, settings: TrainConfig, table: ItemTable, text_dimension: int | None, generator: torch.Generator,
        *, features: int = 0, events: int = 0,
    ) -> None:  # fmt: skip
        shape = Shape(
            dimension=settings.dimension,
            interests=registry.interests_of(settings.backbone, settings.interests),
            max_length=settings.max_length,
            dropout=settings.dropout,
            features=features,
            events=events,
        )
        self.backbone = registry.build(settings.backbone, shape, generator, settings.hyperparameters)
        self.table = table
        self.adapter = linear(text_dimension, settings.dimension, generator) if text_dimension else None
        self.generator = generator
        parts = {"backbone": self.backbone, "table": table, "adapter": self.adapter}
        self._modules = nn.ModuleDict({name: part for name, part in parts.items() if part is not None})
        self._dense = [parameter for parameter in self._modules.parameters() if parameter.requires_grad]
        self._max_norm, self._rate = settings.max_gradient_norm, settings.learning_rate
        self._dense_optimiser = torch.optim.Adam(self._dense, lr=settings.learning_rate) if self._dense else None
        self._row_optimiser = RowAdam(table.weight, rate=settings.learning_rate)

    @property
    def device(self) -> torch.device:
        return self.table.weight.device

    def move(self, device: torch.device) -> None:
        """Go on there. The optimisers of item vectors go along, the generator of dropout starts afresh."""
        if device == self.device:
            return
        self._modules.to(device)
        self._row_optimiser.move(self.table.weight)
        self.generator = torch.Generator(device)
        for module in self._modules.modules():
            if isinstance(getattr(module, "generator", None), torch.Generator):
                module.generator = self.generator  # type: ignore[assignment]

    def apply(self, loss: Tensor, rows: Tensor, leaf: Tensor, group: Group = ALONE) -> float:
        """Take the gradient of a loss, clip it, move everything.

        Args:
            loss: a scalar.
            rows: of the table that it was computed from, (R,).
            leaf: of these rows, (R, d).
            group: the processes over which the gradient is summed.

        Returns:
            The norm of the gradient before clipping.

        Raises:
            ConfigError: the gradient is not finite; nothing is moved then.
        """
        for parameter in self._dense:
            parameter.grad = None
        torch.autograd.backward(loss)
        gradient = leaf.grad if leaf.grad is not None else torch.zeros_like(leaf)
        gradient[rows == 0] = 0.0
        gradients = [gradient, *(parameter.grad for parameter in self._dense if parameter.grad is not None)]
        group.all_reduce(gradients)
        norm = torch.stack([part.norm() for part in gradients]).norm()
        if not torch.isfinite(norm):
            raise ConfigError("the loss is no longer a finite number; train again with a smaller --learning-rate")
        if self._max_norm and norm > self._max_norm:
            torch._foreach_mul_(gradients, float(self._max_norm / norm))
        if self._dense_optimiser is not None:
            self._dense_optimiser.step()
        self._row_optimiser.step(rows, gradient)
        return float(norm)

    def set_rate(self, factor: float) -> None:
        """Take steps of so many times the configured size from here on."""
        rate = factor * self._rate
        self._row_optimiser.rate = rate
        if self._dense_optimiser is not None:
            for group in self._dense_optimiser.param_groups:
                group["lr"] = rate

    def weights(self) -> dict[str, Tensor]:
        """Everything that is learned.

        Returns:
            Tensors by name.
        """
        return dict(self._modules.state_dict())

    def digest(self) -> int:
        """A checksum of everything that is learned, from 0 to 2^64 - 1."""
        total = 0
        for value in self.weights().values():
            bits = value.detach().reshape(max(1, len(value)) if value.dim() else 1, -1).contiguous().view(torch.int32)
            rows = bits.sum(dim=1, dtype=torch.int64)
            # by place, so that rows that changed places are noticed
            rows *= torch.arange(1, len(rows) + 1, device=rows.device)
            total = 31 * total + int(rows.sum())
        return total % (1 << 64)

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take over what `weights` gave.

        Args:
            weights: tensors by name.
        """
        self._modules.load_state_dict(dict(weights))

    def state(self) -> dict[str, Tensor]:
        """Weights and optimisers: all that a checkpoint needs to resume bit by bit.

        Returns:
            Tensors by name.
        """
        state = {f"weights.{name}": value for name, value in self.weights().items()}
        state |= {f"rows.{name}": value for name, value in self._row_optimiser.state().items()}
        if self._dense_optimiser is not None:
            for number, moments in self._dense_optimiser.state_dict()["state"].items():
                state |= {f"dense.{number}.{name}": value for name, value in moments.items()}
        return state

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave.

        Args:
            state: tensors by name.
        """
        prefix = "weights."
        self.load_weights({name[len(prefix) :]: state[name] for name in state if name.startswith(prefix)})
        for name, value in self._row_optimiser.state().items():
            value.copy_(state[f"rows.{name}"])
        if self._dense_optimiser is not None:
            moments: dict[int, dict[str, Any]] = {}
            for name in state:
                kind, _, rest = name.partition(".")
                if kind == "dense":
                    number, _, moment = rest.partition(".")
                    moments.setdefault(int(number), {})[moment] = state[name]
            groups = self._dense_optimiser.state_dict()["param_groups"]
            self._dense_optimiser.load_state_dict({"state": moments, "param_groups": groups})
