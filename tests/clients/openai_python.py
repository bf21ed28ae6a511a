"""The official Python client against a running server: CLIENTS_URL, and CLIENTS_KEYED_URL for
one that wants the key "open-sesame".  Run by run.py."""

import asyncio
import json
import os
import threading
import time
import unittest
import urllib.request

import openai

URL = os.environ["CLIENTS_URL"] + "/v1"
KEYED = os.environ["CLIENTS_KEYED_URL"] + "/v1"
MAGIC = {  # how a file of each format starts
    "mp3": (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"ID3"), "opus": (b"OggS",), "aac": (b"\xff\xf1", b"\xff\xf9"),
    "flac": (b"fLaC",), "wav": (b"RIFF",), "pcm": (b"",),
}
TYPE = {"mp3": "audio/mpeg", "opus": "audio/opus", "aac": "audio/aac", "flac": "audio/flac", "wav": "audio/wav",
        "pcm": "audio/pcm"}


def metric(name):
    text = urllib.request.urlopen(os.environ["CLIENTS_URL"] + "/metrics").read().decode()
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith((name + "{", name + " ")))


class Speech(unittest.TestCase):
    def setUp(self):
        self.client = openai.OpenAI(base_url=URL, api_key="not-needed", max_retries=0)
        self.ask = {"model": "tts-1", "voice": "alloy", "input": "Hello there."}

    def tearDown(self):
        self.client.close()

    def test_every_format(self):
        for name, starts in MAGIC.items():
            with self.subTest(name):
                answer = self.client.audio.speech.with_raw_response.create(response_format=name, **self.ask)
                sound = answer.parse().content
                self.assertTrue(sound.startswith(starts), sound[:4])
                self.assertGreater(len(sound), 1000)
                self.assertEqual(answer.headers["content-type"], TYPE[name])
                self.assertTrue(answer.headers["x-request-id"])

    def test_default_is_mp3(self):
        self.assertTrue(self.client.audio.speech.create(**self.ask).content.startswith(MAGIC["mp3"]))

    def test_streams_to_file(self):
        path = os.path.join(os.environ["CLIENTS_TMP"], "speech.mp3")
        with self.client.audio.speech.with_streaming_response.create(**self.ask) as answer:
            answer.stream_to_file(path)
        self.assertGreater(os.path.getsize(path), 1000)

    def test_first_bytes_come_before_the_last(self):
        ask = dict(self.ask, input="This is a longer text. " * 12, response_format="pcm")
        start = time.monotonic()
        first = None
        with self.client.audio.speech.with_streaming_response.create(**ask) as answer:
            for _ in answer.iter_bytes(1024):
                first = first or time.monotonic() - start
        self.assertLess(first, (time.monotonic() - start) / 2)

    def test_server_sent_events(self):
        import base64
        whole = self.client.audio.speech.create(response_format="wav", **self.ask).content
        kinds, sound, usage = [], b"", None
        answer = self.client.post("/audio/speech", body=dict(self.ask, stream_format="sse", response_format="wav"),
                                  cast_to=object, stream=True, stream_cls=openai.Stream[object])
        for event in answer:
            kinds.append(event["type"])
            if event["type"] == "speech.audio.delta":
                sound += base64.b64decode(event["audio"])
            else:
                usage = event["usage"]
        self.assertEqual(kinds[-1], "speech.audio.done")
        self.assertGreater(kinds.count("speech.audio.delta"), 1)
        self.assertEqual(sound[44:], whole[44:])
        self.assertEqual(usage["total_tokens"], usage["input_tokens"] + usage["output_tokens"])
        self.assertGreater(usage["output_tokens"], 0)

    def test_same_seed_same_sound(self):
        a, b, c = (self.client.audio.speech.create(response_format="pcm", extra_body={"seed": n}, **self.ask).content
                   for n in (7, 7, 8))
        self.assertEqual(a, b)
        self.assertNotEqual(a, c)

    def test_bad_request(self):
        for change, param in (({"speed": 9}, "speed"), ({"response_format": "ogg"}, "response_format"),
                              ({"voice": "ballade"}, "voice"), ({"input": ""}, "input"), ({"input": "a" * 4097}, "input")):
            with self.subTest(param), self.assertRaises(openai.BadRequestError) as caught:
                self.client.audio.speech.create(**dict(self.ask, **change))
            self.assertEqual(caught.exception.param, param)
            self.assertEqual(caught.exception.type, "invalid_request_error")
            self.assertTrue(caught.exception.request_id)

    def test_unknown_model(self):
        with self.assertRaises(openai.NotFoundError) as caught:
            self.client.audio.speech.create(**dict(self.ask, model="tts-9"))
        self.assertEqual(caught.exception.code, "model_not_found")

    def test_models(self):
        ids = [m.id for m in self.client.models.list()]
        for name in ("tts-1", "tts-1-hd", "gpt-4o-mini-tts"):
            self.assertIn(name, ids)
            self.assertEqual(self.client.models.retrieve(name).id, name)

    def test_keys(self):
        with self.assertRaises(openai.AuthenticationError):
            openai.OpenAI(base_url=KEYED, api_key="wrong", max_retries=0).audio.speech.create(**self.ask)
        openai.OpenAI(base_url=KEYED, api_key="open-sesame", max_retries=0).audio.speech.create(**self.ask)

    def test_timeout_cancels(self):
        before = metric("jabbertts_cancellations_total")
        hasty = openai.OpenAI(base_url=URL, api_key="x", max_retries=0, timeout=0.3)
        with self.assertRaises(openai.APITimeoutError):
            hasty.audio.speech.create(**dict(self.ask, input="A text that takes its time. " * 60), stream_format="audio",
                                      extra_body={"stream": False})
        for _ in range(50):
            if metric("jabbertts_cancellations_total") > before:
                return
            time.sleep(0.1)
        self.fail("the server goes on speaking to nobody")

    def test_abort_in_the_middle(self):
        before = metric("jabbertts_cancellations_total")
        ask = dict(self.ask, input="A text that takes its time. " * 60)
        with self.client.audio.speech.with_streaming_response.create(**ask) as answer:
            next(iter(answer.iter_bytes(256)))
        for _ in range(50):
            if metric("jabbertts_cancellations_total") > before:
                return
            time.sleep(0.1)
        self.fail("the server goes on speaking to nobody")

    def test_retries_when_busy(self):
        """More at once than the server takes: those refused come back after the time it names."""
        results = []

        def one():
            patient = openai.OpenAI(base_url=URL, api_key="x", max_retries=8, timeout=120)
            results.append(len(patient.audio.speech.create(**self.ask).content))
        threads = [threading.Thread(target=one) for _ in range(12)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(len(results), 12)
        self.assertTrue(all(n > 1000 for n in results))

    def test_asynchronous_client(self):
        async def speak():
            async with openai.AsyncOpenAI(base_url=URL, api_key="x") as client:
                answers = await asyncio.gather(*(client.audio.speech.create(**self.ask) for _ in range(3)))
                return [a.content for a in answers]
        a, b, c = asyncio.run(speak())
        self.assertTrue(a == b == c)


class Batches(unittest.TestCase):
    LINES = 200

    def test_two_hundred_lines(self):
        client = openai.OpenAI(base_url=URL, api_key="not-needed", max_retries=0)
        body = {"model": "tts-1", "voice": "alloy", "response_format": "opus"}
        lines = [{"custom_id": f"line {i}", "method": "POST", "url": "/v1/audio/speech", "body": {**body, "input": f"Number {i}."}}
                 for i in range(self.LINES)]
        file = client.files.create(file=("lines.jsonl", "\n".join(map(json.dumps, lines)).encode()), purpose="batch")
        self.assertEqual((file.purpose, file.filename), ("batch", "lines.jsonl"))
        self.assertIn(file.id, [f.id for f in client.files.list(purpose="batch", limit=1)])
        batch = client.batches.create(input_file_id=file.id, endpoint="/v1/audio/speech", completion_window="24h", metadata={"of": "tests"})
        while batch.status in ("validating", "in_progress", "finalizing"):
            time.sleep(0.5)
            batch = client.batches.retrieve(batch.id)
        self.assertEqual((batch.status, batch.request_counts.completed, batch.errors), ("completed", self.LINES, None))
        self.assertGreater(batch.usage.output_tokens, self.LINES)
        done = [json.loads(x) for x in client.files.content(batch.output_file_id).text.splitlines()]
        self.assertEqual([x["custom_id"] for x in done], [x["custom_id"] for x in lines])
        sound = client.files.content(done[7]["response"]["body"]["id"]).read()
        self.assertEqual(sound[:4], b"OggS")
        self.assertIn(batch.id, [b.id for b in client.batches.list(limit=2)])
        with self.assertRaises(openai.BadRequestError):
            client.batches.cancel(batch.id)
        self.assertTrue(client.files.delete(file.id).deleted)
        with self.assertRaises(openai.NotFoundError):
            client.files.retrieve(file.id)
        client.close()


if __name__ == "__main__":
    unittest.main()
