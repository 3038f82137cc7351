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


def make_document(settings: HttpEndpoint) -> bytes:
    """
    The document of the endpoint C{settings}, as JSON text.
    """
    # Not jsontext.loads, which refuses texts of clients when memory is short.
    document: dict[str, Any] = json.loads(files("dstwist.http_api").joinpath("openapi.json").read_bytes())
    document["info"]["version"] = __version__
    paths = document["paths"]
    found = {settings.post_path: paths["/api"]}
    if settings.enable_auth_endpoint:
        found[settings.auth_path] = paths["/api/auth"]
    found[f"{settings.post_path.rstrip('/')}/openapi.json"] = paths["/api/openapi.json"]
    if settings.enable_streams:
        for kind in ("events", "records"):
            found[f"{settings.get_path.rstrip('/')}/{kind}/{{name}}"] = paths[f"/api/{kind}/{{name}}"]
    document["paths"] = found
    schemas = document["components"]["schemas"]
    request = schemas["Request"]
    if settings.max_batch_length:
        request["properties"]["body"]["maxItems"] = settings.max_batch_length
    if not settings.allow_auth_data:
        del request["properties"]["authData"]
    return dumps(document)
