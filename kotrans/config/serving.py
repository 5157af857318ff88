"""The section of `kotrans serve`: where it listens, what it batches, and what it takes at most."""

from pydantic import Field

from kotrans.config.sections import Section


class ServeConfig(Section):
    """Where `kotrans serve` listens, and its limits."""

    host: str = "127.0.0.1"
    """Address to listen on; any but a loopback address needs a token."""
    port: int = Field(8000, ge=0, le=65_535)
    """Port; 0 takes a free one."""
    max_body: int = Field(1_000_000, ge=100)
    """Bytes of a request; more is answered 413."""
    max_sentences: int = Field(256, ge=1)
    """Sentences of a request, of which more than `max_waiting` are never taken; more is answered 422."""
    max_characters: int = Field(2000, ge=1)
    """Characters of a sentence; more is answered 422."""
    max_beam: int = Field(20, ge=1, le=1000)
    """Beam of a request; more is answered 422."""
    max_waiting: int = Field(1024, ge=1)
    """Sentences of all clients that wait for the model; a request that would make it more is answered 503."""
    max_seconds: float = Field(30.0, gt=0, le=3600)
    """Until a request has come (else 408), and from then until it is translated (else 504)."""

    @property
    def most_sentences(self) -> int:
        """Of a request: more than may wait could never be taken."""
        return min(self.max_sentences, self.max_waiting)
