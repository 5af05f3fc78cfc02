"""Options of commands that record: what must not reach the disk."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from wsrecorder.cli.access_options import from_variable, read_secret_file
from wsrecorder.cli.output import say, show_count, show_number
from wsrecorder.core.redaction_rules import NOT_JSON, BatchRedactor, RedactionRules
from wsrecorder.core.stand_ins import StandIns
from wsrecorder.errors import UsageError

__all__ = ["KeepShape", "Redact", "SecretEnv", "SecretFile", "rules_of", "say_redacted"]

_PANEL: Final = "What must not reach the disk"
_SHORT_BYTES: Final = 16

Redact = Annotated[
    list[str] | None,
    typer.Option(
        "--redact", metavar="PATH", rich_help_panel=_PANEL,
        help="Replace this value in payloads before anything is written: data.account.key, * for any. Repeatable.",
    ),
]  # fmt: skip
SecretEnv = Annotated[
    str | None,
    typer.Option(
        "--redact-secret-env", metavar="NAME", rich_help_panel=_PANEL,
        help="Environment variable with the secret that stand-ins are made by; by default a new one each time.",
    ),
]  # fmt: skip
SecretFile = Annotated[
    Path | None,
    typer.Option("--redact-secret-file", metavar="FILE", rich_help_panel=_PANEL, help="File with that secret."),
]
KeepShape = Annotated[
    bool,
    typer.Option(
        "--redact-keep-shape", rich_help_panel=_PANEL,
        help="Letters become letters, digits digits, numbers stay numbers.",
    ),
]  # fmt: skip


def rules_of(
    paths: Sequence[str] | None, variable: str | None, file: Path | None, *, keep_shape: bool
) -> RedactionRules | None:
    """Return what is replaced and by what; None where nothing is.

    Raises:
        UsageError: A path is none, or the secret cannot be had.
    """
    if not paths:
        if variable is not None or file is not None or keep_shape:
            raise UsageError("nothing is to be redacted", hint="name values with --redact data.account.key")
        return None
    if variable is not None and file is not None:
        raise UsageError("the secret of a redaction comes from one place", hint="name a variable or a file")
    if variable is not None:
        secret = from_variable(variable)
    elif file is not None:
        secret = read_secret_file(file)
    else:
        secret = secrets.token_bytes(32)
    if 0 < len(secret) < _SHORT_BYTES:
        say(f"warning: a secret of {len(secret)} bytes can be guessed; use {_SHORT_BYTES} or more")
    rules = RedactionRules(tuple(dict.fromkeys(paths)), StandIns(secret, keep_shape=keep_shape))
    BatchRedactor(rules)  # it looks at the paths
    return rules


def say_redacted(counts: Mapping[str, int]) -> None:
    """Tell how many values were replaced, by path."""
    for path, count in counts.items():
        if path == NOT_JSON:
            if count:
                say(f"warning: {show_count(count)} payloads that are no JSON were replaced as a whole")
        elif count:
            say(f"{path}: {show_number(count, 'value')} replaced")
        else:
            say(f"warning: {path} was found nowhere")
