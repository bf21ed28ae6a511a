import threading
import time

import numpy as np
import pytest

import jabbertts


@pytest.fixture(scope="module")
def tts():
    with jabbertts.TTS(threads=1) as t:
        yield t


def test_says(tts):
    sound = tts.say("Hello there.", voice="amy", seed=3)
    assert sound.dtype == np.float32 and sound.ndim == 1
    assert 0.4 < len(sound) / tts.sample_rate < 4 and 0.05 < np.abs(sound).max() <= 1
    assert np.array_equal(sound, tts.say("Hello there.", voice="amy", seed=3))
    assert not np.array_equal(sound, tts.say("Hello there.", voice="amy", seed=4))


def test_streams_as_it_is_made(tts):
    text = "This is a sentence. " * 20
    start, first, pieces = time.monotonic(), None, []
    for piece in tts.stream(text):
        first = first or time.monotonic() - start
        pieces.append(piece)
    assert first < (time.monotonic() - start) / 2
    assert np.array_equal(np.concatenate(pieces), tts.say(text))


def test_is_cancelled_by_closing(tts):
    pieces = tts.stream("This goes on and on. " * 500)
    next(pieces)
    start = time.monotonic()
    pieces.close()
    assert time.monotonic() - start < 20 and len(tts.say("Next.")) > 0


def test_lock_is_released(tts):
    """Another thread counts while the main one waits in the library."""
    n, stop = [0], threading.Event()

    def count():
        while not stop.is_set():
            n[0] += 1
            time.sleep(0.001)
    t = threading.Thread(target=count)
    t.start()
    start = time.monotonic()
    tts.say("A text that takes a moment. " * 10)
    took = time.monotonic() - start
    stop.set()
    t.join()
    assert n[0] > 20 * took


def test_threads_at_once(tts):
    want = [tts.say(f"Number {i}.", seed=i) for i in range(4)]
    got = [None] * 4

    def run(i):
        got[i] = tts.say(f"Number {i}.", seed=i)
    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all(np.array_equal(a, b) for a, b in zip(want, got))


def test_refuses(tts):
    with pytest.raises(TypeError, match="sped"):
        tts.stream("x", sped=1)
    with pytest.raises(jabbertts.Error, match="nobody") as e:
        tts.stream("x", voice="nobody")
    assert e.value.code == -2
    with pytest.raises(jabbertts.Error, match="temperature"):
        tts.stream("x", temperature=9)
    with pytest.raises(jabbertts.Error, match="none.gguf"):
        jabbertts.TTS(model="none.gguf")


def test_what_it_is(tts):
    assert tts.threads == 1 and "amy" in tts.voices and jabbertts.version()[0].isdigit()
    assert {"voice", "seed", "temperature"} <= {p.name for p in jabbertts.parameters()}
    closed = jabbertts.TTS(model="espeak-ng")
    assert closed.say("Guten Tag.", voice="de").any()
    closed.close()
    with pytest.raises(ValueError):
        closed.say("x")
