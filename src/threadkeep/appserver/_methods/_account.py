"""``account/read`` and ``getAuthStatus``: whether a model can be called, without saying with which key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from threadkeep.appserver._call import Call
    from threadkeep.appserver._config import Config

__all__ = ["account_read", "get_auth_status"]


def account_read(call: Call) -> Any:
    """Who pays. There are only keys here: no ChatGPT account, no workspace.

    ``OPENAI_API_KEY`` counts where the home has no key of its own, since the built-in engine uses it; the real server
    (0.169.0) would ask for a login first.
    """
    config = call.server.config
    return {
        "account": _account(config),
        "userId": None,
        "requiresOpenaiAuth": _needs_key(config),
        "workspaceRouting": None,
    }


def get_auth_status(call: Call) -> Any:
    """The same in the old form. The key itself is not given away, whatever is asked; the real server does (0.169.0)."""
    config = call.server.config
    method = "apikey" if _account(config) == {"type": "apiKey"} else None
    return {"authMethod": method, "authToken": None, "requiresOpenaiAuth": _needs_key(config)}


def _needs_key(config: Config) -> bool:
    """Whether the provider is called with the home's key. A provider that does not exist counts as OpenAI."""
    provider = config.providers.get(config.model_provider)
    return provider is None or provider.requires_openai_auth


def _account(config: Config) -> dict[str, Any] | None:
    if config.model_provider == "amazon-bedrock":
        return {"type": "amazonBedrock", "usesCodexManagedCredentials": False}
    provider = config.providers.get(config.model_provider)
    # A provider with a key of its own (`env_key`) has no account of OpenAI.
    if provider is None or not provider.requires_openai_auth or provider.env_key is not None:
        return None
    has_key = provider.key(config.environ, config.stored_key()) is not None
    return {"type": "apiKey"} if has_key else None
