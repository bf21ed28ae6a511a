"""Fish Audio's own client against the server at CLIENTS_URL: MessagePack, recordings in bytes.  Run by run.py."""
import os
import unittest

from fish_audio_sdk import HttpCodeErr, Prosody, ReferenceAudio, Session, TTSRequest

CLIP = "Good morning. It is a fine day to be outside and to talk about the weather, and nobody has anything better to do."


class Client(unittest.TestCase):
    def setUp(self):
        self.session = Session("any", base_url=os.environ["CLIENTS_URL"])

    def say(self, **fields):
        return b"".join(self.session.tts(TTSRequest(text="Hello there.", **fields)))

    def test_speech(self):
        self.assertEqual(self.say(reference_id="nova", format="mp3")[:2], b"\xff\xf3")
        slow, fast = (self.say(reference_id="nova", format="wav", prosody=Prosody(speed=s, volume=-3)) for s in (0.5, 2))
        self.assertGreater(len(slow), 2 * len(fast))

    def test_reference(self):
        with open(os.environ["CLIENTS_CLIP"], "rb") as f:
            me = ReferenceAudio(audio=f.read(), text=CLIP)
        self.assertNotEqual(self.say(format="pcm", references=[me]), self.say(format="pcm"))

    def test_error(self):
        with self.assertRaises(HttpCodeErr) as e:
            self.say(reference_id="nobody")
        self.assertEqual(e.exception.status, 400)


if __name__ == "__main__":
    unittest.main()
