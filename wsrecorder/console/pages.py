"""The page, what it is made of, and the description of the interface; all of it out of installed packages."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from wsrecorder.console.answers import Refusal

__all__ = ["serve_pages"]

_STATIC: Final = Path(__file__).parent / "static"
_SWAGGER: Final = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png")

# Without inline script, which our policy forbids.
_DOCS: Final = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>wsrec: the HTTP interface</title>
  <link rel="icon" href="/docs/favicon-32x32.png">
  <link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
  <div id="swagger-ui"></div>
  <script src="/docs/swagger-ui-bundle.js"></script>
  <script src="/docs/start.js"></script>
</body>
</html>
"""
_START: Final = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  presets: [SwaggerUIBundle.presets.apis],
  deepLinking: true,
  validatorUrl: null,
});
"""


def serve_pages(app: FastAPI) -> None:
    """Have the page, its parts and ``/docs`` served."""
    router = APIRouter(include_in_schema=False)
    router.add_api_route("/", _page)
    router.add_api_route("/plotly.min.js", _plotly)
    router.add_api_route("/docs", _docs)
    router.add_api_route("/docs/{name}", _docs_part)
    app.include_router(router)
    app.mount("/static", StaticFiles(directory=_STATIC))


async def _page() -> FileResponse:
    return FileResponse(_STATIC / "index.html")


async def _plotly() -> FileResponse:
    path = _package("plotly") / "package_data" / "plotly.min.js"
    # 5 MB, and the same until it is installed anew.
    return FileResponse(path, media_type="text/javascript", headers={"Cache-Control": "private, max-age=3600"})


async def _docs() -> HTMLResponse:
    return HTMLResponse(_DOCS)


async def _docs_part(name: str) -> Response:
    if name == "start.js":
        return Response(_START, media_type="text/javascript")
    found = sorted(_package("swagger_ui_bundle").glob(f"vendor/*/{name}")) if name in _SWAGGER else []
    if not found:
        raise Refusal(404, f"there is nothing at /docs/{name}", hint="/docs describes the interface")
    return FileResponse(found[0])


def _package(name: str) -> Path:
    """Return the folder of a package, which is not imported: it would cost a second for one file of it."""
    spec = find_spec(name)
    assert spec is not None, f"the extra console brings {name}"
    assert spec.submodule_search_locations, f"{name} is a package"
    return Path(next(iter(spec.submodule_search_locations)))
