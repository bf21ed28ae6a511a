"""The official wyoming package against the server at CLIENTS_WYOMING (host:port).  Run by run.py."""
import asyncio
import os
import unittest

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.info import Describe, Info
from wyoming.tts import (Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeStopped,
                         SynthesizeVoice)

HOST, PORT = os.environ["CLIENTS_WYOMING"].rsplit(":", 1)
VOICE = SynthesizeVoice(name="alloy")


async def sound(client):
    start = AudioStart.from_event(await client.read_event())
    pcm = b""
    while AudioChunk.is_type((event := await client.read_event()).type):
        pcm += AudioChunk.from_event(event).audio
    assert AudioStop.is_type(event.type), event
    return start, pcm


class Wyoming(unittest.IsolatedAsyncioTestCase):
    async def test_info(self):
        async with AsyncTcpClient(HOST, int(PORT)) as client:
            await client.write_event(Describe().event())
            info = Info.from_event(await client.read_event())
        self.assertTrue(info.tts[0].supports_synthesize_streaming)
        self.assertIn("alloy", [v.name for v in info.tts[0].voices])

    async def test_speech(self):
        async with AsyncTcpClient(HOST, int(PORT)) as client:
            await client.write_event(Synthesize(text="Hello there. Good morning.", voice=VOICE).event())
            start, whole = await sound(client)
            self.assertEqual((start.width, start.channels), (2, 1))
            self.assertGreater(len(whole), start.rate)
            await client.write_event(SynthesizeStart(voice=VOICE).event())
            for part in ("Hello the", "re. Good mor", "ning."):
                await client.write_event(SynthesizeChunk(text=part).event())
            await client.write_event(Synthesize(text="Hello there. Good morning.", voice=VOICE).event())
            await client.write_event(SynthesizeStop().event())
            self.assertEqual((await sound(client))[1], whole)
            self.assertTrue(SynthesizeStopped.is_type((await client.read_event()).type))

    async def test_error(self):
        async with AsyncTcpClient(HOST, int(PORT)) as client:
            await client.write_event(Synthesize(text="x", voice=SynthesizeVoice(name="nobody")).event())
            self.assertIn("nobody", Error.from_event(await client.read_event()).text)


if __name__ == "__main__":
    unittest.main()
