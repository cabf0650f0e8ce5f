"""Keeps web pages of somebody else from doing anything through the page of this machine.

The page has no login. A browser sends to 127.0.0.1 what any page that is open in it asks for, and
under any name that resolves there (DNS rebinding). Dagster's own server answers every ``Host`` and
takes mutations from every origin, by GET, by a form, and over a websocket. Here each request and
each websocket has to pass four rules before Dagster sees it:

- ``Host`` is a name of this machine, or one that ``GR00T_ASSETS_PAGE_HOSTS`` has.
- ``Origin``, where there is one, is the page itself.
- ``Sec-Fetch-Site`` says the same; from elsewhere a person may follow a link, but only to a page.
- A GET reads: ``/graphql`` takes queries alone by it. A POST carries JSON, which no form can send.

What sends none of these headers is no browser: ``curl`` on this machine can do what the page can.
"""

import os
import re
from collections.abc import Collection, Mapping

from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse
from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gr00t_assets.core.errors import PageError

HOSTS = "GR00T_ASSETS_PAGE_HOSTS"
LOOPBACK = frozenset({"127.0.0.1", "[::1]", "localhost"})

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")
_NOT_PAGES = ("/graphql", "/report_asset_", "/logs/", "/download_debug/", "/notebook", "/dagit/")
_REPORTS = "/report_asset_"
_POLICY_VIOLATION = 1008


def page_hosts(environment: Mapping[str, str] = os.environ) -> frozenset[str]:
    """Names besides those of loopback that the page answers to.

    Examples:
        >>> sorted(page_hosts({"GR00T_ASSETS_PAGE_HOSTS": "page.example.org, 10.0.0.5"}))
        ['10.0.0.5', 'page.example.org']

    Raises:
        PageError: The variable has something else than names.
    """
    names = frozenset(name.strip().lower() for name in environment.get(HOSTS, "").split(",")) - {""}
    for name in names:
        match = _HOST.fullmatch(name)
        if match is None or match[2]:
            remedy = f"write names without port, commas between them: {HOSTS}=page.example.org"
            raise PageError(HOSTS, f"{name!r} is not the name of a host.", [remedy])
    return names


class PageGuard:
    """ASGI middleware with the rules above, for HTTP and websockets of any ``app``.

    ``hosts`` are names that it answers to besides loopback, in lower case, without port.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] = ()) -> None:
        self.app = app
        self.hosts = LOOPBACK | frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or refuse: with a status and a sentence, or by closing the websocket."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        refusal = refuse(scope, self.hosts)
        if refusal is None:
            return await self.app(scope, receive, _unframed(send))
        if scope["type"] == "websocket":
            # Before it was accepted: the server answers 403.
            close = {"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": "refused"}
            return await send(close)
        return await refusal(scope, receive, send)


def refuse(scope: Scope, hosts: Collection[str]) -> PlainTextResponse | None:
    """What a request or a websocket is refused with, in a sentence; ``None`` where it is answered.

    ``hosts`` are all the names that are answered to.
    """
    headers = Headers(scope=scope)
    given = headers.getlist("host")
    host = given[0].lower() if len(given) == 1 else ""
    match = _HOST.fullmatch(host)
    if match is None or match[1] not in hosts:
        return _refusal(
            421,
            f"This page is not served as {host[:100]!r}. Open it on 127.0.0.1 with its port, or "
            f"name the host in {HOSTS} and start `make dev` again.",
        )
    own = (f"http://{host}", f"https://{host}")  # plain, or behind a proxy with TLS
    if any(origin.lower() not in own for origin in headers.getlist("origin")):
        return _refusal(403, "This came from a page of another origin, which may do nothing here.")
    path, sites = scope["path"], headers.getlist("sec-fetch-site")
    is_from_elsewhere = any(site.lower() not in ("same-origin", "none") for site in sites)
    if is_from_elsewhere and not _follows_link(scope, headers):
        return _refusal(403, "This came from a page of another site, which may do nothing here.")
    if scope["type"] == "websocket":
        return None
    if scope["method"] == "POST":
        return _refuse_body(headers, path)
    if path.rstrip("/").endswith("/graphql"):
        queries = QueryParams(scope.get("query_string", b"")).getlist("query")
        if not all(map(only_reads, queries)):
            return _refusal(405, "Only queries are taken by GET; POST a mutation as JSON.")
    return None


def only_reads(document: str) -> bool:
    """Whether a GraphQL document can be parsed and has no operation but queries.

    Examples:
        >>> only_reads("{ version }"), only_reads("query A { version } mutation B { x }")
        (True, False)
    """
    try:
        definitions = parse(document, no_location=True).definitions
    except (GraphQLError, RecursionError):
        return False
    return all(
        definition.operation is OperationType.QUERY
        for definition in definitions
        if isinstance(definition, OperationDefinitionNode)
    )


def _follows_link(scope: Scope, headers: Headers) -> bool:
    """Whether a person is led to one of the pages in a tab of its own."""
    return (
        scope["type"] == "http"
        and scope["method"] == "GET"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
        and not scope["path"].startswith(_NOT_PAGES)
    )


def _refusal(status: int, sentence: str) -> PlainTextResponse:
    return PlainTextResponse(sentence + "\n", status, {"X-Content-Type-Options": "nosniff"})


def _refuse_body(headers: Headers, path: str) -> PlainTextResponse | None:
    kinds = {kind.split(";")[0].strip().lower() for kind in headers.getlist("content-type")}
    # A report may have all of it in its address, and then no body.
    if kinds == {"application/json"} or (not kinds and path.startswith(_REPORTS)):
        return None
    sent = ", ".join(sorted(kinds))[:100] or "nothing"
    return _refusal(415, f"A POST has Content-Type: application/json here; this one had {sent}.")


def _unframed(send: Send) -> Send:
    """Have browsers show answers in no frame of, and give them to no script of, another origin."""

    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["X-Frame-Options"] = "SAMEORIGIN"
            headers["Cross-Origin-Resource-Policy"] = "same-origin"
        await send(message)

    return with_headers
