"""DuckDB's SQL as Spark's: the views (`wsrecorder.analysis.views`) and queries over them, for another engine.

There is one definition of each view, in DuckDB's dialect. sqlglot parses it and writes it for Spark; what it leaves as
it was, or means something else there, is rewritten here, each with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import msgspec
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from wsrecorder.analysis.views import MACROS
from wsrecorder.errors import UsageError

__all__ = ["to_spark"]

_MACRO: Final = re.compile(r"CREATE TEMP MACRO (\w+)\((\w+)\) AS (.*)", re.DOTALL)


def to_spark(query: str, tables: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return a query in Spark's SQL that gives the rows which DuckDB gives for this one.

    Args:
        query: One ``SELECT``, in DuckDB's SQL; it may use the macros of the views.
        tables: What stands there under another name: its name in the query, and its name there.

    Raises:
        UsageError: It is no query, or one that cannot be said in Spark's SQL.
    """
    try:
        tree = sqlglot.parse_one(query, read="duckdb")
        if not isinstance(tree, exp.Query):
            raise UsageError("found a statement that is no query", hint="write a SELECT")
        for table in tree.find_all(exp.Table):
            if table.name in tables:
                name, renamed = table.alias_or_name, exp.to_table(tables[table.name])
                table.replace(exp.alias_(renamed, name, table=True))
        return _rewritten(tree).sql(dialect="spark", comments=False, unsupported_level=sqlglot.ErrorLevel.RAISE)
    except SqlglotError as exc:
        reason = str(exc).splitlines()[0]
        raise UsageError(
            f"the query cannot be translated from DuckDB's SQL to Spark's: {reason}",
            hint="write it more plainly, or leave out --engine spark",
        ) from exc


def _rewritten(tree: exp.Expr) -> exp.Expr:
    """Return a tree with all that `_REWRITES` and `_FUNCTIONS` name rewritten, from the leaves up."""
    for node in reversed(list(tree.dfs())):
        key = node.name.lower() if isinstance(node, exp.Anonymous) else ""
        rewrite = _FUNCTIONS.get(key) or _REWRITES.get(type(node))
        made = node if rewrite is None else rewrite(node)
        if made is not node:
            if node is tree:
                tree = made
            else:
                node.replace(made)
    return tree


def _parsed(node: exp.TryCast) -> exp.Expr:
    """``TRY_CAST(text AS JSON)`` is the text itself, where it is JSON: Spark keeps JSON as text."""
    if not node.to.is_type("json"):
        return node
    if isinstance(node.parent, (exp.JSONExtract, exp.JSONExtractScalar)):
        text: exp.Expr = node.this
        return text  # get_json_object makes null of what is none
    return exp.case().when(_known(exp.func("try_parse_json", _quoted(node.this.copy()))), node.this)


def _first_known(node: exp.AnyValue) -> exp.Expr:
    """``any_value``: the first that is not null, said in a form beside which Spark allows a FILTER."""
    return exp.func("first", node.this, exp.true())


def _best_known(node: exp.ArgMax | exp.ArgMin) -> exp.Expr:
    """``arg_max``: DuckDB passes over rows whose value is null, Spark over those whose key is null."""
    return type(node)(this=node.this, expression=exp.case().when(_known(node.this.copy()), node.expression))


def _ignoring_nulls(node: exp.IgnoreNulls) -> exp.Expr:
    """What sqlglot puts around ``any_value``, and `_first_known` says itself."""
    return node.this if isinstance(node.this, exp.First) else node


def _plain(node: exp.CTE) -> exp.Expr:
    """A ``WITH … AS MATERIALIZED``: Spark decides that itself."""
    node.set("materialized", None)
    return node


def _moment(node: exp.Anonymous) -> exp.Expr:
    """A macro of the views, written out."""
    parameter, body = _macro(node.name.lower())
    made = body.copy()
    for column in list(made.find_all(exp.Column)):
        if column.name == parameter:
            column.replace(node.expressions[0].copy())
    return made


def _from_microseconds(node: exp.Anonymous) -> exp.Expr:
    """``make_timestamptz(µs)``; DuckDB rounds a number with a fraction to a whole one, Spark would cut it."""
    [argument] = node.expressions
    number = argument.this if isinstance(argument, exp.Cast) else argument
    return exp.func("timestamp_micros", exp.cast(exp.func("round", number), "bigint"))


def _json_transform(node: exp.Anonymous) -> exp.Expr:
    """Spark's ``from_json`` takes no number out of quotes, so all is read as text first, and cast field by field."""
    text, shape = node.expressions
    read = msgspec.json.decode(shape.name)
    texts = exp.func("from_json", _quoted(text), exp.Literal.string(_type(read, str_only=True)))
    # "safe" is what makes sqlglot write TRY_CAST and not CAST.
    return exp.TryCast(this=texts, to=exp.DataType.build(_type(read), dialect="spark"), safe=True)


def _quoted(text: exp.Expr) -> exp.Expr:
    """``NaN`` and its like are no JSON, but are sent, and DuckDB reads them; so where one is a value it gets quotes."""
    bare, quoted = r"(?<=[:\[,])\s*(NaN|-?Infinity)(?=\s*[,\]}])", '"$1"'
    return exp.func("regexp_replace", text, exp.Literal.string(bare), exp.Literal.string(quoted))


def _type(shape: Any, *, str_only: bool = False) -> str:
    """Return Spark's type for a shape of ``json_transform``."""
    if isinstance(shape, dict):
        fields = ", ".join(f"`{name}`: {_type(inner, str_only=str_only)}" for name, inner in shape.items())
        return f"STRUCT<{fields}>"
    if isinstance(shape, list):
        return f"ARRAY<{_type(shape[0], str_only=str_only)}>"
    return "STRING" if str_only or shape in ("VARCHAR", "JSON") else str(shape)


def _known(value: exp.Expr) -> exp.Expr:
    return exp.Not(this=exp.Is(this=value, expression=exp.null()))


@cache
def _macro(name: str) -> tuple[str, exp.Expr]:
    """Return the parameter and the body of one of the views' macros."""
    made = next(made for made in map(_MACRO.fullmatch, MACROS) if made is not None and made[1] == name)
    return made[2], _rewritten(sqlglot.parse_one(made[3], read="duckdb"))


_Rewrite = Callable[[Any], exp.Expr]

_REWRITES: Final = MappingProxyType[type[exp.Expr], _Rewrite](
    {
        exp.TryCast: _parsed,
        exp.Try: lambda node: node.this,  # what cannot be read is null already
        exp.AnyValue: _first_known,
        exp.IgnoreNulls: _ignoring_nulls,
        exp.ArgMax: _best_known,
        exp.ArgMin: _best_known,
        exp.CTE: _plain,
        exp.PercentileCont: lambda node: exp.func("percentile", node.this, node.expression),
    }
)

_FUNCTIONS: Final = MappingProxyType[str, _Rewrite](
    {
        "json_transform": _json_transform,
        "moment": _moment,
        "make_timestamptz": _from_microseconds,
        "epoch_us": lambda node: exp.func("unix_micros", *node.expressions),
        "strlen": lambda node: exp.func("octet_length", *node.expressions),
    }
)
