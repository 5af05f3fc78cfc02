"""A session checked against a document: which events break it, where, and how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from wsrecorder.analysis.payloads import Payload, payloads
from wsrecorder.analysis.session import Session
from wsrecorder.core.asyncapi import Frame
from wsrecorder.core.contract import Contract, Form, Rule, read_contract
from wsrecorder.core.event import Direction
from wsrecorder.core.json_pointer import Place, at, broken_reference, show_place
from wsrecorder.core.json_value import finite
from wsrecorder.errors import UsageError

if TYPE_CHECKING:
    import jsonschema_rs

__all__ = ["CheckResult", "Finding", "check_session", "read_document"]

_MOST_FINDINGS: Final = 1_000
_MOST_TYPES: Final = 1_000
_MOST_ERRORS: Final = 100
_LONGEST_VALUE: Final = 200
_OTHER: Final = "(other)"
_DOCUMENT: Final = "urn:wsrec:document"
_TOO_DEEP: Final = "(nested too deeply)"
_MASK: Final = "value"
_HINT: Final = "correct the document; docs/check.md says what it may be"


@dataclass(slots=True)
class Finding:
    """One way in which events of one type break the document in one place.

    Attributes:
        type: Their type, or ``(untyped)`` and the like.
        path: Where, such as ``data.orders[].price``; empty for the payload as a whole.
        keyword: Of JSON Schema, such as ``type`` or ``required``.
        says: What is wrong.
        count: How often.
        seq: The first such event.
        value: What stood there in that event, cut to 200 letters of JSON.
    """

    type: str
    path: str
    keyword: str
    says: str
    count: int
    seq: int
    value: str


@dataclass(slots=True)
class CheckResult:
    """How a session stands to a document.

    Attributes:
        session: Its id.
        form: What the document is.
        valid: Frames that are as the document says.
        broken: Frames that are not.
        unknown: Frames of which the document says nothing, by type.
        unreadable: Frames that are no JSON, and of which the document says nothing.
        lenient: Frames with ``NaN``, ``Infinity`` or half a surrogate pair, checked with null or U+FFFD instead;
            each is counted above too.
        findings: What breaks the document, the most frequent first.
    """

    session: str
    form: Form
    valid: int = 0
    broken: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0
    lenient: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def messages(self) -> int:
        """How many frames there were."""
        return self.valid + self.broken + self.unknown.total() + self.unreadable

    def is_kept(self, *, strict: bool = False) -> bool:
        """Return whether nothing breaks the document; if strict, it must also say something of every frame."""
        return not self.broken and not (strict and (self.unknown or self.unreadable))

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, ready for JSON."""
        return {
            "session": self.session,
            "form": str(self.form),
            "messages": self.messages,
            "valid": self.valid,
            "broken": self.broken,
            "unknown": dict(self.unknown.most_common()),
            "unreadable": self.unreadable,
            "lenient": self.lenient,
            "findings": [
                {name: getattr(finding, name) for name in Finding.__slots__}  # dataclass order
                for finding in self.findings
            ],
        }


def read_document(path: Path) -> Any:
    """Return what a file of JSON says.

    Raises:
        UsageError: It cannot be read, or is no JSON; the place is named.
    """
    try:
        return msgspec.json.decode(path.read_bytes())
    except OSError as exc:
        raise UsageError(f"cannot read {path}: {exc.strerror or exc}", hint="name a file of JSON") from exc
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
        hint = "documents are read as JSON, which YAML can be turned into by any of its tools"
        raise UsageError(f"{path} is no JSON: {exc}", hint=hint) from exc


def check_session(
    session: Session,
    document: Any,
    *,
    types: Iterable[str] | None = None,
    exclude: Iterable[str] = (),
    is_clients: bool = False,
) -> CheckResult:
    """Check every frame of a session against a document, both directions, in one pass and in bounded memory.

    Args:
        session: Sealed or still growing.
        document: An AsyncAPI document, a JSON Schema, or schemas by type, as JSON gives it.
        types: Only messages of these types; None is all.
        exclude: No messages of these types.
        is_clients: An AsyncAPI 3 document describes a client, not the server.

    Raises:
        UsageError: The document is wrong, or jsonschema-rs is not installed.
        SessionError: The session cannot be read.
    """
    _check_installed()
    identity = session.store.identity()
    contract = read_contract(document, identity.dialect.type_path, is_clients=is_clients)
    check = _Check(contract, CheckResult(identity.id, contract.form))
    for payload in payloads(session.store, types=types, exclude=exclude):
        check.add(payload)
    return check.result()


def _check_installed() -> None:
    if find_spec("jsonschema_rs") is None:
        raise UsageError(
            "jsonschema-rs is not installed, and events are checked with it", hint="pip install 'wsrecorder[schema]'"
        )


class _Check:
    def __init__(self, contract: Contract, result: CheckResult) -> None:
        self._contract = contract
        self._result = result
        self._validators = _validators(contract)
        self._chosen: dict[tuple[Direction, Frame, str | None], list[jsonschema_rs.Validator | None]] = {}
        self._findings: dict[tuple[str, str, str, str], Finding] = {}

    def add(self, payload: Payload) -> None:
        """Check one frame."""
        result = self._result
        key = (payload.direction, payload.frame, payload.type)
        validators = self._chosen.get(key)
        if validators is None:
            validators = [self._validators[rule] for rule in self._contract.rules_for(*key)]
            if len(self._chosen) < _MOST_TYPES:
                self._chosen[key] = validators
        value = payload.value
        if not payload.is_strict:
            result.lenient += 1
            value = finite(value)
        if not validators:
            self._count_unknown(payload)
        elif payload.frame is Frame.BINARY or any(each is None or each.is_valid(value) for each in validators):
            result.valid += 1
        else:
            result.broken += 1
            self._explain(payload, value, [each for each in validators if each is not None])

    def result(self) -> CheckResult:
        """Return what came of all frames."""
        self._result.findings = sorted(self._findings.values(), key=lambda finding: -finding.count)
        return self._result

    def _count_unknown(self, payload: Payload) -> None:
        if payload.frame in (Frame.TEXT, Frame.BINARY):
            self._result.unreadable += 1
            return
        name = _name(payload)
        if name not in self._result.unknown and len(self._result.unknown) >= _MOST_TYPES:
            name = _OTHER
        self._result.unknown[name] += 1

    def _explain(self, payload: Payload, value: Any, validators: list[jsonschema_rs.Validator]) -> None:
        """Note what is wrong, by the schema that comes nearest."""
        name = _name(payload)
        found: dict[tuple[str, str, str, str], str] = {}
        try:
            for error in min((list(islice(each.iter_errors(value), _MOST_ERRORS)) for each in validators), key=len):
                found.setdefault(_explained(name, error), _shown(error.instance))
        except ValueError:  # more than 255 levels are checked, but not explained
            found = {(name, "", "", "breaks it, and is nested too deeply to say where"): _TOO_DEEP}
        for key, shown in found.items():
            if key not in self._findings and len(self._findings) >= _MOST_FINDINGS:
                key = (_OTHER, "", "", "breaks it in yet another way")
            finding = self._findings.setdefault(key, Finding(*key, count=0, seq=payload.seq, value=shown))
            finding.count += 1


def _name(payload: Payload) -> str:
    return f"({payload.frame})" if payload.type is None else payload.type


def _explained(name: str, error: jsonschema_rs.ValidationError) -> tuple[str, str, str, str]:
    parts = list(error.instance_path)
    keyword = error.kind.name
    if keyword == "required":
        missing = getattr(error.kind, "property", None)
        return name, _path([*parts, str(missing)]), keyword, "is missing"
    return name, _path(parts), keyword, error.message.removeprefix(f"{_MASK} ")


def _path(parts: list[str | int]) -> str:
    path = ""
    for part in parts:
        path += "[]" if isinstance(part, int) else f".{part}" if path else part
    return path


def _shown(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _validators(contract: Contract) -> dict[Rule, jsonschema_rs.Validator | None]:
    """Return a validator for each rule; None where anything is allowed.

    Nothing is ever fetched: neither the registry nor a validator may, whatever a document refers to.
    """
    import jsonschema_rs  # of an extra

    registry = None
    made: dict[Rule, jsonschema_rs.Validator | None] = {}
    for rule in contract.rules:
        if rule.place is None:
            made[rule] = None
            continue
        try:
            if contract.form is not Form.ASYNCAPI:
                schema = at(contract.document, rule.place)
                made[rule] = jsonschema_rs.validator_for(schema, offline=True, validate_formats=True, mask=_MASK)
                continue
            registry = registry or jsonschema_rs.Registry(
                [(_DOCUMENT, contract.document)], draft=jsonschema_rs.Draft7, retriever=_refuse
            )
            made[rule] = jsonschema_rs.Draft7Validator(
                {"$ref": _DOCUMENT + show_place(rule.place)},
                registry=registry,
                offline=True,
                validate_formats=True,
                mask=_MASK,
            )
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as exc:
            raise _wrong(contract, rule.place, exc) from exc
    return made


def _refuse(uri: str) -> Any:
    raise ValueError(f"nothing is fetched: {uri}")


def _wrong(contract: Contract, place: Place, exc: Exception) -> UsageError:
    """Return what is wrong with a schema, and where."""
    root: Place = place if contract.form is Form.TYPES else ()
    document = at(contract.document, root)
    inner = broken_reference(document, place[len(root) :]) or broken_reference(document, ())
    if inner is not None:
        return inner if not root else UsageError(f"schema of type {root[0]}: {inner.message}", hint=inner.hint)
    where = (*root, *getattr(exc, "instance_path", ()))
    said = str(getattr(exc, "message", exc)).splitlines()[0]
    if said.startswith(f"{_MASK} "):
        said = _shown(getattr(exc, "instance", None)) + said.removeprefix(_MASK)
    return UsageError(f"{show_place(where or place)}: {said}", hint=_HINT)
