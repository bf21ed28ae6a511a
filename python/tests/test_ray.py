"""Two nodes on this machine, one of which is killed in the middle."""
import collections
import json
import os
import threading
import time
import wave

import numpy as np
import pytest

import jabbertts

ray = pytest.importorskip("ray", reason="Ray is not installed")
from ray.cluster_utils import Cluster  # noqa: E402

import jabbertts.ray  # noqa: E402

LINES = 120


@pytest.fixture
def cluster():
    c = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "object_store_memory": 100 << 20})
    second = c.add_node(num_cpus=2, object_store_memory=100 << 20)
    c.wait_for_nodes()
    ray.init(address=c.address, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield c, second
    ray.shutdown()
    c.shutdown()


def rows(n):
    return [{"id": f"line/{i}", "text": f"This is line {i}, and it is spoken once.", "seed": i} for i in range(n)]


def sounds(folder):
    return {n for n in os.listdir(folder) if n.endswith(".wav")}


def samples(path):
    with wave.open(path) as w:
        assert w.getframerate() == 16000 and w.getnchannels() == 1
        return np.frombuffer(w.readframes(w.getnframes()), "<i2")


def speakers():
    """Nodes on which an engine is, and how many."""
    actors = ray._private.state.actors().values()
    return collections.Counter(a["Address"]["NodeID"] for a in actors if "_Speaker" in a["ActorClassName"] and a["State"] == "ALIVE")


def test_a_node_dies(cluster, tmp_path):
    c, second = cluster
    source, out = tmp_path / "in.jsonl", str(tmp_path / "out")
    source.write_text("".join(json.dumps(r) + "\n" for r in rows(LINES) + [{"id": "bad", "text": "x", "voice": "nobody"}]))
    killed = []

    def kill():
        for _ in range(1200):
            if os.path.isdir(out) and len(sounds(out)) >= LINES // 6:
                killed.append((speakers(), len(sounds(out))))
                c.remove_node(second, allow_graceful=False)
                return
            time.sleep(0.1)
    killer = threading.Thread(target=kill)
    killer.start()
    counts = jabbertts.ray.speak(str(source), out, jobs=4, voice="amy")
    killer.join()
    (before, n_before), = killed
    assert sorted(before.values()) == [1, 1] and n_before < LINES, "one engine on each node, and the node died in the middle"
    assert sum(n["Alive"] for n in ray.nodes()) == 1
    assert counts.failed == 1 and counts.made + counts.there == LINES

    found = [json.loads(line) for line in open(os.path.join(out, "manifest.jsonl"))]
    assert sorted(f["id"] for f in found) == sorted([r["id"] for r in rows(LINES)] + ["bad"])
    assert sounds(out) == {f["file"] for f in found if f["file"]} and len(sounds(out)) == LINES
    assert [f["error"] for f in found if "error" in f] == ['there is no voice "nobody"']
    with jabbertts.TTS(threads=1) as tts:
        for r in rows(LINES)[::17]:
            file, = (f["file"] for f in found if f["id"] == r["id"])
            want = (np.clip(tts.say(r["text"], voice="amy", seed=r["seed"]), -1, 1) * 32767).round()
            assert np.array_equal(samples(os.path.join(out, file)), want)

    gone = sorted(sounds(out))[:3]
    for name in gone:
        os.unlink(os.path.join(out, name))
    assert jabbertts.ray.speak(str(source), out, jobs=4, voice="amy") == (3, LINES - 3, 1)
    assert set(gone) <= sounds(out)


@pytest.fixture
def one_core():
    ray.init(num_cpus=1, object_store_memory=100 << 20, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


def test_parquet(one_core, tmp_path):
    import pyarrow
    import pyarrow.parquet
    folder = tmp_path / "in"
    folder.mkdir()
    table = pyarrow.Table.from_pylist([{"input": "No name.", "voice": None}, {"input": "Another.", "voice": "bella"}, {"input": None}])
    pyarrow.parquet.write_table(table, folder / "a.parquet")
    out = "file://" + str(tmp_path / "out")
    assert jabbertts.ray.speak(str(folder), out) == (2, 0, 1)
    assert jabbertts.ray.speak(str(folder), out) == (0, 2, 1)
    assert jabbertts.ray.speak(str(folder), out, seed=1) == (2, 0, 1), "another seed, another sound"
