"""The `serve` section: address, allowed origins and limits."""

import re

from pydantic import Field, field_validator

from kotrans.config.sections import Section

_ORIGIN = re.compile(r"https?://[^/?#\s]+")


class ServeConfig(Section):
    """Where `kotrans serve` listens, and its limits."""

    host: str = "127.0.0.1"
    """Address to listen on; any but a loopback address needs a token."""
    port: int = Field(8000, ge=0, le=65_535)
    """Port; 0 takes a free one."""
    allowed_origins: tuple[str, ...] = ()
    """Origins of other pages that may use the service from a browser, such as `https://example.org`; `*` is all."""
    max_body: int = Field(1_000_000, ge=100)
    """Bytes of a request; more is answered 413."""
    max_sentences: int = Field(1024, ge=1)
    """Sentences of a request, counted after its texts are cut; more is answered 422."""
    max_characters: int = Field(2000, ge=1)
    """Characters of a line; more is answered 422."""
    max_beam: int = Field(20, ge=1, le=1000)
    """Beam of a request; more is answered 422."""
    max_weights: int = Field(1_000_000, ge=1)
    """Attention weights of an answer, computed from the longest translations possible; more is answered 422."""
    max_waiting: int = Field(20_480, ge=1)
    """Sentences times beam, of all clients, that wait for the model; a request that would make it more is answered
    503, and one that has more by itself 422."""
    max_seconds: float = Field(30.0, gt=0, le=3600)
    """Until a request has come (else 408), from then until it is translated (else 504), and for a client to take the
    answer."""
    max_head_seconds: float = Field(10.0, gt=0, le=3600)
    """From the opening of a connection until the head of its first request has come (else 408)."""
    max_connections: int = Field(512, ge=4)
    """Connections; one more closes the oldest that has no request, else it is answered 503. Fewer where the limit of
    open files is lower."""
    max_memory: int = Field(1_000_000_000, ge=10_000_000)
    """Bytes that a process may take for all that it translates at the same time, beyond the model; what does not fit
    waits, and what can never fit is answered 422."""

    @field_validator("allowed_origins")
    @classmethod
    def are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is not an origin; write scheme and host, such as https://example.org")
        return origins
