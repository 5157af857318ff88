"""The lexical model: what the source pieces looked at say themselves, on a short way to the softmax.

Shape key: B sentences, K decoder states that look at one sentence, S source positions, E embedding width, O width of
the deep output, V target pieces.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from kotrans.model.dropout import Dropout
from kotrans.model.kernels.products import Linear


class Lexical(nn.Module):
    """l_i = tanh(sum_j alpha_ij f_j), h_i = tanh(W l_i) + l_i, with f_j the embedding of source piece j.

    (Nguyen and Chiang 2018, "Improving Lexical Choice in Neural Machine Translation", arXiv 1710.01329, section 4.)
    """

    def __init__(self, size: int, *, dropout: float) -> None:
        super().__init__()
        self.hidden = Linear(size, size, bias=False)  # W
        self.dropout = Dropout(dropout)

    def forward(self, weights: Tensor, embedded: Tensor) -> Tensor:
        """h_i (B, K, E) of the weights (B, K, S) over the embedded source (B, S, E)."""
        looked = torch.tanh(torch.bmm(weights.to(embedded.dtype), embedded))  # (B, K, E)
        return self.dropout(torch.tanh(self.hidden(looked)) + looked)


class LexicalSoftmax(nn.Module):
    """Logits W t_i + W_L h_i + b of the deep output t_i and h_i; the biases of both are one.

    It takes them side by side, as a softmax of its own `weight` [W ; W_L] would.
    """

    def __init__(self, deep: nn.Linear, size: int) -> None:
        """deep (O to V) is the softmax that there is without the lexical model; size is E."""
        super().__init__()
        self.deep = deep
        self.lexical = nn.Linear(size, deep.out_features, bias=False)  # W_L

    @property
    def weight(self) -> Tensor:
        """(V, O+E), made anew at each call."""
        return torch.cat([self.deep.weight, self.lexical.weight], dim=1)

    @property
    def bias(self) -> Tensor:
        """(V,)"""
        return self.deep.bias

    def forward(self, output: Tensor) -> Tensor:
        """Logits (..., V) of output (..., O+E)."""
        deep, lexical = output.split([self.deep.in_features, self.lexical.in_features], dim=-1)
        return self.deep(deep) + functional.linear(lexical, self.lexical.weight)
