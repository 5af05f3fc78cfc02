"""Settings from ``wsrec.toml`` and the environment: defaults < file < environment < flags.

The file holds a table for each command with its options by their long names, and top-level keys for
options that several commands share::

    library = "/data/recordings"

    [record]
    stall = "60s"
    subprotocol = ["v2"]

In the environment the same are ``WSREC_LIBRARY``, ``WSREC_RECORD_STALL``, ``WSREC_RECORD_SUBPROTOCOL``
(several values a line each).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from wsrecorder.errors import UsageError

__all__ = ["SETTINGS_NAME", "read_settings"]

SETTINGS_NAME: Final = "wsrec.toml"


def read_settings(
    path: Path, environment: Mapping[str, str], commands: Mapping[str, Mapping[str, bool]]
) -> dict[str, dict[str, Any]]:
    """Return the defaults of each command, by parameter name (dashes as underscores).

    Args:
        path: The file; it need not be there.
        environment: Variables of the process.
        commands: The parameters of each command, and whether they take several values.

    Raises:
        UsageError: The file is not TOML, or names a command or option that does not exist.
    """
    content = _read_file(path)
    shared = {_parameter(key): value for key, value in content.items() if not isinstance(value, dict)}
    tables = {key: value for key, value in content.items() if isinstance(value, dict)}
    _refuse_unknown(path, "a shared option", shared, set[str]().union(*commands.values()))
    _refuse_unknown(path, "a command", tables, set(commands))
    settings: dict[str, dict[str, Any]] = {}
    for command, parameters in commands.items():
        own = {_parameter(key): value for key, value in tables.get(command, {}).items()}
        _refuse_unknown(path, f"an option of {command}", own, set(parameters))
        known = {key: value for key, value in shared.items() if key in parameters} | own
        settings[command] = known | _from_environment(environment, command, parameters)
    return settings


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise UsageError(f"cannot read {path}: {exc}", hint="mend the file or move it away") from exc


def _from_environment(
    environment: Mapping[str, str], command: str, parameters: Mapping[str, bool]
) -> dict[str, str | list[str]]:
    found: dict[str, str | list[str]] = {}
    for parameter, is_multiple in parameters.items():
        value = environment.get(f"WSREC_{command}_{parameter}".upper())
        if value is not None:
            found[parameter] = value.splitlines() if is_multiple else value
    return found


def _parameter(key: str) -> str:
    return key.replace("-", "_")


def _refuse_unknown(path: Path, what: str, found: dict[str, Any], known: set[str]) -> None:
    unknown = sorted(set(found) - known)
    if unknown:
        raise UsageError(
            f"{path} sets {unknown[0]!r}, which is not {what}", hint='"wsrec COMMAND --help" lists the options'
        )
