"""Model providers: where a model is called, and with what key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.appserver._config_types import PROVIDER
from threadkeep.appserver._config_values import ConfigProblem

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BUILT_IN", "Provider", "built_in_providers", "provider_of"]

BUILT_IN: Final = ("openai", "amazon-bedrock", "ollama", "lmstudio")
"""Ids of the providers that need no table; only Bedrock's may be changed by one."""

MAX_RETRIES: Final = 100
"""The most retries that a configuration can ask for."""


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """A model provider.

    Attributes:
        id: Its id in the configuration.
        name: Its name for people; also what decides whether Codex sends it OpenAI's extras.
        base_url: Where its API is; None where that is not known (Bedrock).
        env_key: The variable of the environment that holds its key.
        env_key_instructions: How to get a key, for people.
        experimental_bearer_token: The key itself, where somebody wrote it into the configuration.
        http_headers: Headers of every request.
        env_http_headers: Headers whose values are variables of the environment.
        query_params: Members of every request's query.
        request_max_retries: How often a request is tried again.
        stream_max_retries: How often a stream that broke is begun again.
        stream_idle_timeout_ms: How long a stream may be silent, in milliseconds.
        wire_api: ``responses``; there is no other in 0.169.
        requires_openai_auth: Whether the key is the home's own (``auth.json``).
        supports_websockets: Whether Codex would speak WebSocket to it.
    """

    id: str
    name: str
    base_url: str | None = None
    env_key: str | None = None
    env_key_instructions: str | None = None
    experimental_bearer_token: str | None = None
    http_headers: dict[str, str] = {}
    env_http_headers: dict[str, str] = {}
    query_params: dict[str, str] = {}
    request_max_retries: int = 4
    stream_max_retries: int = 5
    stream_idle_timeout_ms: int = 300_000
    wire_api: str = "responses"
    requires_openai_auth: bool = False
    supports_websockets: bool = False

    def key(self, environ: Mapping[str, str], stored: str | None = None) -> str | None:
        """The key that it is called with; None where it is called without.

        Args:
            environ: The environment.
            stored: The home's own key (`threadkeep.appserver._config.Config.stored_key`).

        Raises:
            ConfigProblem: ``env_key`` names a variable that is not set.
        """
        if self.env_key is not None:
            found = environ.get(self.env_key, "").strip()
            if not found:
                told = f" {self.env_key_instructions}" if self.env_key_instructions else ""
                raise ConfigProblem(f"Missing environment variable: `{self.env_key}`.{told}")
            return found
        if self.experimental_bearer_token is not None:
            return self.experimental_bearer_token
        if self.requires_openai_auth:
            return stored or environ.get("OPENAI_API_KEY", "").strip() or None
        return None

    def headers(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The headers of its own: those of the configuration, then those whose variables are set and not blank."""
        of_environment = {header: environ.get(variable, "") for header, variable in self.env_http_headers.items()}
        return {**self.http_headers, **{header: value for header, value in of_environment.items() if value.strip()}}


def built_in_providers(openai_base_url: str | None, environ: Mapping[str, str]) -> dict[str, Provider]:
    """The providers that need no table (0.169.0), `BUILT_IN`.

    Args:
        openai_base_url: What the configuration says of ``openai``'s address.
        environ: The environment; ``OPENAI_BASE_URL`` counts where the configuration says nothing.
    """
    openai = openai_base_url or environ.get("OPENAI_BASE_URL", "").strip() or "https://api.openai.com/v1"
    organization = {"OpenAI-Organization": "OPENAI_ORGANIZATION", "OpenAI-Project": "OPENAI_PROJECT"}
    return {
        "openai": Provider(
            id="openai",
            name="OpenAI",
            base_url=openai,
            env_http_headers=organization,
            requires_openai_auth=True,
            supports_websockets=True,
        ),
        "amazon-bedrock": Provider(id="amazon-bedrock", name="Amazon Bedrock"),
        "ollama": Provider(id="ollama", name="gpt-oss", base_url="http://localhost:11434/v1"),
        "lmstudio": Provider(id="lmstudio", name="gpt-oss", base_url="http://localhost:1234/v1"),
    }


def provider_of(provider_id: str, table: Any) -> Provider:
    """The provider that a table of ``model_providers`` describes; its values are of their types.

    Raises:
        ConfigProblem: It has no name.
    """
    provider = Provider(**{"name": "", **PROVIDER(table), "id": provider_id})
    if not provider.name.strip():
        raise ConfigProblem(f"model_providers.{provider_id}: provider name must not be empty")
    return msgspec.structs.replace(
        provider,
        request_max_retries=min(provider.request_max_retries, MAX_RETRIES),
        stream_max_retries=min(provider.stream_max_retries, MAX_RETRIES),
    )
