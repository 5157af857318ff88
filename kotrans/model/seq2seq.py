"""The whole translation model: embeddings, encoder, decoder and softmax.

Shape key: B sentences, S source positions, T target steps, E embedding width, O width of the softmax input, V target
pieces.
"""

from torch import Tensor, nn

from kotrans.model.decoder import Decoder, DecoderState, EncodedSource
from kotrans.model.dropout import Dropout, WordDropout
from kotrans.model.encoder import Encoder, LoopedRecurrence
from kotrans.model.lexical import LexicalSoftmax


class Seq2Seq(nn.Module):
    """Encoder-decoder for translation; computes all steps of teacher forcing at once.

    Equation: p(y_i | y_<i, x) = softmax(W_o t_i + b), with t_i the deep output of the decoder

    Search computes one step at a time with `IncrementalDecoder`.
    """

    def __init__(
        self, source_embedding: nn.Embedding, target_embedding: nn.Embedding, encoder: Encoder, decoder: Decoder,
        *, tie_softmax: bool, embedding_dropout: float, source_word_dropout: float, target_word_dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.source_embedding = source_embedding
        self.target_embedding = target_embedding
        self.encoder = encoder
        self.decoder = decoder
        deep = nn.Linear(decoder.deep_output.out_features, target_embedding.num_embeddings)
        if tie_softmax:
            deep.weight = target_embedding.weight
        self.softmax: nn.Linear | LexicalSoftmax = deep
        if decoder.lexical is not None:
            self.softmax = LexicalSoftmax(deep, source_embedding.embedding_dim)
        self.embedding_dropout = Dropout(embedding_dropout)
        self.source_word_dropout = WordDropout(source_word_dropout)
        self.target_word_dropout = WordDropout(target_word_dropout)

    def forward(self, source: Tensor, mask: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns logits (B, T, V) and attention weights (B, T, S) or None.

        source (B, S) ids ending with EOS, mask (B, S) true on real pieces, inputs (B, T) = BOS y_1 … y_{T-1}.
        """
        output, weights = self.output(source, mask, inputs)
        return self.softmax(output), weights

    def output(self, source: Tensor, mask: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns the softmax input (B, T, O) and attention weights (B, T, S) or None; arguments as in `forward`."""
        output, _, weights = self.decoder(*self.start(source, mask), self._embed_target(inputs))
        return output, weights

    def train_by_plain_steps(self, plain: bool) -> None:
        """Sets whether autograd differentiates the equations, instead of the hand-written backward passes."""
        for module in self.modules():
            if isinstance(module, Decoder | LoopedRecurrence):
                module.plain = plain

    def start(self, source: Tensor, mask: Tensor) -> tuple[EncodedSource, DecoderState]:
        """Encodes source (B, S), mask (B, S); returns it as the decoder reads it, and the state before step 1."""
        embedded = self.source_word_dropout(self.embedding_dropout(self.source_embedding(source)))  # (B, S, E)
        return self.decoder.start(self.encoder(embedded, mask))

    def _embed_target(self, ids: Tensor) -> Tensor:
        return self.target_word_dropout(self.embedding_dropout(self.target_embedding(ids)))  # (B, T, E)
