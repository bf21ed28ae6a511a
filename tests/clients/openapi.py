"""/openapi.json against the server at CLIENTS_URL: it is a valid OpenAPI document; what its schema
of a speech request allows is accepted and what it forbids is refused, for every case of the contract
test; every path answers, with a documented status and a body of the documented shape.  Run by run.py."""

import json
import os
import sys
import unittest
import urllib.error
import urllib.request

import jsonschema
import openapi_spec_validator

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))
import test_contract  # noqa: E402

URL = os.environ["CLIENTS_URL"]
# What a schema cannot say: which names exist, what the text must contain, which rates a format knows.
BEYOND = {("model", "model_not_found"), ("voice", "invalid_value"), ("input", "invalid_value"),
          ("sample_rate", "invalid_value"), ("language", "invalid_value"), ("language", "unsupported_value"),
          ("seed", "invalid_json")}


def call(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    head = {"Content-Type": "application/json"} if data else {}
    request = urllib.request.Request(URL + path, data=data, method=method, headers=head)
    try:
        answer = urllib.request.urlopen(request, timeout=120)
    except urllib.error.HTTPError as e:
        answer = e
    with answer:
        return answer.status, answer.headers.get_content_type(), answer.read()


class Document(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.doc = json.loads(call("GET", "/openapi.json")[2])

    def valid(self, schema, value):
        resolver = {**schema, "components": self.doc["components"]}
        return jsonschema.Draft202012Validator(resolver).is_valid(value)

    def test_document(self):
        openapi_spec_validator.validate(self.doc)

    def test_speech_request(self):
        schema = self.doc["components"]["schemas"]["CreateSpeechRequest"]
        for extra in test_contract.VALID:
            self.assertTrue(self.valid(schema, {**test_contract.live.HELLO, **extra}), extra)
        for name, value, _, code, _ in test_contract.CASES:
            body = {**test_contract.live.HELLO, name: value}
            if value is test_contract.ABSENT:
                del body[name]
            if (name, code) not in BEYOND:
                self.assertFalse(self.valid(schema, body), (name, value))

    def test_every_path(self):
        for path, item in self.doc["paths"].items():
            for method in ("get", "post", "delete"):
                if method not in item:
                    continue
                with self.subTest(method + " " + path):
                    self.check_answer(item[method], method.upper(), path)

    def check_answer(self, operation, method, path):
        url = path.replace("{model}", "tts-1").replace("{voice_id}", "alloy").replace("{consent_id}", "cons_none").replace("{file_id}", "file-0").replace("{batch_id}", "batch_0")
        body = test_contract.live.HELLO if path == "/v1/audio/speech" else {} if method == "POST" else None
        status, kind, answer = call(method, url, body)
        self.assertIn(str(status), operation["responses"])
        response = operation["responses"][str(status)]
        if "$ref" in response:
            response = self.doc["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
        self.assertIn(kind, response["content"])
        if kind == "application/json":
            self.assertTrue(self.valid(response["content"][kind]["schema"], json.loads(answer)), answer)


if __name__ == "__main__":
    unittest.main()
