"""The page of a report: one HTML file that needs nothing else, no network either.

Everything a recording says (types, causes, states, ids) is text of strangers. In the tables it is escaped as HTML;
what plots show goes as JSON without any ``<``, and is escaped once more because Plotly reads tags in its texts. Should
something slip through, the page's content security policy runs no script but its own, which it names by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from importlib import import_module
from importlib.resources import files
from importlib.util import find_spec
from typing import Any, Final

from wsrecorder.analysis.report_figures import Report
from wsrecorder.analysis.report_plot import Plot
from wsrecorder.analysis.report_plots import plots
from wsrecorder.analysis.report_tables import ReportTable, tables, tiles
from wsrecorder.analysis.report_words import show_s
from wsrecorder.errors import UsageError

__all__ = ["check_plotly", "render_page"]

_SCRIPT_SAFE: Final = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


def render_page(report: Report) -> str:
    """Return a report as an HTML page.

    Raises:
        UsageError: Plotly is not installed.
    """
    plotly = _plotly()
    drawn = plots(report)
    own = _content("report.js")
    figures = {plot.id: {"data": plot.traces, "layout": plot.layout} for plot in drawn if plot.traces}
    body = "\n".join([
        _header(report), *map(_plot_section, drawn), *map(_table_section, tables(report)), _footer(report)
    ])  # fmt: skip
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(_policy(plotly, own))}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="wsrec report">
<title>{escape(report.session.id)}: wsrec report</title>
<link rel="icon" href="data:,">
<style>{_content("report.css")}</style>
</head>
<body>
<main>
{body}
</main>
<script type="application/json" id="plots">{_json(figures)}</script>
<script>{plotly}</script>
<script>{own}</script>
</body>
</html>
"""


def check_plotly() -> None:
    """See whether a page can be made, before the figures are.

    Raises:
        UsageError: Plotly is not installed.
    """
    if find_spec("plotly") is None:
        raise UsageError(
            "plotly is not installed, and the plots of a report are drawn with it",
            hint="pip install 'wsrecorder[report]'; --json gives the same figures without it",
        )


def _plotly() -> str:
    """Return plotly.js, as the package carries it."""
    check_plotly()
    # Nothing but this page needs it. The package carries no types, so it is looked up by name.
    script: str = import_module("plotly.offline").get_plotlyjs()
    return script


def _policy(*scripts: str) -> str:
    hashes = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts)
    # Plotly writes style sheets of its own, and draws pictures into data: and blob: addresses.
    return f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'"


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _content(name: str) -> str:
    return (files("wsrecorder.analysis") / "page" / name).read_text(encoding="utf-8")


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":")).translate(_SCRIPT_SAFE)


def _header(report: Report) -> str:
    session = report.session
    shown = "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span></div>' for name, value in tiles(report)
    )
    return f"""<header>
<h1>{escape(session.name or session.id)}<span class="state">{escape(session.state)}</span></h1>
<p class="feed" title="{escape(session.feed)}">{escape(session.feed or "unknown feed")}</p>
<p>{escape(_minute(session.start))} to {escape(_minute(session.end))} UTC</p>
</header>
<div class="tiles">{shown}</div>"""


def _minute(moment: str) -> str:
    return moment[:19].replace("T", " ")


def _plot_section(plot: Plot) -> str:
    if plot.traces:
        # The height stands in the page, so that nothing moves when the plot is drawn.
        inside = f'<div class="plot" id="{plot.id}" style="height:{plot.layout["height"]}px"></div>'
    else:
        inside = f'<p class="empty">{escape(plot.empty)}</p>'
    return f"<section>\n<h2>{escape(plot.title)}</h2>\n<p>{escape(plot.says)}</p>\n{inside}\n</section>"


def _table_section(table: ReportTable) -> str:
    if not table.rows:
        inside = f'<p class="empty">{escape(table.empty)}</p>'
    else:
        inside = f'<div class="scroll"><table>{_head(table)}<tbody>\n{_rows(table)}\n</tbody></table></div>'
    return f"<section>\n<h2>{escape(table.title)}</h2>\n<p>{escape(table.says)}</p>\n{inside}\n</section>"


def _head(table: ReportTable) -> str:
    if not table.columns:
        return ""
    cells = "".join(
        f'<th scope="col"{_number(table, column)}>{escape(name)}</th>' for column, name in enumerate(table.columns)
    )
    return f"<thead><tr>{cells}</tr></thead>"


def _rows(table: ReportTable) -> str:
    return "\n".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td{_number(table, column)}>{escape(cell)}</td>" for column, cell in enumerate(row[1:], start=1))
        + "</tr>"
        for row in table.rows
    )


def _number(table: ReportTable, column: int) -> str:
    return ' class="number"' if column in table.numbers else ""


def _footer(report: Report) -> str:
    return (
        "<noscript><p>The plots need JavaScript; the tables do not.</p></noscript>\n"
        f"<footer>Drag over a plot to look closer: all plots over time follow; a double click shows the whole session. "
        f"A bin of time is {escape(show_s(report.bin_s))} wide.</footer>"
    )
