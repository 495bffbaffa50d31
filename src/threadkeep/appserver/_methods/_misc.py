"""What there never is here, answered in the shape that asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from threadkeep.appserver import _rpc
from threadkeep.appserver._handshake import remote_control

if TYPE_CHECKING:
    from threadkeep.appserver._call import Call

__all__ = ["account_rate_limits_read", "hooks_list", "remote_control_status_read"]


def hooks_list(call: Call) -> Any:
    """No hooks, for each folder that is asked about."""
    cwds = call.params.get("cwds") or [call.server.config.cwd]
    return {"data": [{"cwd": cwd, "hooks": [], "warnings": [], "errors": []} for cwd in cwds]}


def remote_control_status_read(call: Call) -> Any:
    """Remote control is off."""
    return remote_control(call.server.home)


def account_rate_limits_read(call: Call) -> Any:  # noqa: ARG001
    """Limits belong to an account, and there is none."""
    raise _rpc.invalid("codex account authentication required to read rate limits")
