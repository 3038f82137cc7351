"""
Tests for L{dstwist.http_api.document}.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.endpoints import HttpEndpoint
from dstwist.http_api.document import Template
from dstwist.http_api.items import parse_item


class DocumentTests(SynchronousTestCase):
    """
    The OpenAPI document.
    """

    def make(self, **settings: Any) -> Any:
        return json.loads(Template().make_document(HttpEndpoint(**settings)))

    def test_paths(self) -> None:
        """
        It has the paths of the configuration.
        """
        document = self.make()
        streams = ["/api/events/{name}", "/api/records/{name}"]
        self.assertEqual(list(document["paths"]), ["/api", "/api/auth", "/api/openapi.json", *streams])
        document = self.make(post_path="/", enable_auth_endpoint=False, enable_streams=False)
        self.assertEqual(list(document["paths"]), ["/", "/openapi.json"])
        document = self.make(post_path="/x", enable_auth_endpoint=False, get_path="/")
        self.assertEqual(list(document["paths"]), ["/x", "/x/openapi.json", "/events/{name}", "/records/{name}"])

    def test_options(self) -> None:
        """
        It has the options that a program must know.
        """
        request = self.make(max_batch_length=5, allow_auth_data=False)["components"]["schemas"]["Request"]
        self.assertEqual(request["properties"]["body"]["maxItems"], 5)
        self.assertNotIn("authData", request["properties"])
        request = self.make(max_batch_length=0)["components"]["schemas"]["Request"]
        self.assertNotIn("maxItems", request["properties"]["body"])
        self.assertIn("authData", request["properties"])

    def test_several_endpoints(self) -> None:
        """
        The options of an endpoint are not in the document of the next one.
        """
        template = Template()
        expected = template.make_document(HttpEndpoint())
        template.make_document(HttpEndpoint(post_path="/x", max_batch_length=5, allow_auth_data=False))
        self.assertEqual(template.make_document(HttpEndpoint()), expected)

    def test_references(self) -> None:
        """
        Everything that it refers to is in it.
        """
        text = Template().make_document(HttpEndpoint()).decode()
        schemas = json.loads(text)["components"]["schemas"]
        for reference in text.split('"#/components/schemas/')[1:]:
            self.assertIn(reference.partition('"')[0], schemas)

    def test_items(self) -> None:
        """
        It describes each kind of item as the grammar has it: with all that is needed, an item is taken; with one thing
        less, it is not.
        """
        schemas = self.make()["components"]["schemas"]
        examples = {"string": "x", "array": ["x"], "integer": 1, "object": {}, None: 1}
        for reference in schemas["Item"]["oneOf"]:
            schema = schemas[reference["$ref"].rpartition("/")[2]]
            properties = schema["properties"]
            item = {}
            for name, of in properties.items():
                kind = of.get("type", of.get("oneOf", [{}])[0].get("type"))
                item[name] = of["enum"][0] if "enum" in of else "" if of.get("maxLength") == 0 else examples[kind]
            parse_item(0, item)
            parse_item(0, {name: item[name] for name in schema["required"]})
            for name in schema["required"]:
                if name != "path":
                    self.assertRaises(ValueError, parse_item, 0, {key: of for key, of in item.items() if key != name})
