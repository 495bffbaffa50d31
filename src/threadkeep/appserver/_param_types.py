"""What a parameter may be, and what a client is told when it is something else.

A type is a function that takes a JSON value and returns it as handlers see it, or raises `Mismatch`. The texts are
those of serde, which the real server reads its parameters with (0.169.0 observed): clients and their authors know them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Type = Callable[[Any], Any]

__all__ = [
    "ABSOLUTE_PATH",
    "ANY",
    "BOOL",
    "EFFORT",
    "GRANULAR",
    "I64",
    "PATH",
    "PATH_OR_NOTHING",
    "STRING",
    "U32",
    "U64",
    "UNIT",
    "USIZE",
    "Field",
    "Mismatch",
    "Struct",
    "array",
    "clearable",
    "defaulted",
    "enum",
    "mapping",
    "optional",
    "required",
    "tagged",
    "untagged",
]


class Mismatch(Exception):
    """A value is not of its type; the message says which is not.

    Attributes:
        place: The members that lead to the value.
    """

    place: tuple[str, ...] = ()

    def within(self, member: str) -> Mismatch:
        """The same of a value that has the wrong one for a member."""
        self.place = (member, *self.place)
        return self


class Field(NamedTuple):
    """One member of an object."""

    name: str
    """As it stands in the message."""
    type: Type
    """What its value may be."""
    required: bool
    """Whether it must be there."""
    nullable: bool
    """Whether null is as good as nothing."""
    clearable: bool
    """Whether null means something else than nothing, such as "take it away"."""
    gated: bool
    """Whether a client needs ``experimentalApi`` to give it."""


def required(name: str, kind: Type) -> Field:
    """A member that must be there."""
    return Field(name, kind, required=True, nullable=False, clearable=False, gated=False)


def optional(name: str, kind: Type, *, gated: bool = False) -> Field:
    """A member that may be missing or null; handlers do not see a null."""
    return Field(name, kind, required=False, nullable=True, clearable=False, gated=gated)


def clearable(name: str, kind: Type, *, gated: bool = False) -> Field:
    """A member that may be missing, or null to take away what there is; handlers see the null."""
    return Field(name, kind, required=False, nullable=True, clearable=True, gated=gated)


def defaulted(name: str, kind: Type, *, gated: bool = False) -> Field:
    """A member that may be missing, but not null; false is as good as missing where it is gated."""
    return Field(name, kind, required=False, nullable=False, clearable=False, gated=gated)


class Struct:
    """An object with known members, in their order; others are dropped. An array gives them by their places.

    Attributes:
        name: What the real server calls it.
        fields: Its members.
    """

    def __init__(self, name: str, *fields: Field) -> None:
        self.name = name
        self.fields = fields
        self._by_name = {field.name: field for field in fields}

    def __call__(self, value: Any) -> dict[str, Any]:
        """The members that handlers see."""
        if isinstance(value, dict):
            return self.members(value)
        if isinstance(value, list):
            return self._places(value)
        raise _unexpected(value, f"struct {self.name}")

    def members(self, given: dict[str, Any]) -> dict[str, Any]:
        """The members of an object. The first wrong one is told, in the order in which they were given."""
        taken: dict[str, Any] = {}
        for name, value in given.items():
            field = self._by_name.get(name)
            if field is not None:
                _take(field, value, taken)
        for field in self.fields:
            if field.required and field.name not in taken:
                raise Mismatch(f"missing field `{field.name}`")
        return taken

    def _places(self, given: list[Any]) -> dict[str, Any]:
        count = len(self.fields)
        taken: dict[str, Any] = {}
        for place, field in enumerate(self.fields):
            if place < len(given):
                _take(field, given[place], taken)
            elif field.required or (field.nullable and not field.clearable):
                raise Mismatch(f"invalid length {place}, expected struct {self.name} with {_elements(count)}")
        if len(given) > count:
            raise Mismatch(f"invalid length {len(given)}, expected {_elements(count)} in sequence")
        return taken


def _take(field: Field, value: Any, taken: dict[str, Any]) -> None:
    if value is not None or not field.nullable:
        value = _member(field.name, field.type, value)
    if value is not None or field.clearable or not field.nullable:
        taken[field.name] = value


def _member(name: str, kind: Type, value: Any) -> Any:
    try:
        return kind(value)
    except Mismatch as wrong:
        raise wrong.within(name) from None


def _elements(count: int) -> str:
    return "1 element" if count == 1 else f"{count} elements"


# Plain values


def ANY(value: Any) -> Any:  # noqa: N802  # a type, named as one
    """Whatever it is."""
    return value


def STRING(value: Any) -> str:  # noqa: N802
    """A text."""
    if isinstance(value, str):
        return value
    raise _unexpected(value, "a string")


def BOOL(value: Any) -> bool:  # noqa: N802
    """True or false."""
    if isinstance(value, bool):
        return value
    raise _unexpected(value, "a boolean")


def PATH(value: Any) -> str:  # noqa: N802
    """A path, absolute or not."""
    if isinstance(value, str):
        return value
    raise _unexpected(value, "path string")


def PATH_OR_NOTHING(value: Any) -> str | None:  # noqa: N802
    """A path; an empty one is as good as none."""
    return PATH(value) or None


def ABSOLUTE_PATH(value: Any) -> str:  # noqa: N802
    """An absolute path."""
    path = PATH(value)
    if not path.startswith("/"):
        raise Mismatch("AbsolutePathBuf deserialized without a base path")
    return path


def EFFORT(value: Any) -> str:  # noqa: N802
    """How much a model reasons: any word, the model knows which."""
    if not STRING(value):
        raise Mismatch("reasoning_effort must not be empty")
    return str(value)


def UNIT(value: Any) -> dict[str, Any]:  # noqa: N802
    """Nothing: null or an empty object."""
    if value is None or value == {}:
        return {}
    raise _unexpected(value, "unit")


def _integer(name: str, most: int, least: int = 0) -> Type:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _unexpected(value, name)
        if least <= value <= most:
            return value
        if not -(2**63) <= value < 2**64:
            raise _unexpected(value, name)
        raise Mismatch(f"invalid value: integer `{value}`, expected {name}")

    return check


U32: Final = _integer("u32", 2**32 - 1)
"""A number of rows."""
USIZE: Final = _integer("usize", 2**64 - 1)
"""A place in a text."""
U64: Final = _integer("u64", 2**64 - 1)
"""A number of tries, or of units of time."""
I64: Final = _integer("i64", 2**63 - 1, -(2**63))
"""A number of tokens."""


# Types made of others


def array(kind: Type) -> Type:
    """An array of values of one type."""

    def check(value: Any) -> list[Any]:
        if isinstance(value, list):
            return [kind(element) for element in value]
        raise _unexpected(value, "a sequence")

    return check


def mapping(kind: Type) -> Type:
    """An object with any members, all of one type."""

    def check(value: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            return {name: _member(name, kind, member) for name, member in value.items()}
        raise _unexpected(value, "a map")

    return check


def enum(names: str, *, payloads: dict[str, Type] | None = None, aliases: dict[str, str] | None = None) -> Type:
    """One of some words, or an object with one of them as its only member.

    Args:
        names: The words, separated by spaces, in the order in which they are told.
        payloads: What the member of a word holds that does not stand alone.
        aliases: Words that mean another one.
    """
    words = tuple(names.split())
    held = payloads or {}
    meant = aliases or {}

    def check(value: Any) -> Any:
        if isinstance(value, str):
            if value not in words:
                raise _unknown_variant(value, words)
            if value in held:
                kind = "struct variant" if isinstance(held[value], Struct) else "newtype variant"
                raise Mismatch(f"invalid type: unit variant, expected {kind}")
            return meant.get(value, value)
        if not isinstance(value, dict):
            raise _unexpected(value, "string or map")
        if len(value) != 1:
            raise Mismatch("invalid value: map, expected map with a single key")
        ((word, inner),) = value.items()
        if word not in words:
            raise _unknown_variant(word, words)
        if word not in held:
            UNIT(inner)
            return meant.get(word, word)
        if isinstance(held[word], Struct) and not isinstance(inner, dict | list):
            raise _unexpected(inner, "struct variant")
        return {word: held[word](inner)}

    return check


def tagged(name: str, **variants: Struct) -> Type:
    """An object whose member ``type`` says which others it has, by a word or its place; or an array, the type first."""
    words = tuple(variants)

    def chosen(word: Any) -> str:
        if isinstance(word, int) and not isinstance(word, bool) and word >= 0:
            if word < len(words):
                return words[word]
            raise Mismatch(f"invalid value: integer `{word}`, expected variant index 0 <= i < {len(words)}")
        if not isinstance(word, str):
            raise _unexpected(word, "variant identifier")
        if word not in variants:
            raise _unknown_variant(word, words)
        return word

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict | list):
            raise _unexpected(value, f"internally tagged enum {name}")
        if isinstance(value, list):
            if not value:
                raise Mismatch("missing field `type`")
            word = chosen(value[0])
            return {"type": word, **variants[word](value[1:])}
        if "type" not in value:
            raise Mismatch("missing field `type`")
        word = chosen(value["type"])
        return {"type": word, **variants[word].members(value)}

    return check


def untagged(name: str, *kinds: Type) -> Type:
    """Any of several types."""

    def check(value: Any) -> Any:
        for kind in kinds:
            try:
                return kind(value)
            except Mismatch:
                continue
        raise Mismatch(f"data did not match any variant of untagged enum {name}")

    return check


GRANULAR: Final = Struct(
    "GranularApprovalConfig",
    required("sandbox_approval", BOOL),
    required("rules", BOOL),
    defaulted("skill_approval", BOOL),
    defaulted("request_permissions", BOOL),
    required("mcp_elicitations", BOOL),
)
"""What an approval policy says piece by piece."""


# Texts


def one_of(words: Sequence[str]) -> str:
    """What is expected where one of some words is."""
    quoted = [f"`{word}`" for word in words]
    if len(quoted) == 1:
        return quoted[0]
    return " or ".join(quoted) if len(quoted) == 2 else "one of " + ", ".join(quoted)


def _unknown_variant(word: str, words: Sequence[str]) -> Mismatch:
    return Mismatch(f"unknown variant `{word}`, expected {one_of(words)}")


def _unexpected(value: Any, expected: str) -> Mismatch:
    if value is None:
        found = "null"
    elif isinstance(value, bool):
        found = f"boolean `{'true' if value else 'false'}`"
    elif isinstance(value, int):
        if not -(2**63) <= value < 2**64:
            found, expected = f"integer `{value}` as {'u' if value > 0 else 'i'}128", "any value"
        else:
            found = f"integer `{value}`"
    elif isinstance(value, float):
        found = f"floating point `{value}`"
    elif isinstance(value, str):
        found = f"string {_quoted(value)}"
    else:
        found = "map" if isinstance(value, dict) else "sequence"
    return Mismatch(f"invalid type: {found}, expected {expected}")


_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"})


def _quoted(text: str) -> str:
    return f'"{text.translate(_ESCAPES)}"'
