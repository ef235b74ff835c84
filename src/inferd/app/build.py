"""The FastAPI app for all that is not inference: the documentation pages, the OpenAPI document, the
front page."""

from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException

from inferd import __version__
from inferd.app.openapi import describe
from inferd.models.manager import Manager
from inferd.protocols.base import Dialect

ASSETS = Path(__file__).parent / "assets"
READ = ["GET", "HEAD"]
TYPES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "icon.svg": "image/svg+xml",
}


def build(manager: Manager, dialects: list[Dialect]) -> FastAPI:
    """The app over *manager*'s models; it asks for them anew at each request."""
    app = FastAPI(
        title="inferd", version=__version__, docs_url=None, redoc_url=None, openapi_url=None
    )

    @app.api_route("/openapi.json", methods=READ, include_in_schema=False)
    async def openapi(request: Request) -> JSONResponse:
        return JSONResponse(describe(manager, dialects, request.scope.get("root_path", "")))

    @app.api_route("/docs", methods=READ, include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        root = request.scope.get("root_path", "")
        return get_swagger_ui_html(
            openapi_url=f"{root}/openapi.json",
            title="inferd",
            swagger_js_url=f"{root}/docs/swagger-ui-bundle.js",
            swagger_css_url=f"{root}/docs/swagger-ui.css",
            swagger_favicon_url=f"{root}/docs/icon.svg",
            swagger_ui_parameters={"validatorUrl": None},  # it asks a server of others otherwise
        )

    @app.api_route("/docs/{name}", methods=READ, include_in_schema=False)
    async def asset(name: str) -> FileResponse:
        if name not in TYPES:
            raise HTTPException(404)
        return FileResponse(
            ASSETS / name, media_type=TYPES[name], headers={"cache-control": "max-age=86400"}
        )

    @app.api_route("/", methods=READ, include_in_schema=False)
    async def front(request: Request) -> RedirectResponse:
        return RedirectResponse(f"{request.scope.get('root_path', '')}/docs")

    app.add_exception_handler(HTTPException, _tell)
    return app


async def _tell(request: Request, error: Exception) -> JSONResponse:
    """Errors of the app look like those of the plain protocol."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    text = _TEXTS.get(status, "the server cannot answer this")
    return JSONResponse({"error": text}, status, headers)


_TEXTS = {
    404: "nothing is served at this URL. The page /docs lists what is",
    405: "wrong method for this URL. The page /docs lists what is served",
}
