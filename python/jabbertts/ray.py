"""Many texts on many machines, by Ray.

    python -m jabbertts.ray lines.jsonl sounds --set voice=amy

INPUT is JSON lines or Parquet, a file, folder or address that Ray Data reads.  A row has "text" (or "input"); "id" (or
"custom_id") names its sound; other columns are options of speech, where they are not null.  OUTPUT is a folder that all
nodes share, or a bucket (s3://..., whatever fsspec opens).  It gets ID.HASH.wav for each row and manifest.jsonl.  HASH
is made of all that the sound depends on, so a sound that is there is the right one: a second run makes only what is
missing, and a row that changed is made again beside its old sound."""
from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import re
import sys
import uuid
import wave
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, List, NamedTuple, Optional

import numpy as np

import jabbertts

__all__ = ["Counts", "speak"]

_ROWS = 32  # at once to an actor
_BLOCKS = 16  # of the input for each node: what a worker that dies held is asked for again by the block
_CPUS = 0.25  # asked of Ray for an actor or a task that reads, since Ray's own tasks need a whole one beside the actor
_HEAD = 44  # bytes of a WAV before its samples


class Counts(NamedTuple):
    made: int
    there: int
    failed: int


class _Folder:
    """A folder or bucket, by fsspec.  A file appears when it is whole."""

    def __init__(self, address: str) -> None:
        import fsspec
        self.fs, self.root = fsspec.core.url_to_fs(address)
        self.local = "file" in self.fs.protocol
        self.fs.makedirs(self.root, exist_ok=True)

    def size(self, name: str) -> int:
        """-1: it is not there."""
        try:
            return self.fs.info(f"{self.root}/{name}", **({} if self.local else {"refresh": True}))["size"]
        except FileNotFoundError:
            return -1

    def write(self, name: str, data: bytes) -> None:
        path = f"{self.root}/{name}"
        if not self.local:  # one PUT
            self.fs.pipe_file(path, data)
            return
        temporary = f"{self.root}/.{uuid.uuid4().hex}"
        try:
            with open(temporary, "wb") as f:
                f.write(data)
                f.flush()
                os.fsync(f.fileno())
            os.replace(temporary, path)
        except BaseException:
            if os.path.exists(temporary):
                os.unlink(temporary)
            raise


def _wav(sound: np.ndarray, rate: int) -> bytes:
    to = io.BytesIO()
    with wave.open(to, "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(rate)
        w.writeframes((np.clip(sound, -1, 1) * 32767).round().astype("<i2").tobytes())
    return to.getvalue()


def _digest(path: str) -> str:
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else \
            hashlib.sha256(f.read()).hexdigest()


class _Speaker:
    """An actor: one engine with the cores that its node has, for Ray."""

    def __init__(self, output: str, model: Optional[str], jobs: int, options: Dict[str, Any]) -> None:
        import ray
        node = ray.get_runtime_context().get_node_id()
        cores = [n["Resources"].get("CPU", 0) for n in ray.nodes() if n["NodeID"] == node]
        self.tts = jabbertts.TTS(model, threads=max(1, int(cores[0] if cores else 1)), slots=jobs + 1)
        path = model or jabbertts._VOICE
        self.what = f"{jabbertts.version()} {_digest(path) if os.path.isfile(path) else path}"
        self.folder, self.jobs, self.options = _Folder(output), jobs, options

    def _name(self, row: Dict[str, Any]) -> str:
        """Of the row's file; what it says is taken out of row, options stay."""
        name = row.pop("id", None)
        custom = row.pop("custom_id", None)
        name = name if name is not None else custom
        said = json.dumps([self.what, row], sort_keys=True, default=str)
        digest = hashlib.sha256(said.encode()).hexdigest()[:16]
        return (re.sub(r"[^A-Za-z0-9_-]", "_", str(name))[:120] + "." if name is not None else "") + digest + ".wav"

    def _speak(self, row: Dict[str, Any]) -> Dict[str, Any]:
        row = {**self.options, **{k: v for k, v in row.items() if v is not None}}
        other = row.pop("input", None)
        row["text"] = row.get("text", other)
        result = {"id": str(row.get("id", row.get("custom_id", ""))), "file": "", "seconds": 0.0, "made": False, "error": ""}
        try:
            name, rate = self._name(row), self.tts.sample_rate
            size = self.folder.size(name)
            if size < 0:
                text = row.pop("text")
                if not isinstance(text, str):
                    raise ValueError('the row has no "text"')
                data = _wav(self.tts.say(text, **row), rate)
                self.folder.write(name, data)
                result["made"], size = True, len(data)
            result.update(file=name, seconds=round((size - _HEAD) / 2 / rate, 3))
        except (jabbertts.Error, OSError, TypeError, ValueError) as e:
            result["error"] = str(e) or type(e).__name__
        return result

    def __call__(self, rows: Any) -> Any:
        import pyarrow
        with ThreadPoolExecutor(self.jobs) as pool:
            return pyarrow.Table.from_pylist(list(pool.map(self._speak, rows.to_pylist())))


def speak(input: str, output: str, model: Optional[str] = None, jobs: int = 8, **options: jabbertts.Value) -> Counts:
    """Speak what input has, on the cluster that ray.init has connected to.

    output: a folder with the same path on all nodes, or an address.  model: a path that all nodes have.  jobs: texts at
    once on a node.  options: of speech, for rows that do not have them.  Rows that fail are in the manifest with their
    "error"; another run tries them again.  Raises what Ray raises, as when all nodes are gone."""
    import ray
    if "://" not in output:
        output = os.path.abspath(output)
    _Folder(output)
    cores = [n["Resources"].get("CPU", 0) for n in ray.nodes() if n["Alive"]]
    nodes = max(1, sum(c > 0 for c in cores))
    few = {"num_cpus": _CPUS if all(c != 1 for c in cores) else 0}
    read = ray.data.read_parquet if re.search(r"\.(parquet|pq)$", input) or _has_parquet(input) else ray.data.read_json
    more = {} if read is ray.data.read_parquet else {"lines": True, "file_extensions": None}
    rows = read(input, override_num_blocks=_BLOCKS * nodes, **few, **more)
    # SPREAD gives each node one.  An actor whose node dies starts again on another, and what it held is asked of it again.
    spoken = rows.map_batches(_Speaker, batch_size=_ROWS, batch_format="pyarrow", scheduling_strategy="SPREAD", **few,
                              compute=ray.data.ActorPoolStrategy(size=nodes),
                              fn_constructor_args=(output, model, jobs, options))
    found: List[Dict[str, Any]] = sorted(spoken.iter_rows(), key=lambda r: (r["id"], r["file"]))
    lines = "".join(json.dumps({k: v for k, v in r.items() if k != "made" and (k != "error" or v)}) + "\n" for r in found)
    _Folder(output).write("manifest.jsonl", lines.encode())
    failed = sum(bool(r["error"]) for r in found)
    made = sum(r["made"] for r in found)
    return Counts(made, len(found) - made - failed, failed)


def _has_parquet(address: str) -> bool:
    import fsspec
    fs, path = fsspec.core.url_to_fs(address)
    return fs.isdir(path) and any(name.endswith((".parquet", ".pq")) for name in fs.ls(path, detail=False))


def _option(said: str) -> "tuple[str, jabbertts.Value]":
    name, equals, value = said.partition("=")
    if not equals or name not in {p.name for p in jabbertts.parameters()}:
        raise argparse.ArgumentTypeError(f"'{said}' is not NAME=VALUE of {', '.join(p.name for p in jabbertts.parameters())}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def main() -> int:
    p = argparse.ArgumentParser(prog="python -m jabbertts.ray", description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("input")
    p.add_argument("output")
    p.add_argument("--model", help="a file that all nodes have (default: the built-in voice)")
    p.add_argument("--address", help="of a running cluster, as ray.init takes it (default: $RAY_ADDRESS, else this machine)")
    p.add_argument("--jobs", type=int, default=8, help="texts at once on a node (default 8)")
    p.add_argument("--set", type=_option, action="append", default=[], metavar="NAME=VALUE", help="an option of speech, for all rows")
    o = p.parse_args()
    try:
        import ray
        import ray.data  # noqa: F401
    except ImportError as e:
        sys.exit(f"jabbertts.ray: {e}: pip install 'jabbertts[ray]'")
    ray.init(address=o.address)
    counts = speak(o.input, o.output, o.model, o.jobs, **dict(o.set))
    print(f"{o.output}: {counts.made} made, {counts.there} there before, {counts.failed} failed")
    if counts.failed:
        print("what failed is in manifest.jsonl with its error; the same command tries it again")
    return 1 if counts.failed else 0


if __name__ == "__main__":
    sys.exit(main())
