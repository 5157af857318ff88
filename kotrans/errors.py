"""The exceptions that are shown to users. A message gives the location, the problem and the remedy."""


class KotransError(Exception):
    """A problem that the user can fix. The command line prints it on one line and exits with status 1.

    Any other exception that escapes is a bug in kotrans and keeps its traceback.
    """


class UsageError(KotransError):
    """Options of a command that are invalid or exclude each other. The exit status is 2."""


class ConfigError(KotransError):
    """A setting that is unknown, of the wrong type, out of bounds, or incompatible with another one."""


class DataError(KotransError):
    """A corpus or text file that is missing, damaged or empty, or whose two sides differ in length."""


class FetchError(KotransError):
    """A public corpus that could not be downloaded, or whose content is not as expected."""


class ModelError(KotransError):
    """A sentence that does not fit the model, or models that cannot be combined."""


class CheckpointError(KotransError):
    """A run or checkpoint that is missing, damaged, or unsuitable for the operation."""


class DamagedError(CheckpointError):
    """A checkpoint with a file that is missing or whose hash differs from the recorded one.

    A file that exists but cannot be read at the moment (permissions, a network drive) is not damaged.
    """


class TrainingError(KotransError):
    """Training cannot continue: the loss is not finite, or memory or disk space has run out."""


class PeerError(TrainingError):
    """Training cannot continue because another process of the same training has ended."""
