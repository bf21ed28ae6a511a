"""DNSMOS P.835 (Microsoft, MIT; the package speechmos has the network): quality that listeners would
give, 1 to 5, of the speech, of the background and of all.  It was trained on noisy telephony, so it
tells clean from rough, not natural from robotic."""

import os

import numpy as np

HZ, WINDOW = 16000, 144160  # 9.01 s


class Mos:
    def __init__(self, threads, notes):
        import importlib.util
        import onnxruntime
        home = importlib.util.find_spec("speechmos").submodule_search_locations[0]
        o = onnxruntime.SessionOptions()
        o.intra_op_num_threads = threads
        self.net = onnxruntime.InferenceSession(os.path.join(home, "dnsmos_models", "sig_bak_ovr.onnx"), o)
        self.notes = notes

    def rate(self, pcm):
        """pcm at HZ: speech, background, overall."""
        return self.notes.of("mos", pcm, lambda: [float(x) for x in self.judge(pcm)])

    def judge(self, pcm):
        """pcm at HZ, repeated to a window where shorter: speech, background, overall."""
        pcm = np.tile(pcm, -(-WINDOW // max(1, len(pcm)))) if len(pcm) < WINDOW else pcm
        got = [self.net.run(None, {"input_1": pcm[None, at:at + WINDOW].astype(np.float32)})[0][0]
               for at in range(0, len(pcm) - WINDOW + 1, 3 * HZ)]
        s, b, o = np.mean(got, 0)
        # The polynomials that speechmos 0.0.1.1 maps the network's answers with.
        return (np.polyval([-0.08397278, 1.22083953, 0.0052439], s),
                np.polyval([-0.13166888, 1.60915514, -0.39604546], b),
                np.polyval([-0.06766283, 1.11546468, 0.04602535], o))
