"""ElevenLabs' own client against the server at CLIENTS_URL.  Run by run.py."""
import os
import unittest

from elevenlabs.client import ElevenLabs
from elevenlabs.core.api_error import ApiError


class Client(unittest.TestCase):
    def setUp(self):
        self.client = ElevenLabs(base_url=os.environ["CLIENTS_URL"], api_key="any")

    def test_speech(self):
        say = self.client.text_to_speech
        mp3 = b"".join(say.convert(text="Hello there.", voice_id="nova", model_id="eleven_multilingual_v2",
                                   output_format="mp3_44100_128"))
        self.assertEqual(mp3[:2], b"\xff\xfb")
        pcm = b"".join(say.stream(text="Hello there.", voice_id="nova", output_format="pcm_24000"))
        self.assertGreater(len(pcm), 24000)

    def test_voices(self):
        self.assertIn("nova", [v.voice_id for v in self.client.voices.get_all().voices])
        self.assertIn("nova", [v.voice_id for v in self.client.voices.search(page_size=100).voices])

    def test_error(self):
        with self.assertRaises(ApiError) as e:
            b"".join(self.client.text_to_speech.convert(text="x", voice_id="nobody"))
        self.assertEqual(e.exception.status_code, 400)


if __name__ == "__main__":
    unittest.main()
