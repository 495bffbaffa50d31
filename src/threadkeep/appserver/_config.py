"""The home's configuration as Codex 0.169.0 reads it: ``config.toml``, what the command line says, what a request says.

What is read is the home's own ``config.toml`` and the files that its owner names in it for instructions and models;
configuration files of projects are not read: nothing of a folder that a client names is opened here.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING, Any, Final

from threadkeep.appserver._config_models import (
    DEFAULT_MODEL,
    EFFECTIVE_PERCENT,
    MODELS,
    Model,
    catalog_of_file,
    known_model,
)
from threadkeep.appserver._config_providers import BUILT_IN, Provider, built_in_providers, provider_of
from threadkeep.appserver._config_session import SessionSettings, session_settings
from threadkeep.appserver._config_types import check
from threadkeep.appserver._config_values import ConfigProblem, deeper, dotted, laid_over, parse_override, place_of
from threadkeep.appserver._git import repository_folder
from threadkeep.appserver._regular_files import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Config", "ConfigProblem", "Layer", "Model", "Provider", "SessionSettings", "session_settings"]

MAX_FILE: Final = 4 << 20
"""Bytes that a configuration, an instruction or a catalog file has at most."""
SYSTEM_FILE: Final = "/etc/codex/config.toml"
"""Where Codex looks for a configuration of the whole machine; threadkeep names it and does not read it."""
COMPACT_PERCENT: Final = 90
"""How full a model's window may be before its context is compacted (0.169.0 observed)."""


class Layer:
    """One source of the configuration.

    Attributes:
        name: What it is, as ``config/read`` names it.
        values: Its tables.
    """

    def __init__(self, name: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        self.name = dict(name)
        self.values = dict(values)
        if self.values.get("approval_policy") == "on-failure":
            # The policy that asks only after a failure is gone: it counts as the one that asks (0.169.0 observed).
            self.values["approval_policy"] = "on-request"

    @property
    def version(self) -> str:
        """A digest of the values, as 0.169.0 makes it."""
        import json

        text = json.dumps(self.values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
        return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Config:
    """A configuration, whole. It does not change; `stale` says when to load it anew.

    Attributes:
        home: The Codex home.
        cwd: The working folder where a request names none.
        values: All tables, the command line's over the file's.
        layers: Where they come from, the one that counts most first.
        problem: Why the file cannot be used; None where it can. What needs the configuration fails with it.
        overrides: The command line's, as they were given.
    """

    def __init__(
        self,
        home: str,
        layers: Sequence[Layer],
        *,
        cwd: str,
        environ: Mapping[str, str],
        overrides: Sequence[tuple[str, str]] = (),
        problem: str | None = None,
        state: tuple[int, ...] | None = None,
    ) -> None:
        self.home = home
        self.cwd = cwd
        self.environ = environ
        self.layers = tuple(layers)
        self.overrides = tuple(overrides)
        self.problem = problem
        self._state = state
        values: dict[str, Any] = {}
        for layer in reversed(self.layers):
            values = laid_over(values, layer.values)
        self.values = values
        self.providers = self._providers()

    @classmethod
    def load(
        cls,
        home: str,
        overrides: Sequence[tuple[str, str]] = (),
        cwd: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Config:
        """Read the configuration of a home.

        A file that cannot be used does not keep a server from starting: the configuration is that of no file, and its
        `problem` says why (0.169.0 does the same and warns).

        Args:
            home: The Codex home.
            overrides: Keys and values of ``--config`` options, as they were written; the later one counts.
            cwd: The working folder; that of the process unless given.
            environ: The environment; that of the process unless given.

        Raises:
            ConfigProblem: An override has a wrong value.
        """
        path = os.path.join(home, "config.toml")
        flags = _checked(parse_override(key, value) for key, value in overrides)
        state = _state(path)
        values, problem = _read_file(path)
        layers = [Layer({"type": "user", "file": path, "profile": None}, values)]
        if flags:
            layers.insert(0, Layer({"type": "sessionFlags"}, flags))
        layers.append(Layer({"type": "system", "file": SYSTEM_FILE}, {}))
        place = cwd if cwd is not None else _working_folder() or home
        known = os.environ if environ is None else environ
        config = cls(home, layers, cwd=place, environ=known, overrides=overrides, problem=problem, state=state)
        if problem is not None:
            return config
        try:
            config.require()
        except ConfigProblem as found:
            next(layer for layer in layers if layer.name["type"] == "user").values.clear()
            return cls(home, layers, cwd=place, environ=known, overrides=overrides, problem=str(found), state=state)
        return config

    def stale(self) -> bool:
        """Whether the file changed since it was read."""
        return self._state != _state(os.path.join(self.home, "config.toml"))

    def with_request(self, request: Mapping[str, Any]) -> Config:
        """This configuration with what a request says under ``config``: dotted keys, or tables.

        Raises:
            ConfigProblem: A value has the wrong type.
        """
        if not request:
            return self
        layers = [Layer({"type": "sessionFlags"}, _checked(request.items())), *self.layers]
        return Config(
            self.home,
            layers,
            cwd=self.cwd,
            environ=self.environ,
            overrides=self.overrides,
            problem=self.problem,
            state=self._state,
        )

    def require(self) -> None:
        """See that a thread can be started with this configuration.

        Raises:
            ConfigProblem: It cannot; the text is what follows ``failed to load configuration:``.
        """
        if self.problem is not None:
            raise ConfigProblem(self.problem)
        reserved = [name for name in self._table("model_providers") if name in BUILT_IN and name != "amazon-bedrock"]
        if reserved:
            named = ", ".join(f"`{name}`" for name in reserved)
            raise ConfigProblem(f"model_providers contains reserved built-in provider IDs: {named}")
        for name, table in self._table("model_providers").items():
            if name not in BUILT_IN:
                provider_of(name, table)
        self.provider()
        self.base_instructions  # noqa: B018 -- reads the file that it names, which may be missing
        self.models  # noqa: B018 -- the same of the catalog

    def provider(self, provider_id: str | None = None) -> Provider:
        """A provider by its id; the one of `model_provider` unless given.

        Raises:
            ConfigProblem: There is none of that id.
        """
        wanted = provider_id if provider_id is not None else self.model_provider
        provider = self.providers.get(wanted)
        if provider is None:
            raise ConfigProblem(f"Model provider `{wanted}` not found")
        return provider

    @property
    def model(self) -> str:
        """The model."""
        default = f"openai.{DEFAULT_MODEL}" if self.model_provider == "amazon-bedrock" else DEFAULT_MODEL
        return self._text("model") or default

    @property
    def model_provider(self) -> str:
        """Id of the provider."""
        return self._text("model_provider") or "openai"

    @property
    def approval_policy(self) -> Any:
        """The approval policy: a name, or ``{"granular": {...}}``; None where nothing says."""
        return self.values.get("approval_policy")

    @property
    def approvals_reviewer(self) -> str | None:
        """Who approves; None where nothing says."""
        return self._text("approvals_reviewer")

    @property
    def sandbox_mode(self) -> str | None:
        """``read-only``, ``workspace-write``, ``danger-full-access``, or None where nothing says."""
        return self._text("sandbox_mode")

    @property
    def sandbox_workspace_write(self) -> dict[str, Any]:
        """What the workspace's policy says beyond its name."""
        return self._table("sandbox_workspace_write")

    @property
    def default_permissions(self) -> str | None:
        """Name of the permission profile that counts before the sandbox mode; None where none is named."""
        return self._text("default_permissions")

    @property
    def permissions(self) -> dict[str, Any]:
        """The permission profiles of its own."""
        return self._table("permissions")

    @property
    def reasoning_effort(self) -> str | None:
        """Reasoning effort; None for the model's own."""
        return self._text("model_reasoning_effort")

    @property
    def reasoning_summary(self) -> str | None:
        """How reasoning is summed up; None for the model's own."""
        return self._text("model_reasoning_summary")

    @property
    def verbosity(self) -> str | None:
        """How much the model says; None for the model's own."""
        return self._text("model_verbosity")

    @property
    def personality(self) -> str | None:
        """How the model sounds; None where nothing says."""
        return self._text("personality")

    @property
    def service_tier(self) -> str | None:
        """The provider's service tier as it was written; None where nothing says."""
        return self._text("service_tier")

    @property
    def developer_instructions(self) -> str | None:
        """Instructions that go with the context; None for none."""
        return self._text("developer_instructions")

    @property
    def base_instructions(self) -> str | None:
        """What the model is told first: the file that is named, else the text that is given; None for neither.

        Raises:
            ConfigProblem: The file cannot be read.
        """
        path = self._text("model_instructions_file")
        if path is None:
            return self._text("instructions")
        return self._named_text(path, "model instructions file")

    @property
    def compact_prompt(self) -> str | None:
        """What the model is asked for a summary with; None for the engine's own words.

        Raises:
            ConfigProblem: It is in a file, and that cannot be read.
        """
        path = self._text("experimental_compact_prompt_file")
        if self._text("compact_prompt") is not None or path is None:
            return self._text("compact_prompt")
        return self._named_text(path, "experimental compact prompt file")

    @property
    def model_context_window(self) -> int | None:
        """Tokens of the model's window as the configuration says; None where it does not."""
        return self._number("model_context_window")

    @property
    def model_auto_compact_token_limit(self) -> int | None:
        """Tokens from which on a context is compacted as the configuration says; None where it does not."""
        return self._number("model_auto_compact_token_limit")

    @property
    def project_doc_max_bytes(self) -> int:
        """How much of a project's instructions Codex would read."""
        number = self._number("project_doc_max_bytes")
        return 32 * 1024 if number is None else number

    @property
    def thread_unload_delay_secs(self) -> int | None:
        """Seconds after which a thread that nobody watches is let go; None where nothing says."""
        return self._number("thread_unload_delay_secs")

    @property
    def models(self) -> tuple[Model, ...]:
        """The models that are known: those of ``model_catalog_json`` where it names a file, else those built in.

        Raises:
            ConfigProblem: The file cannot be read, or is no catalog.
        """
        path = self._text("model_catalog_json")
        if path is None:
            return MODELS
        found = catalog_of_file(_bytes_of(self._path(path)))
        if found is None:
            raise ConfigProblem(f"failed to parse model_catalog_json path `{path}` as JSON")
        return found

    def known_model(self, model: str) -> Model:
        """What is known of a model; little of one that no catalog has."""
        return known_model(model, self.models)

    def context_window(self, model: str) -> int:
        """Tokens of a model's window that count, as ``model_context_window`` of a ``token_count`` says."""
        return (self.model_context_window or self.known_model(model).window) * EFFECTIVE_PERCENT // 100

    def compact_limit(self, model: str) -> int:
        """Tokens from which on a context of a model is compacted."""
        most = (self.model_context_window or self.known_model(model).window) * COMPACT_PERCENT // 100
        said = self.model_auto_compact_token_limit
        return most if said is None else min(max(said, 0), most)

    def trust_level(self, cwd: str) -> str | None:
        """What ``projects`` says of a folder, else of the repository around it: ``trusted``, ``untrusted``, or None."""
        projects = self._table("projects")
        for folder in (cwd, repository_folder(cwd)):
            project = projects.get(folder) if folder is not None else None
            if isinstance(project, dict) and isinstance(project.get("trust_level"), str):
                return str(project["trust_level"])
        return None

    def stored_key(self) -> str | None:
        """The home's own API key (``auth.json``); None where it has none, or keeps it elsewhere. Never print it."""
        if self.values.get("cli_auth_credentials_store", "file") not in ("file", "auto"):
            return None
        import msgspec

        try:
            stored = msgspec.json.decode(_bytes_of(os.path.join(self.home, "auth.json")))
        except (ConfigProblem, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        key = stored.get("OPENAI_API_KEY") if isinstance(stored, dict) else None
        if not isinstance(key, str) or not key.strip() or stored.get("auth_mode", "apikey") not in ("apikey", None):
            return None
        return key.strip()

    def _providers(self) -> dict[str, Provider]:
        """The providers: those built in, then those of the configuration; one that is wrong is left out."""
        providers = built_in_providers(self._text("openai_base_url"), self.environ)
        for name, table in self._table("model_providers").items():
            if name in BUILT_IN:
                continue
            try:
                providers[name] = provider_of(name, table)
            except ConfigProblem:
                continue  # `require` says so.
        return providers

    def _text(self, key: str) -> str | None:
        value = self.values.get(key)
        return value if isinstance(value, str) else None

    def _number(self, key: str) -> int | None:
        value = self.values.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None

    def _table(self, key: str) -> dict[str, Any]:
        value = self.values.get(key)
        return value if isinstance(value, dict) else {}

    def _path(self, path: str) -> str:
        return os.path.join(self.home, os.path.expanduser(path))

    def _named_text(self, path: str, what: str) -> str:
        """The text of a file that the configuration names."""
        return _text_of(self._path(path), f"failed to read {what}")


def _checked(given: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Keys with dots, as the command line and requests have them, as tables.

    Raises:
        ConfigProblem: A value has the wrong type.
    """
    values = dotted(given)
    check(values, lambda names, wrong: f"{wrong}\nin `{'.'.join(names)}`\n")
    return values


def _state(path: str) -> tuple[int, ...] | None:
    """What tells that a file changed; None where there is none."""
    try:
        known = os.stat(path)
    except OSError:
        return None
    return (known.st_ino, known.st_size, known.st_mtime_ns)


def _working_folder() -> str | None:
    """The folder that the process works in; None where somebody removed it."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None


_MOST_NESTED: Final = 256
"""How deep the values of a file may be nested: deeper ones could not be told to anybody as JSON."""


def _read_file(path: str) -> tuple[dict[str, Any], str | None]:
    """The tables of a configuration file, and why it cannot be used."""
    import tomllib

    if _state(path) is None:
        return {}, None

    def where(names: Sequence[str], wrong: str) -> str:
        place = place_of(text, names)
        return f"{path}:{place}: {wrong}" if place else f"{path}: {wrong} in `{'.'.join(names)}`"

    try:
        text = _text_of(path, "Failed to read config file").removeprefix("\ufeff")
        values = tomllib.loads(text)
        if deeper(values, _MOST_NESTED):
            return {}, f"{path}: values are nested too deep"
        check(values, where)
    except ConfigProblem as problem:
        return {}, str(problem)
    except RecursionError:
        return {}, f"{path}: values are nested too deep"
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        said = re.sub(r" \(at .*\)$", "", str(error))
        return {}, f"{path}:{found[1]}:{found[2]}: {said}" if found else f"{path}: {error}"
    except ValueError:  # what Python says of a number with too many digits is no user's business
        return {}, f"{path}: integer number overflowed"
    return values, None


def _text_of(path: str, failure: str) -> str:
    """The text of a file; ``failure`` begins what is said where it cannot be read.

    Raises:
        ConfigProblem: It cannot be read, or is no text.
    """
    try:
        return _bytes_of(path).decode()
    except ConfigProblem as problem:
        raise ConfigProblem(f"{failure} {path}: {problem}") from None
    except UnicodeDecodeError as error:
        count = f"invalid utf-8 sequence of {error.end - error.start} bytes"
        found = "incomplete utf-8 byte sequence" if error.reason == "unexpected end of data" else count
        raise ConfigProblem(f"{failure} {path}: {found} from index {error.start}") from None


def _bytes_of(path: str) -> bytes:
    """The bytes of a file of at most `MAX_FILE` bytes.

    Raises:
        ConfigProblem: It cannot be read; the text is why, as Rust's errors read, which clients of the real server know.
    """
    try:
        return read_regular(path, MAX_FILE)
    except OSError as error:
        raise ConfigProblem(f"{error.strerror} (os error {error.errno})") from None
    except ValueError as error:
        raise ConfigProblem(str(error)) from None
