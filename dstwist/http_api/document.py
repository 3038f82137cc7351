"""
The description of the API for programs: an OpenAPI document, with the paths of the configuration.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from dstwist import __version__
from dstwist.config.endpoints import HttpEndpoint
from dstwist.protocol.jsontext import dumps


class Template:
    """
    The document that those of all endpoints are made of.
    """

    def __init__(self) -> None:
        # Not jsontext.loads, which refuses texts of clients when memory is short.
        document: dict[str, Any] = json.loads(files("dstwist.http_api").joinpath("openapi.json").read_bytes())
        document["info"]["version"] = __version__
        self._document = document

    def make_document(self, settings: HttpEndpoint) -> bytes:
        """
        The document of the endpoint C{settings}, as JSON text.
        """
        # The template stays as it is: the objects that differ are copied.
        components = self._document["components"]
        schemas = components["schemas"]
        schemas = {**schemas, "Request": _request(schemas["Request"], settings)}
        paths = _paths(self._document["paths"], settings)
        return dumps({**self._document, "paths": paths, "components": {**components, "schemas": schemas}})


def _paths(paths: dict[str, Any], settings: HttpEndpoint) -> dict[str, Any]:
    found = {settings.post_path: paths["/api"]}
    if settings.enable_auth_endpoint:
        found[settings.auth_path] = paths["/api/auth"]
    found[f"{settings.post_path.rstrip('/')}/openapi.json"] = paths["/api/openapi.json"]
    if settings.enable_streams:
        for kind in ("events", "records"):
            found[f"{settings.get_path.rstrip('/')}/{kind}/{{name}}"] = paths[f"/api/{kind}/{{name}}"]
    return found


def _request(schema: dict[str, Any], settings: HttpEndpoint) -> dict[str, Any]:
    properties = dict(schema["properties"])
    if settings.max_batch_length:
        properties["body"] = {**properties["body"], "maxItems": settings.max_batch_length}
    if not settings.allow_auth_data:
        del properties["authData"]
    return {**schema, "properties": properties}
