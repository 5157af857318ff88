"""Everything that may reach the user as a message; each says where, what, and what to do."""


class KotransError(Exception):
    """A problem the user can fix. The command line prints it in one line and exits 1.

    Anything else that escapes is a bug of ours and keeps its traceback.
    """


class UsageError(KotransError):
    """The command was called with options that do not go together; exits 2."""


class ConfigError(KotransError):
    """A setting is unknown, of the wrong type, out of bounds or impossible with another one."""


class DataError(KotransError):
    """A corpus or text file is missing, damaged, unequal or empty."""


class FetchError(KotransError):
    """A public corpus could not be downloaded or is not what it should be."""


class ModelError(KotransError):
    """A sentence does not fit a model, or models do not fit each other."""


class CheckpointError(KotransError):
    """A run or checkpoint is missing, damaged, or does not fit what is asked of it."""


class DamagedError(CheckpointError):
    """A checkpoint or one of its files is missing, or has another hash than the one that was written.

    A file that is there but cannot be read now (permissions, a network drive) is no damage.
    """


class TrainingError(KotransError):
    """Training cannot go on: the loss is not finite, memory is used up, the disk is full."""


class PeerError(TrainingError):
    """Training cannot go on because another of its processes has ended."""
