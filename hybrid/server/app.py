"""The application: routes, errors, the page, and what begins and ends with it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.openapi.utils import get_openapi
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from hybrid.errors import HybridError
from hybrid.server import schemas
from hybrid.server.guard import Guard
from hybrid.server.hosting import Hosted
from hybrid.server.keys import KeyRing
from hybrid.server.metrics import MEDIA_TYPE as METRICS
from hybrid.server.metrics import Metrics
from hybrid.server.problems import MEDIA_TYPE, Problem, problem_of
from hybrid.server.routes import answer, router
from hybrid.server.settings import Settings
from hybrid.version import __version__

logger = logging.getLogger("hybrid.server")
PAGE = Path(__file__).parent / "page"


def build_app(indexes: Mapping[str, Path], settings: Settings, keys: KeyRing) -> tuple[FastAPI, Guard]:
    """Return the application over indexes by name, and the guard in front of it, which is what a server runs.

    The indexes are opened now, and closed when the application ends.

    Raises:
        HybridError: an index cannot be opened; none is open then.
    """
    metrics = Metrics()
    app = FastAPI(
        title="hybrid",
        version=__version__,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        strict_content_type=True,
    )
    app.state.settings, app.state.keys, app.state.metrics = settings, keys, metrics
    app.state.hosted = _opened(indexes, settings, metrics)
    app.include_router(router)
    _about_itself(app, metrics)
    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    app.add_exception_handler(RequestValidationError, _invalid)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _refused)  # type: ignore[arg-type]
    for known in (Problem, HybridError, Exception):
        app.add_exception_handler(known, _failed)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    inner: Any = app
    if settings.origins:
        methods, headers = ["GET", "POST", "PUT", "DELETE"], ["authorization", "content-type"]
        inner = CORSMiddleware(
            app, allow_origins=settings.origins, allow_methods=methods, allow_headers=headers
        )
    guard = Guard(inner, settings, keys, metrics)
    app.state.guard = guard
    return app, guard


def _opened(indexes: Mapping[str, Path], settings: Settings, metrics: Metrics) -> dict[str, Hosted]:
    hosted: dict[str, Hosted] = {}
    try:
        for name, path in indexes.items():
            hosted[name] = Hosted(name, path, settings, metrics)
    except BaseException:
        for each in hosted.values():
            each.index.close()
        raise
    return hosted


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for hosted in app.state.hosted.values():
            stack.push_async_callback(hosted.close)
            hosted.keep_fresh()
        yield


def _about_itself(app: FastAPI, metrics: Metrics) -> None:
    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return Response((PAGE / "index.html").read_bytes(), media_type="text/html; charset=utf-8")

    @app.get("/health", response_model=schemas.Status)
    async def health() -> Response:
        """Say that the process answers."""
        return answer({"status": "ok"})

    @app.get("/ready", response_model=schemas.Status)
    async def ready(request: Request) -> Response:
        """Say whether new requests are welcome: not any more when the server is stopping."""
        if request.app.state.guard.draining:
            raise Problem(503, "stopping", "the server is stopping", {"retry-after": "1"})
        return answer({"status": "ready"})

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def measured() -> Response:
        """Return the server's figures for Prometheus."""
        return Response(metrics.text(), headers={"content-type": METRICS})


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    """Say which fields are wrong, without repeating what was sent."""
    errors = error.errors()
    told = [f"{'.'.join(map(str, each['loc'][1:])) or 'the body'}: {each['msg']}" for each in errors[:10]]
    kinds = {each["type"] for each in errors}
    if "json_invalid" in kinds:
        return _as_response(Problem(400, "json", f"the body is not JSON: {'; '.join(told)}"))
    return _as_response(Problem(422, "input", "; ".join(told) or "the request is not accepted"))


async def _refused(request: Request, error: HTTPException) -> Response:
    kinds = {404: "no-such-path", 405: "method"}
    kind = kinds.get(error.status_code, "json" if error.status_code == 400 else "request")
    return _as_response(Problem(error.status_code, kind, str(error.detail), dict(error.headers or {})))


async def _failed(request: Request, error: Exception) -> Response:
    problem = problem_of(error)
    if problem.status >= 500 and not isinstance(error, Problem):
        logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _as_response(problem)


def _as_response(problem: Problem) -> Response:
    headers = {"cache-control": "no-store", **problem.headers}
    return Response(problem.body(), problem.status, headers, MEDIA_TYPE)


_PROBLEMS = {
    400: "The body is not JSON",
    401: "No key, or one that is not known",
    403: "The key, or the server, does not allow it",
    404: "There is no such index or document",
    408: "The request did not arrive in time",
    409: "An id is there already, a document has another version, or another writer is at work",
    413: "The request is too large",
    415: "The body is not declared as JSON",
    421: "Another host was asked for",
    422: "A value is not accepted",
    429: "Too many requests",
    500: "The server failed",
    502: "No branch could answer",
    503: "The server is busy or stopping; Retry-After says when to try again",
    504: "It took longer than the server's deadline, or the server was stopped",
}


def _described(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI description, in which every operation may also answer with a problem."""
    if app.openapi_schema is None:
        described = get_openapi(title="hybrid", version=__version__, routes=app.routes)
        parts = described["components"]
        parts["schemas"]["Problem"] = schemas.Problem.model_json_schema()
        for unused in ("HTTPValidationError", "ValidationError"):
            parts["schemas"].pop(unused, None)
        parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        for operations in described["paths"].values():
            for operation in operations.values():
                operation["security"] = [{"key": []}, {}]
                for status, text in _PROBLEMS.items():
                    operation["responses"][str(status)] = {"description": text, "content": content}
        app.openapi_schema = described
    return app.openapi_schema
