"""Text to speech on the CPU.

    with jabbertts.TTS() as tts:
        sound = tts.say("Hello there.")          # numpy float32 [n], mono, tts.sample_rate

Threads: a TTS may be used from any; each iterator from one at a time."""
from __future__ import annotations

import ctypes as c
import os
from typing import Dict, Iterator, List, NamedTuple, Optional, Union

import numpy as np

__all__ = ["TTS", "Error", "Parameter", "parameters", "version"]

_HERE = os.path.dirname(os.path.abspath(__file__))
_VOICE = os.path.join(_HERE, "jabber-tiny.gguf")
_SAMPLES = 8192
_ROOM = 1024  # bytes, more than any structure of the header that the library fills


class _Error(c.Structure):
    _fields_ = [("code", c.c_int), ("retry_after_s", c.c_double), ("message", c.c_char * 512)]


class _Options(c.Structure):
    """The beginning of struct jabbertts_options; the library fills the rest."""
    _fields_ = [("model", c.c_char_p), ("models", c.c_void_p), ("n_model", c.c_int), ("memory_budget", c.c_size_t),
                ("threads", c.c_int), ("isa", c.c_char_p), ("slots", c.c_int), ("queue", c.c_int), ("rest", c.c_char * _ROOM)]


class _Parameter(c.Structure):
    _fields_ = [("name", c.c_char_p), ("type", c.c_int), ("of_encoder", c.c_int), ("offset", c.c_size_t),
                ("min", c.c_double), ("max", c.c_double), ("preset", c.c_double), ("help", c.c_char_p)]


def _load() -> c.CDLL:
    inside = os.path.join(_HERE, "libjabbertts.so")
    lib = c.CDLL(os.environ.get("JABBERTTS_LIBRARY") or (inside if os.path.exists(inside) else "libjabbertts.so.0"))
    for name, result, *arguments in [
            ("version", c.c_char_p), ("options_init", None, c.c_void_p), ("request_init", None, c.c_void_p),
            ("open", c.c_int, c.c_void_p, c.POINTER(c.c_void_p), c.POINTER(_Error)), ("close", None, c.c_void_p),
            ("sample_rate", c.c_int, c.c_void_p), ("threads", c.c_int, c.c_void_p),
            ("voice_name", c.c_char_p, c.c_void_p, c.c_int),
            ("submit", c.c_int, c.c_void_p, c.c_void_p, c.POINTER(c.c_void_p), c.POINTER(_Error)),
            ("read", c.c_int, c.c_void_p, c.c_void_p, c.c_int, c.POINTER(_Error)), ("stream_free", None, c.c_void_p),
            ("stream_rate", c.c_int, c.c_void_p), ("parameter_at", c.POINTER(_Parameter), c.c_size_t),
            ("parameter_set", c.c_int, c.POINTER(_Parameter), c.c_void_p, c.c_double, c.POINTER(_Error))]:
        function = getattr(lib, "jabbertts_" + name)
        function.restype, function.argtypes = result, arguments
    return lib


_lib = _load()


class Error(Exception):
    """What the engine refuses: code is negative, as enum jabbertts_status has it."""

    def __init__(self, e: _Error):
        super().__init__(e.message.decode(errors="replace"))
        self.code: int = e.code
        self.retry_after_s: float = e.retry_after_s


class Parameter(NamedTuple):
    name: str
    min: float
    max: float
    help: str


def version() -> str:
    return _lib.jabbertts_version().decode()


def _table() -> Dict[str, "c._Pointer[_Parameter]"]:
    found, i = {}, 0
    while True:
        p = _lib.jabbertts_parameter_at(i)
        if not p:
            return found
        if not p.contents.of_encoder and p.contents.name != b"text":
            found[p.contents.name.decode()] = p
        i += 1


_parameters = _table()


def parameters() -> List[Parameter]:
    """What say and stream take beside the text."""
    return [Parameter(n, p.contents.min, p.contents.max, p.contents.help.decode()) for n, p in _parameters.items()]


Value = Union[str, int, float, bool]


class TTS:
    """An engine with one model; model None is the built-in voice, "espeak-ng" a robot."""

    def __init__(self, model: Optional[str] = None, threads: int = 0, slots: int = 4) -> None:
        self._tts: Optional[c.c_void_p] = None
        e, o, tts = _Error(), _Options(), c.c_void_p()
        if model is None and os.path.exists(_VOICE):
            model = _VOICE
        _lib.jabbertts_options_init(c.byref(o))
        o.model = os.fsencode(model) if model is not None else None
        o.threads, o.slots = threads, slots
        if _lib.jabbertts_open(c.byref(o), c.byref(tts), c.byref(e)) < 0:
            raise Error(e)
        self._tts = tts

    def close(self) -> None:
        """After all iterators have ended or were closed."""
        if self._tts:
            _lib.jabbertts_close(self._tts)
        self._tts = None

    def __enter__(self) -> "TTS":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _handle(self) -> c.c_void_p:
        if not self._tts:
            raise ValueError("the engine is closed")
        return self._tts

    @property
    def sample_rate(self) -> int:
        return _lib.jabbertts_sample_rate(self._handle())

    @property
    def threads(self) -> int:
        return _lib.jabbertts_threads(self._handle())

    @property
    def voices(self) -> List[str]:
        names: List[str] = []
        while True:
            name = _lib.jabbertts_voice_name(self._handle(), len(names))
            if name is None:
                return names
            names.append(name.decode())

    def stream(self, text: str, **options: Value) -> Iterator[np.ndarray]:
        """float32 arrays, as the sound is made.  What is wrong is raised here, not at the first sound."""
        e, stream = _Error(), c.c_void_p()
        request = c.create_string_buffer(_ROOM)
        keep = [text.encode()]
        _lib.jabbertts_request_init(request)
        c.c_char_p.from_buffer(request, 0).value = keep[0]  # text is the first member
        for name, value in options.items():
            if name not in _parameters:
                raise TypeError(f"there is no option '{name}'; jabbertts.parameters() lists them")
            p = _parameters[name]
            if p.contents.type == 0:
                keep.append(str(value).encode())
                c.c_char_p.from_buffer(request, p.contents.offset).value = keep[-1]
            elif _lib.jabbertts_parameter_set(p, request, float(value), c.byref(e)) < 0:
                raise Error(e)
        if _lib.jabbertts_submit(self._handle(), request, c.byref(stream), c.byref(e)) < 0:
            raise Error(e)
        return self._pieces(stream)

    def _pieces(self, stream: c.c_void_p) -> Iterator[np.ndarray]:
        e = _Error()
        try:
            while True:
                pcm = np.empty(_SAMPLES, np.float32)
                n = _lib.jabbertts_read(stream, pcm.ctypes.data_as(c.c_void_p), _SAMPLES, c.byref(e))
                if n < 0:
                    raise Error(e)
                if n == 0:
                    return
                yield pcm[:n]
        finally:
            _lib.jabbertts_stream_free(stream)

    def say(self, text: str, **options: Value) -> np.ndarray:
        """All of it: float32 [n], mono, at sample_rate."""
        pieces = list(self.stream(text, **options))
        return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
