"""What a document says that messages must look like: AsyncAPI 2 or 3, a JSON Schema, or schemas by type.

Only the structure is read here: which schema is for which messages. What the schemas say is not looked at, except for
the type that one may pin.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from wsrecorder.core.asyncapi import EXTENSION, Frame
from wsrecorder.core.event import Direction
from wsrecorder.core.json_pointer import Place, at, follow, show_place
from wsrecorder.errors import UsageError

__all__ = ["Contract", "Form", "Rule", "read_contract"]


class Form(StrEnum):
    """What a document is."""

    ASYNCAPI = "AsyncAPI"
    SCHEMA = "JSON Schema"
    TYPES = "JSON Schemas by type"


@dataclass(frozen=True, slots=True)
class Rule:
    """Which schema is for which messages.

    Attributes:
        place: Where the schema stands; None where anything is allowed.
        direction: Only messages of this direction; None is both.
        frame: What the frames hold.
        types: Their types; empty where they have none, or any.
    """

    place: Place | None
    direction: Direction | None = None
    frame: Frame = Frame.TYPED
    types: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Contract:
    """What a document asks of messages.

    Attributes:
        form: What the document is.
        document: The document.
        rules: Which schema is for which messages.
    """

    form: Form
    document: Any
    rules: tuple[Rule, ...]

    def rules_for(self, direction: Direction, frame: Frame, type: str | None) -> list[Rule]:
        """Return what a message may look like: one of these; an empty list if nothing is said of such messages.

        What is said of the other direction counts where nothing is said of this one.
        """
        if self.form is Form.SCHEMA:
            return list(self.rules) if frame in (Frame.TYPED, Frame.UNTYPED) else []
        found = [rule for rule in self.rules if rule.frame is frame and (type is None or type in rule.types)]
        if not found and frame is Frame.TYPED:
            found = [rule for rule in self.rules if rule.frame is Frame.OTHER]
        return [rule for rule in found if rule.direction in (None, direction)] or found


_HINT: Final = "see docs/check.md for the documents that can be checked against"
_SCHEMA_FORMATS: Final = ("application/vnd.aai.asyncapi", "application/schema+")
_DEEPEST: Final = 8


def read_contract(document: Any, type_path: str = "type", *, is_clients: bool = False) -> Contract:
    """Return what a document asks of messages.

    Args:
        document: As JSON gives it.
        type_path: Dotted path of the type in messages, to find which type a schema pins.
        is_clients: An AsyncAPI 3 document describes a client: it sends what servers receive.

    Raises:
        UsageError: The document is none of the known forms, or contradicts its own; the place is named.
    """
    if isinstance(document, bool):
        return Contract(Form.SCHEMA, document, (Rule(()),))
    if not isinstance(document, dict):
        raise UsageError(f"the document is {_kind(document)}, expected an object", hint=_HINT)
    if "asyncapi" in document:
        rules = _AsyncApi(document, type_path.split("."), is_clients=is_clients).rules()
        if not rules:
            raise UsageError("the document describes no messages", hint="messages stand in its channels")
        return Contract(Form.ASYNCAPI, document, rules)
    if _is_schema(document):
        return Contract(Form.SCHEMA, document, (Rule(()),))
    for key, value in document.items():
        if not isinstance(value, (dict, bool)):
            raise UsageError(f"{show_place((key,))} is {_kind(value)}, expected a schema for the type", hint=_HINT)
    return Contract(Form.TYPES, document, tuple(Rule((key,), types=frozenset({key})) for key in document))


class _AsyncApi:
    """Finds the messages of an AsyncAPI document."""

    def __init__(self, document: dict[str, Any], type_keys: list[str], *, is_clients: bool) -> None:
        self._document = document
        self._type_keys = type_keys
        self._is_clients = is_clients

    def rules(self) -> tuple[Rule, ...]:
        """Return a rule for each message, in the document's order."""
        version = self._document["asyncapi"]
        if not isinstance(version, str) or not version.startswith(("2.", "3.")):
            raise UsageError(f"#/asyncapi is {version!r}, expected version 2 or 3", hint=_HINT)
        used = dict.fromkeys(self._used_2() if version.startswith("2.") else self._used_3())
        directions: dict[Place, set[Direction | None]] = {}
        for place, direction in used:
            directions.setdefault(place, set()).add(direction)
        return tuple(
            replace(self._rule(place), direction=found.pop() if len(found) == 1 else None)
            for place, found in directions.items()
        )

    def _used_2(self) -> Iterator[tuple[Place, Direction | None]]:
        """Yield the messages: clients subscribe to what the server sends, and publish what it receives."""
        for channel, _ in self._entries(("channels",)):
            place, item = follow(self._document, channel)
            for word, direction in (("subscribe", Direction.IN), ("publish", Direction.OUT)):
                if word not in _object(item, place) or "message" not in _object(item[word], (*place, word)):
                    continue
                message = (*place, word, "message")
                several = _object(at(self._document, message), message).get("oneOf")
                if several is None:
                    yield self._message(message), direction
                for index in range(len(_list(several or [], (*message, "oneOf")))):
                    yield self._message((*message, "oneOf", index)), direction

    def _used_3(self) -> Iterator[tuple[Place, Direction | None]]:
        of_operations: set[Place] = set()
        for operation, _ in self._entries(("operations",)):
            place, found = follow(self._document, operation)
            channel, _ = follow(self._document, (*place, "channel"))
            of_operations.add(channel)
            direction = self._direction(_object(found, place), place)
            if "messages" in found:
                count = len(_list(found["messages"], (*place, "messages")))
                messages: list[Place] = [(*place, "messages", index) for index in range(count)]
            else:
                messages = [message for message, _ in self._entries((*channel, "messages"))]
            for message in messages:
                yield self._message(message), direction
        for entry, _ in self._entries(("channels",)):
            channel, _ = follow(self._document, entry)
            if channel not in of_operations:  # nobody says which way its messages go
                for message, _ in self._entries((*channel, "messages")):
                    yield self._message(message), None

    def _direction(self, operation: dict[str, Any], place: Place) -> Direction:
        action = operation.get("action")
        if action not in ("send", "receive"):
            raise UsageError(f"{show_place((*place, 'action'))} is {action!r}, expected send or receive", hint=_HINT)
        return Direction.IN if (action == "send") is not self._is_clients else Direction.OUT

    def _entries(self, place: Place) -> Iterator[tuple[Place, Any]]:
        """Yield the entries of an object that may be left out."""
        owner = _object(at(self._document, place[:-1]), place[:-1])
        for key, value in _object(owner.get(str(place[-1]), {}), place).items():
            yield (*place, key), value

    def _message(self, place: Place) -> Place:
        return follow(self._document, place)[0]

    def _rule(self, place: Place) -> Rule:
        message = _object(at(self._document, place), place)
        told = (message.get("name"), message.get("messageId"), place[-1])
        names = {name for name in told if isinstance(name, str)}
        payload = self._payload(message, place)
        own = message.get(EXTENSION)
        frame = own.get("frame") if isinstance(own, dict) else None
        if frame in list(Frame):
            types = {str(message.get("name"))} if frame == Frame.TYPED else set()
            return Rule(payload, frame=Frame(frame), types=frozenset(types))
        pinned = set() if payload is None else self._pinned(payload, self._type_keys)
        return Rule(payload, types=frozenset(pinned or names))

    def _payload(self, message: dict[str, Any], place: Place) -> Place | None:
        """Return where the schema of a message's payload stands; None if it has none."""
        if "payload" not in message:
            return None
        payload: Place = (*place, "payload")
        wanted, where = message.get("schemaFormat"), (*place, "schemaFormat")
        found = message["payload"]
        if isinstance(found, dict) and "schemaFormat" in found and "schema" in found:
            wanted, where = found["schemaFormat"], (*payload, "schemaFormat")
            payload = (*payload, "schema")
        if wanted is not None and not str(wanted).startswith(_SCHEMA_FORMATS):
            raise UsageError(f"{show_place(where)} is {wanted!r}, expected a JSON Schema", hint=_HINT)
        if not isinstance(at(self._document, payload), (dict, bool)):
            found = at(self._document, payload)
            raise UsageError(f"{show_place(payload)} is {_kind(found)}, expected a schema", hint=_HINT)
        return payload

    def _pinned(self, place: Place, keys: list[str], depth: int = 0) -> set[str]:
        """Return the values that a schema allows for the type."""
        place, schema = follow(self._document, place)
        if not isinstance(schema, dict) or depth > _DEEPEST:
            return set()
        if not keys:
            listed = schema.get("enum")
            allowed = [schema["const"]] if "const" in schema else listed if isinstance(listed, list) else []
            return {value for value in allowed if isinstance(value, str)}
        properties = schema.get("properties")
        if isinstance(properties, dict) and keys[0] in properties:
            return self._pinned((*place, "properties", keys[0]), keys[1:], depth + 1)
        parts = schema.get("allOf")
        for index in range(len(parts) if isinstance(parts, list) else 0):
            if pinned := self._pinned((*place, "allOf", index), keys, depth + 1):
                return pinned
        return set()


_SCHEMA_WORDS: Final[dict[str, type | tuple[type, ...]]] = {
    "$schema": str, "$ref": str, "$id": str, "type": (str, list), "enum": list, "required": list, "allOf": list,
    "anyOf": list, "oneOf": list,
}  # fmt: skip


def _is_schema(document: dict[str, Any]) -> bool:
    """Return whether an object is one schema, and not one a type: it has a keyword whose value no schema could be."""
    if not document or any(isinstance(document.get(word), kinds) for word, kinds in _SCHEMA_WORDS.items()):
        return True
    return document.keys() <= {"properties", "const", "not", "if", "then", "else", "items", "$defs", "definitions"}


def _object(value: Any, place: Place) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{show_place(place)} is {_kind(value)}, expected an object", hint=_HINT)
    return value


def _list(value: Any, place: Place) -> list[Any]:
    if not isinstance(value, list):
        raise UsageError(f"{show_place(place)} is {_kind(value)}, expected an array", hint=_HINT)
    return value


_KINDS: Final = {str: "a text", int: "a number", float: "a number", bool: "a truth value", list: "an array"}


def _kind(value: Any) -> str:
    return "null" if value is None else _KINDS.get(type(value), "an object")
