"""A real server in a thread of the test, with a translator that returns lines unchanged."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import httpx

from kotrans.config.sections import ServeConfig
from kotrans.serve.application import build_app
from kotrans.serve.server import host_names, listen, server_of, url
from kotrans.serve.worker import LocalWorker, TranslationWorker
from tests.held_translator import SECONDS, Held

MEMORY = 100_000_000


@contextmanager
def light_service(
    *, token: str | None = None, start: Callable[[], TranslationWorker] | None = None, held: Held | None = None,
    **settings: object,
) -> Iterator[str]:  # fmt: skip
    """Runs a service inside the block, and yields its URL."""
    if held is None:
        held = Held()
        held.held.let_go()
    config, ready = ServeConfig.model_validate({"port": 0, **settings}), threading.Event()
    with listen(config) as listening:
        app = build_app(
            start or partial(LocalWorker, held, MEMORY), held, "held", config,
            threads=1, token=token, hosts=host_names(listening, config.host), on_ready=ready.set,
        )  # fmt: skip
        server = server_of(app, config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            assert start is not None or ready.wait(SECONDS)
            yield url(listening)
        finally:
            server.should_exit = True
            thread.join()


def client(url: str, **headers: str) -> httpx.Client:
    """Returns a client that ignores proxy settings."""
    return httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=60)
