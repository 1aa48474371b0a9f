"""The routes. `service` is the agent, as far as it is asked; see OpenAPI at /openapi.json."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Protocol

from fastapi import Depends, FastAPI, HTTPException, Path, Query, Request, Response, Security
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from moteye import __version__
from moteye.actions.links import FeedbackLinks
from moteye.api import pages, problems
from moteye.api.events import History, event_of, stream
from moteye.api.metrics import Measured, exposition
from moteye.api.problems import responses
from moteye.api.tokens import Token, Tokens
from moteye.errors import FeedbackError

MOST_CURSOR = 2**62
LONGEST_STREAM_S = 3600.0
Cursor = Annotated[int, Query(ge=0, le=MOST_CURSOR, description="everything behind this cursor")]
PolicyName = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
DeviceId = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
_bearer = HTTPBearer(auto_error=False, description="made by `moteye tokens add`")


class Service(History, Measured, Protocol):
    """What the API needs of the agent."""

    def ready(self) -> str:
        """Nothing when it does its work, else what it waits for."""

    def stalled(self) -> str:
        """What stands still that should go on, or nothing."""

    def cameras(self) -> list[Mapping[str, Any]]:
        """Every camera that is known."""

    def policies(self) -> dict[str, bool]:
        """Every policy, and whether it is on."""

    async def switch(self, policy: str, *, on: bool) -> bool:
        """Switch a policy; False where there is none of that name."""

    def install(self, camera: str) -> bool:
        """Bring the wanted prototype set onto a camera; False where it is not known."""

    async def acknowledge(self, what: str) -> list[str]:
        """Somebody has seen an alert, by id or tag; the ids whose escalation ends."""

    async def feedback(self, request: dict[str, str]) -> Mapping[str, Any]:
        """Take what somebody says of an alert, or take it back. Raises FeedbackError."""

    async def given_up(self, limit: int) -> list[Mapping[str, Any]]:
        """Actions that were given up, or of which nobody knows."""

    async def ask_again(self, decision: str, *, unknown: bool) -> int:
        """Ask for another attempt; how many actions."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Acknowledgement(_Strict):
    """An alert's id, its first letters (4 or more), or a tag `policy/camera`."""

    what: str


class Feedback(_Strict):
    """What an alert was: its id, and known, wrong, right or a name for what was seen."""

    event: Annotated[str, Field(pattern=r"^[0-9a-f]{4,64}$")]
    said: Annotated[str, Field(min_length=1, max_length=64)]


class Switch(_Strict):
    """Whether a policy is on."""

    on: bool


class Retry(_Strict):
    """`unknown`: those, too, that may have been done already."""

    unknown: bool = False


def make_app(
    service: Service,
    tokens: Tokens,
    *,
    links: FeedbackLinks | None = None,
    longest_stream_s: float = LONGEST_STREAM_S,
) -> FastAPI:
    """The application; all but health checks and `links` want a token with the route's scope."""
    app = FastAPI(
        title="moteye",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        responses=responses(422),
        description="What cameras saw and what was decided. Errors are problem documents.",
    )
    problems.install(app)
    _health(app, service)
    _reading(app, service, tokens, longest_stream_s)
    _acting(app, service, tokens)
    if links is not None:
        pages.install(app, service, links)
    _describe(app)
    return app


def needs(tokens: Tokens, scope: str) -> Callable[..., Awaitable[Token]]:
    """A dependency: a token with `scope`, else 401 or 403."""

    async def check(
        given: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    ) -> Token:
        token = tokens.find(given.credentials) if given is not None else None
        if token is None:
            raise HTTPException(401, "a token is wanted", {"www-authenticate": "Bearer"})
        if scope not in token.scopes:
            raise HTTPException(403, f"this token lacks the scope {scope!r}")
        return token

    return check


def _health(app: FastAPI, service: Service) -> None:
    @app.get("/healthz", summary="Whether the work goes on", responses=responses(503))
    async def healthz() -> dict[str, str]:
        stalled = service.stalled()
        if stalled:
            raise HTTPException(503, f"{stalled} stands still")
        return {"status": "ok"}

    @app.get("/readyz", summary="Whether decisions are made", responses=responses(503))
    async def readyz() -> dict[str, str]:
        missing = service.ready()
        if missing:
            raise HTTPException(503, missing)
        return {"status": "ready"}


def _reading(app: FastAPI, service: Service, tokens: Tokens, longest_s: float) -> None:
    read = [Depends(needs(tokens, "read"))]
    refusals = responses(401, 403, 503)

    @app.get("/api/v1/events", dependencies=read, summary="Decisions as they are made",
             responses={**refusals, 200: {"content": {"text/event-stream": {}}}},
             response_class=StreamingResponse)  # fmt: skip
    async def events(
        request: Request,
        after: Cursor = 0,
        policy: str | None = None,
        suppressed: bool = False,
        follow: bool = True,
    ) -> StreamingResponse:
        """Server-sent events, each a CloudEvents envelope whose `id:` is the cursor to resume at.

        `Last-Event-ID` counts for more than `after`. Alerts only, unless `suppressed`.
        """
        last = request.headers.get("last-event-id", "")
        if last.isascii() and last.isdigit() and int(last) <= MOST_CURSOR:
            after = int(last)
        lines = stream(
            service,
            after,
            policy=policy,
            fired=not suppressed,
            follow=follow,
            longest_s=longest_s,
            gone=request.is_disconnected,
        )
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(lines, media_type="text/event-stream", headers=headers)

    @app.get("/api/v1/decisions", dependencies=read, responses=refusals,
             summary="A page of decisions, oldest first")  # fmt: skip
    async def decisions(
        after: Cursor = 0,
        policy: str | None = None,
        suppressed: bool = False,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> list[dict[str, Any]]:
        found = await service.decisions_after(
            after, policy=policy, fired=not suppressed, limit=limit
        )
        return [event_of(cursor, decision) for cursor, decision in found]

    @app.get("/api/v1/cameras", dependencies=read, responses=refusals, summary="Cameras")
    async def cameras() -> list[dict[str, Any]]:
        return [dict(camera) for camera in service.cameras()]

    @app.get("/api/v1/policies", dependencies=read, responses=refusals,
             summary="Policies, and whether each is on")  # fmt: skip
    async def policies() -> dict[str, bool]:
        return service.policies()

    @app.get("/api/v1/actions/given-up", dependencies=read, responses=refusals,
             summary="Actions that were not delivered")  # fmt: skip
    async def given_up(
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> list[dict[str, Any]]:
        return [dict(row) for row in await service.given_up(limit)]

    @app.get("/metrics", dependencies=[Depends(needs(tokens, "metrics"))],
             responses={**responses(401, 403), 200: {"content": {"text/plain": {}}}},
             response_class=Response, summary="Metrics for Prometheus")  # fmt: skip
    async def metrics() -> Response:
        return Response(exposition(service), media_type="text/plain; version=0.0.4")


def _acting(app: FastAPI, service: Service, tokens: Tokens) -> None:
    act = [Depends(needs(tokens, "act"))]
    refusals = responses(400, 401, 403, 404, 503)

    @app.post("/api/v1/acknowledge", dependencies=act, responses=refusals,
              summary="End the escalation of an alert")  # fmt: skip
    async def acknowledge(told: Acknowledgement) -> list[str]:
        return await service.acknowledge(told.what)

    @app.post("/api/v1/feedback", dependencies=act, responses=refusals,
              summary="Say of an alert what it was")  # fmt: skip
    async def feedback(told: Feedback) -> dict[str, Any]:
        try:
            return dict(await service.feedback(told.model_dump()))
        except FeedbackError as error:
            raise HTTPException(404, str(error)) from error

    @app.put("/api/v1/policies/{name}", dependencies=act, responses=refusals,
             summary="Switch a policy on or off")  # fmt: skip
    async def switch(name: PolicyName, told: Switch) -> dict[str, bool]:
        if not await service.switch(name, on=told.on):
            raise HTTPException(404, f"there is no policy {name!r}")
        return service.policies()

    @app.post("/api/v1/cameras/{camera}/install", dependencies=act, responses=refusals,
              status_code=202, summary="Bring the latest prototype set onto a camera")  # fmt: skip
    async def install(camera: DeviceId) -> dict[str, str]:
        if not service.install(camera):
            raise HTTPException(404, f"there is no camera {camera!r}")
        return {"status": "asked"}

    @app.post("/api/v1/actions/{decision}/retry", dependencies=act, responses=refusals,
              status_code=202, summary="Try actions again that were given up")  # fmt: skip
    async def retry(
        decision: Annotated[str, Path(pattern=r"^[0-9a-f]{4,64}$")], told: Retry
    ) -> dict[str, int]:
        count = await service.ask_again(decision, unknown=told.unknown)
        if not count:
            raise HTTPException(404, f"nothing given up whose id begins with {decision!r}")
        return {"asked": count}


def _describe(app: FastAPI) -> None:
    """The description with the problem's schema in place of FastAPI's own errors."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        schema = plain()
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = problems.Problem.model_json_schema()
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        return schema

    app.openapi = described  # type: ignore[method-assign]
