"""Validation during training: perplexity of the dev references and BLEU of the model's translations."""

import math
from typing import Any

import torch

from kotrans.config.schema import Config
from kotrans.data.batching import Batch, plan_in_order
from kotrans.data.dataset import Dataset
from kotrans.data.stages import PreparedData
from kotrans.data.tokenizer import PAD
from kotrans.engine.model_weights import ModelWeights
from kotrans.engine.onnx_engine import OnnxEngine
from kotrans.engine.stepper import Stepper
from kotrans.engine.torch_engine import TorchEngine
from kotrans.errors import DataError, TrainingError
from kotrans.evaluation.metrics import bleu
from kotrans.model.loss import training_loss
from kotrans.model.seq2seq import Seq2Seq
from kotrans.parallel.distributed import ALONE, World
from kotrans.text.normalization import normalize
from kotrans.training.events import DevFigures, Sample
from kotrans.translation.translator import Translator


class Validation:
    """Measures models on the dev split."""

    def __init__(
        self, prepared: PreparedData, config: Config, device: torch.device, precision: str, world: World = ALONE
    ) -> None:
        """Raises DataError if the dev split has no pair with two sides."""
        self.dataset = Dataset.open(prepared.dataset, "dev")
        if not len(self.dataset):
            raise DataError(
                f"{prepared.corpus.folder}: the dev split has no pair with both sides; validation needs at least one"
            )
        dev = prepared.corpus.split("dev")
        kept = slice(config.validation.sentences)
        self.sources, self.references = dev.source[kept], [normalize(line) for line in dev.target[kept]]
        self.tokenizer = prepared.tokenizer
        self.config = config
        self.device = device
        self.precision = precision
        self.world = world

    def __call__(self, model: Seq2Seq) -> DevFigures:
        """Returns the perplexity of the whole split, and BLEU and samples of `validation.sentences`, on every rank.

        Raises TrainingError if the perplexity is not finite.
        """
        perplexity = self.perplexity(model)
        if not math.isfinite(perplexity):
            raise TrainingError("the dev perplexity is not finite; lower training.learning_rate")
        config = self.config.search.model_copy(update={"beam": self.config.validation.beam})
        threads = torch.get_num_threads() if self.device.type == "cpu" else 1
        translator = Translator(
            self._engine(model), self.tokenizer, config, max_pieces=self.config.batches.max_pieces,
            passes_through=self.config.passes_through, threads=threads,
        )  # fmt: skip
        translations = translator.translations(self.sources[self.world.share], split_sentences=config.splits_pairs)
        hypotheses = self.world.collect([translation.text for translation in translations])
        return self.world.from_leader(
            lambda: DevFigures(perplexity, bleu(hypotheses, self.references), self._samples(hypotheses))
        )

    def _engine(self, model: Seq2Seq) -> Stepper[Any]:
        if self.device.type != "cpu" or self.config.hardware.engine == "torch":
            return TorchEngine([model])
        weights = {name: weight.detach().numpy() for name, weight in model.named_parameters()}
        return OnnxEngine(
            [ModelWeights(weights, self.config, self.config.name)], self.tokenizer.source.size,
            self.tokenizer.target.size,
        )  # fmt: skip

    def perplexity(self, model: Seq2Seq) -> float:
        """Returns exp of the mean negative log-likelihood per target piece, EOS included."""
        lengths = self.dataset.source_lengths, self.dataset.target_lengths
        own = []
        for rows in plan_in_order(*lengths, self.config.batches.tokens)[self.world.share]:
            batch = Batch.of([self.dataset.source(i) for i in rows], [self.dataset.target(i) for i in rows])
            batch = batch.to(self.device)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
                loss = training_loss(
                    model, batch.source, batch.source_mask, batch.inputs, batch.labels, pad_id=PAD, smoothing=0
                )
            own.append((loss.nll.item(), batch.target_tokens))
        nlls, tokens = zip(*self.world.collect(own), strict=True)
        return math.exp(min(sum(nlls) / sum(tokens), 700))

    def _samples(self, hypotheses: list[str]) -> tuple[Sample, ...]:
        """Returns translations of a fixed set of sentences, spread evenly over the split."""
        count = min(self.config.validation.samples, len(hypotheses))
        rows = [(2 * i + 1) * len(hypotheses) // (2 * count) for i in range(count)]
        return tuple(Sample(self.sources[i], self.references[i], hypotheses[i]) for i in rows)
