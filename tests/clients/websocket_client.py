"""WebSockets of the server at CLIENTS_URL, by the websockets package: our messages, barge-in, ElevenLabs'
stream-input, what is refused.  Run by run.py."""
import base64
import json
import os
import unittest
import urllib.request

from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

URL = os.environ["CLIENTS_URL"].replace("http", "ws", 1)
TEXT = "Hello there. Good morning."


def speech(**fields):
    body = json.dumps({"model": "tts-1", "voice": "nova", "response_format": "pcm", **fields}).encode()
    return urllib.request.urlopen(urllib.request.Request(os.environ["CLIENTS_URL"] + "/v1/audio/speech", body,
                                                         {"Content-Type": "application/json"})).read()


def until(ws, *types):
    """Sound and the first message of one of these types."""
    sound = b""
    while True:
        m = ws.recv(timeout=60)
        if isinstance(m, bytes):
            sound += m
        elif json.loads(m).get("type") in types:
            return sound, json.loads(m)
        else:
            raise AssertionError(m)


def say(ws, *messages):
    for m in messages:
        ws.send(json.dumps(m))


class Ours(unittest.TestCase):
    def open(self):
        return connect(URL + "/v1/audio/speech/stream")

    def test_pieces(self):
        with self.open() as ws:
            say(ws, {"type": "start", "voice": "nova"}, {"type": "text", "text": "Hello the"},
                {"type": "text", "text": "re. Good"})
            first = ws.recv(timeout=60)
            self.assertIsInstance(first, bytes)  # the first sentence is heard while the second is written
            say(ws, {"type": "text", "text": " morning."}, {"type": "end"})
            sound, done = until(ws, "done")
            self.assertAlmostEqual(done["seconds"], len(first + sound) / 48000, places=1)
            say(ws, {"type": "start", "voice": "nova"}, {"type": "text", "text": TEXT}, {"type": "end"})
            self.assertEqual(until(ws, "done")[0], first + sound)  # however it comes
            say(ws, {"type": "start", "voice": "nova"}, {"type": "text", "text": "Hello there."}, {"type": "end"})
            self.assertEqual(until(ws, "done")[0], speech(input="Hello there."))
            say(ws, {"type": "start", "voice": "nova", "response_format": "mp3"}, {"type": "text", "text": "Hi"},
                {"type": "flush"})
            self.assertEqual(ws.recv(timeout=60)[:2], b"\xff\xf3")  # MPEG-2 layer 3
            ws.ping().wait(10)

    def test_barge_in(self):
        with self.open() as ws:
            for _ in range(5):
                say(ws, {"type": "text", "text": "A long story that goes on and on. " * 50}, {"type": "end"})
                self.assertIsInstance(ws.recv(timeout=60), bytes)
                say(ws, {"type": "cancel"})
                sound, cancelled = until(ws, "cancelled")
                self.assertGreater(cancelled["seconds"], 0)
                self.assertLess(cancelled["seconds"], 60)
            say(ws, {"type": "text", "text": "And yet."}, {"type": "end"})
            self.assertGreater(len(until(ws, "done")[0]), 10000)

    def test_refused(self):
        with self.open() as ws:
            for m in ('{"type":"sing"}', "nonsense", '[1]', '{"type":"text"}', '{"type":"start","voice":"nobody"}',
                      '{"type":"start","speed":9}', '{"type":"start","model":"no-model"}'):
                ws.send(m)
                self.assertIn("message", until(ws, "error")[1]["error"], m)
            say(ws, {"type": "start", "voice": "nova"}, {"type": "text", "text": "It lives on."}, {"type": "end"})
            self.assertTrue(until(ws, "done")[0])
        with self.open() as ws:
            ws.send("x" * 100000)
            with self.assertRaises(Exception):
                ws.recv(timeout=60)
        with self.assertRaises(urllib.error.HTTPError) as e:
            urllib.request.urlopen(os.environ["CLIENTS_URL"] + "/v1/audio/speech/stream")
        self.assertEqual(e.exception.code, 400)
        for _ in range(20):  # leave in the middle
            with self.open() as ws:
                say(ws, {"type": "text", "text": "A long story. " * 50})


class ElevenLabs(unittest.TestCase):
    def test_stream_input(self):
        with connect(URL + "/v1/text-to-speech/nova/stream-input?output_format=pcm_24000&model_id=x") as ws:
            say(ws, {"text": " ", "voice_settings": {"stability": 0.5}}, {"text": "Hello there.", "flush": True}, {"text": ""})
            sound = b""
            while not (m := json.loads(ws.recv(timeout=60)))["isFinal"]:
                sound += base64.b64decode(m["audio"])
            self.assertEqual(sound, speech(input="Hello there."))
        for path in ("nova/other", "nova/stream-input?output_format=ulaw_8000"):
            with self.assertRaises(InvalidStatus):
                connect(URL + "/v1/text-to-speech/" + path)


if __name__ == "__main__":
    unittest.main()
