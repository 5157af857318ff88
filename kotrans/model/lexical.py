"""The lexical model: predicts target pieces from the attended source embeddings, on a short path to the softmax.

Shape key: B sentences, K decoder states per sentence, S source positions, E embedding width, O width of the deep
output, V target pieces.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from kotrans.model.dropout import Dropout
from kotrans.model.kernels.products import Linear


class LexicalModel(nn.Module):
    """Lexical vector of a decoder step (Nguyen and Chiang 2018, arXiv 1710.01329, section 4).

    Equations, with f_j the embedding of source piece j:
        weighted embedding  l_i = tanh(Σ_j α_ij f_j)
        lexical vector      h_i = tanh(W l_i) + l_i
    """

    def __init__(self, size: int, *, dropout: float) -> None:
        super().__init__()
        self.hidden = Linear(size, size, bias=False)  # W
        self.dropout = Dropout(dropout)

    def forward(self, weights: Tensor, embedded: Tensor) -> Tensor:
        """Returns h_i (B, K, E) for weights (B, K, S) over the embedded source (B, S, E)."""
        mean = torch.tanh(torch.bmm(weights.to(embedded.dtype), embedded))  # (B, K, E) l_i
        return self.dropout(torch.tanh(self.hidden(mean)) + mean)


class LexicalSoftmax(nn.Module):
    """Softmax layer over the deep output t_i and the lexical vector h_i.

    Equation: logits_i = W_o t_i + W_L h_i + b

    It reads [t_i ; h_i], so that it can replace a linear layer with the weight [W_o, W_L].
    """

    def __init__(self, deep: nn.Linear, size: int) -> None:
        """deep (O to V) is the softmax layer of the deep output; size is E."""
        super().__init__()
        self.deep = deep
        self.lexical = nn.Linear(size, deep.out_features, bias=False)  # W_L

    @property
    def weight(self) -> Tensor:
        """[W_o, W_L] (V, O+E), concatenated at each call."""
        return torch.cat([self.deep.weight, self.lexical.weight], dim=1)

    @property
    def bias(self) -> Tensor:
        """b (V,)."""
        return self.deep.bias

    def forward(self, output: Tensor) -> Tensor:
        """Returns logits (..., V) of output (..., O+E)."""
        deep, lexical = output.split([self.deep.in_features, self.lexical.in_features], dim=-1)
        return self.deep(deep) + functional.linear(lexical, self.lexical.weight)
