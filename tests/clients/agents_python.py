"""LiteLLM, LiveKit's agents and pipecat, which speak through OpenAI's API, against a running server, CLIENTS_URL.
Run by run.py."""
import asyncio
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it is fetched

import litellm  # noqa: E402
from livekit.plugins import openai as livekit_openai  # noqa: E402
from pipecat.frames.frames import ErrorFrame, TTSAudioRawFrame  # noqa: E402
from pipecat.services.openai.tts import OpenAITTSService  # noqa: E402

BASE = os.environ["CLIENTS_URL"] + "/v1"


def enough(what, n):
    assert n > 5000, f"{what}: {n} bytes"
    print(what, n)


async def livekit():
    tts = livekit_openai.TTS(model="tts-1", voice="alloy", base_url=BASE, api_key="any", response_format="pcm")
    n = 0
    async for audio in tts.synthesize("Hello there."):
        assert audio.frame.sample_rate == 24000, audio.frame.sample_rate
        n += len(audio.frame.data.tobytes())
    await tts.aclose()
    enough("LiveKit", n)


async def pipecat():
    tts = OpenAITTSService(api_key="any", base_url=BASE, sample_rate=24000,
                           settings=OpenAITTSService.Settings(voice="alloy", model="tts-1"))
    tts._sample_rate = 24000  # a pipeline's start would tell it
    n = 0
    async for frame in tts.run_tts("Hello there.", "one"):
        assert not isinstance(frame, ErrorFrame), frame.error
        n += len(frame.audio) if isinstance(frame, TTSAudioRawFrame) else 0
    enough("pipecat", n)


enough("LiteLLM", len(litellm.speech(model="openai/tts-1", voice="alloy", input="Hello there.", api_base=BASE,
                                     api_key="any").content))
asyncio.run(livekit())
asyncio.run(pipecat())
