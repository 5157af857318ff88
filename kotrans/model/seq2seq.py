"""Source in, target out: embeddings, encoder, decoder and softmax together.

Shape key: B sentences, S source positions, T target steps, E embedding width, V target pieces.
"""

from torch import Tensor, nn

from kotrans.model.decoder import Decoder, DecoderState, EncodedSource
from kotrans.model.dropout import Dropout, WordDropout
from kotrans.model.encoder import Encoder, LoopedRecurrence
from kotrans.model.lexical import LexicalSoftmax


class Seq2Seq(nn.Module):
    """p(y_i | y_<i, x) for every step at once; a search takes the steps one by one with `SearchModel`."""

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
        """Teacher forcing: logits (B, T, V) and attention weights (B, T, S) or None.

        source (B, S) ids ending with EOS, mask (B, S) true on real pieces, inputs (B, T) = BOS y_1 … y_{T-1}.
        """
        output, weights = self.output(source, mask, inputs)
        return self.softmax(output), weights

    def output(self, source: Tensor, mask: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """The same before the softmax: what it reads (B, T, O), and the attention weights."""
        output, _, weights = self.decoder(*self.start(source, mask), self._embed_target(inputs))
        return output, weights

    def train_by_plain_steps(self, plain: bool) -> None:
        """Whether the decoder and its like train by the readable steps instead of the pass written by hand."""
        for module in self.modules():
            if isinstance(module, Decoder | LoopedRecurrence):
                module.plain = plain

    def start(self, source: Tensor, mask: Tensor) -> tuple[EncodedSource, DecoderState]:
        """Encodes source (B, S): what each step reads of it, and the state before the first step."""
        embedded = self.source_word_dropout(self.embedding_dropout(self.source_embedding(source)))  # (B, S, E)
        return self.decoder.start(self.encoder(embedded, mask))

    def _embed_target(self, ids: Tensor) -> Tensor:
        return self.target_word_dropout(self.embedding_dropout(self.target_embedding(ids)))  # (B, T, E)
