"""The hub's own client downloads from the hub of tests/hub/fixture.py, which is so known to answer like
the real one; and what it has cached is what `jabbertts pull` finds."""
import hashlib
import os
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "hub")]
TMP = tempfile.TemporaryDirectory()
os.environ.update(HF_HUB_DISABLE_XET="1", HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_PROGRESS_BARS="1",
                  HF_HOME=os.path.join(TMP.name, "hf"))
import fixture  # noqa: E402
from puller import NANO, Home  # noqa: E402

HUB = fixture.Hub().__enter__()
os.environ["HF_ENDPOINT"] = HUB.url
import huggingface_hub  # noqa: E402
from huggingface_hub import errors  # noqa: E402

REPO = HUB.add_directory("jabber/nano", NANO, licence="mit")
HUB.add_directory("jabber/gated", NANO, gated=True)


class Hub(unittest.TestCase):
    def test_files_are_those_that_were_put_there(self):
        for name in ("config.json", "model.pth"):
            path = huggingface_hub.hf_hub_download("jabber/nano", name, token=False)
            with open(path, "rb") as f:
                self.assertEqual(f.read(), REPO.files[name])

    def test_metadata(self):
        large, small = (huggingface_hub.get_hf_file_metadata(huggingface_hub.hf_hub_url("jabber/nano", n), token=False)
                        for n in ("model.pth", "config.json"))
        self.assertEqual((large.etag, large.size, large.commit_hash),
                         (REPO.sha256["model.pth"], len(REPO.files["model.pth"]), REPO.commit))
        self.assertEqual((small.etag, small.size), (REPO.git["config.json"], len(REPO.files["config.json"])))

    def test_refusals(self):
        for token, kind in ((False, errors.GatedRepoError), ("hf_stranger", errors.GatedRepoError)):
            with self.assertRaises(kind):
                huggingface_hub.hf_hub_download("jabber/gated", "config.json", token=token)
        with self.assertRaises(errors.RepositoryNotFoundError):
            huggingface_hub.hf_hub_download("jabber/none", "config.json", token=False)
        with self.assertRaises(errors.RevisionNotFoundError):
            huggingface_hub.hf_hub_download("jabber/nano", "config.json", revision="v9", token=False)
        with self.assertRaises(errors.EntryNotFoundError):
            huggingface_hub.hf_hub_download("jabber/nano", "none.json", token=False)
        huggingface_hub.hf_hub_download("jabber/gated", "config.json", token=fixture.TOKEN)

    def test_its_cache_is_used(self):
        cache = os.path.join(TMP.name, "cache")
        huggingface_hub.snapshot_download("jabber/nano", cache_dir=cache, token=False)
        with Home(HUB) as home:
            before = len(HUB.storage_requests())
            done = home.pull("jabber/nano", HF_HUB_CACHE=cache)
            self.assertEqual(done.code, 0, done)
            self.assertEqual(len(HUB.storage_requests()), before)
            home.run("models", "rm", "nano")
            done = home.pull("jabber/nano", HF_HUB_CACHE=cache, HF_HUB_OFFLINE="1")
            self.assertEqual(done.code, 0, done)
        for name, data in REPO.files.items():
            path = os.path.join(cache, "models--jabber--nano", "snapshots", REPO.commit, name)
            with open(path, "rb") as f:
                self.assertEqual(hashlib.sha256(f.read()).hexdigest(), hashlib.sha256(data).hexdigest())


if __name__ == "__main__":
    unittest.main()
