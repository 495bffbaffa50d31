"""Clients of model providers: the official ``openai`` package, set up as the home's configuration says.

The package is imported when the first model call is made, beside the loop (it takes half a second). It retries nothing
by itself and reads no variable of the environment that Codex does not read: what is asked for, and how often, is
decided here.
"""

from __future__ import annotations

import asyncio
import os
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from threadkeep._version import __version__
from threadkeep.appserver._config_values import ConfigProblem
from threadkeep.appserver.engine._errors import answered_with
from threadkeep.appserver.engine._protocol import EngineFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from openai import AsyncOpenAI, Omit

    from threadkeep.appserver._config import Provider

__all__ = ["Clients", "Endpoint"]

MAX_CLIENTS: Final = 32
"""Clients that are kept for the next call; the oldest is let go of."""
MAX_REFUSAL: Final = 1024 * 1024
"""Bytes that are read of an answer that says no."""
CONNECT_SECONDS: Final = 30.0
"""Longest time that making a connection takes."""
_NO_KEY: Final = "none"
"""What the package is given for a key where there is none: it wants one, and is told not to send it."""
_VALUE: Final = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?")
"""What the value of a header may be."""
NAME: Final = "threadkeep"
"""What calls itself so in ``originator`` and ``user-agent``."""


class Endpoint(NamedTuple):
    """Where calls go.

    Attributes:
        client: It makes them.
        headers: What each call has to say about headers beside its own: without a key, that none is sent.
    """

    client: AsyncOpenAI
    headers: dict[str, str | Omit]


class Clients:
    """The clients of one engine, one for each provider and key.

    Args:
        environ: The environment that keys and headers are taken from; None for the process's own.
        stored_key: Gives the home's own key, for providers that want it.
    """

    def __init__(
        self, environ: Mapping[str, str] | None = None, stored_key: Callable[[], str | None] | None = None
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self._stored_key = stored_key
        self._endpoints: dict[bytes, Endpoint] = {}

    async def of(self, provider: Provider) -> Endpoint:
        """Where a provider is called.

        Raises:
            EngineFailure: Its key is not there, nobody knows where it is, or the package is not installed.
        """
        if provider.base_url is None:
            raise EngineFailure(f"provider {provider.id} has no base_url: threadkeep cannot call it")
        stored = None
        if self._stored_key is not None and provider.requires_openai_auth:
            stored = await asyncio.to_thread(self._stored_key)  # it reads files
        try:
            key = provider.key(self._environ, stored)
        except ConfigProblem as problem:
            raise EngineFailure(str(problem)) from None
        headers = provider.headers(self._environ)
        for name, value in {"Authorization": key or "", **headers}.items():
            if not _VALUE.fullmatch(value):  # who tries to send it is told its value, which may be a secret
                raise EngineFailure(f"the value of the header {name} for provider {provider.id} cannot be sent")
        known_by = msgspec.json.encode((provider, key, headers))
        endpoint = self._endpoints.get(known_by)
        if endpoint is None:
            made = await asyncio.to_thread(_new_endpoint, provider, provider.base_url, key, headers)
            if len(self._endpoints) >= MAX_CLIENTS:
                del self._endpoints[next(iter(self._endpoints))]
            endpoint = self._endpoints.setdefault(known_by, made)
        return endpoint

    async def close(self) -> None:
        """Close all connections."""
        endpoints = list(self._endpoints.values())
        self._endpoints.clear()
        for endpoint in endpoints:
            await endpoint.client.close()


def _new_endpoint(provider: Provider, base_url: str, key: str | None, headers: Mapping[str, str]) -> Endpoint:
    try:
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Omit, Timeout
    except ModuleNotFoundError:
        raise EngineFailure("model calls need the openai package: pip install 'threadkeep[server]'") from None

    mine: dict[str, str | Omit] = {
        "OpenAI-Organization": Omit(),
        "OpenAI-Project": Omit(),
        "User-Agent": f"{NAME}/{__version__}",
        "originator": NAME,
    }
    said = {name.lower() for name in headers}
    merged = {**{name: value for name, value in mine.items() if name.lower() not in said}, **headers}
    try:
        urlsplit(base_url).port  # noqa: B018 - the package looks at it when it connects
        client = AsyncOpenAI(
            api_key=key or _NO_KEY,
            base_url=base_url,
            default_headers=merged,  # type: ignore[arg-type] # it takes what takes a header away, too
            default_query=dict(provider.query_params),
            max_retries=0,
            timeout=Timeout(max(provider.stream_idle_timeout_ms, 1) / 1000, connect=CONNECT_SECONDS),
            http_client=DefaultAsyncHttpxClient(event_hooks={"response": [_check]}),
        )
    except Exception:  # noqa: BLE001 - of a kind of its own; its text tells the address, which may hold a secret
        raise EngineFailure(
            f"provider {provider.id} cannot be called: its base_url, or a proxy of the environment, is no address"
        ) from None
    unsent: dict[str, str | Omit] = {} if key or "authorization" in said else {"Authorization": Omit()}
    return Endpoint(client, unsent)


async def _check(response: Any) -> None:
    """Look at a response before anybody reads it: of an answer that says no, only a beginning is read.

    Raises:
        CallFailed: It says no.
    """
    if response.is_success or response.has_redirect_location:
        return
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) >= MAX_REFUSAL:
            break
    raise answered_with(response.status_code, response.headers, body.decode(errors="replace"), str(response.url))
