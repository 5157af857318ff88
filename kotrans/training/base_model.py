"""The model that a training starts from (`kotrans train --from`): its tokenizer, its shapes and its weights."""

from kotrans.config.schema import Config
from kotrans.config.sections import Section
from kotrans.errors import ConfigError

_INHERITED = ("tokenizer", "embeddings", "encoder", "attention", "decoder")
_FREE = frozenset({"tokenizer.sampling"})  # changes neither vocabulary nor shapes


def with_shapes_of(config: Config, base: Config, name: str) -> Config:
    """Returns the config with the tokenizer and the shapes of a base model.

    Raises ConfigError if the config sets one of them to another value. name: of the base model, for messages.
    """
    return config.model_copy(
        update={section: _inherited(section, getattr(config, section), getattr(base, section), name)
                for section in _INHERITED}
    )  # fmt: skip


def _inherited(section: str, own: Section, base: Section, name: str) -> Section:
    free = {}
    for key in own.model_fields_set:
        setting, mine, theirs = f"{section}.{key}", getattr(own, key), getattr(base, key)
        if setting in _FREE:
            free[key] = mine
        elif mine != theirs:
            raise ConfigError(
                f"{setting} is {mine}, but {theirs} in {name}, from which training starts; leave it out, or train "
                "without --from"
            )
    return base.model_copy(update=free)
