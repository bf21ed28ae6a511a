#!/usr/bin/env python3
"""codec_peers.py - our codec beside ONNX Runtime, on the same shapes, on this machine, in turns.

    bench/codec_peers.py MODEL [ROUNDS]

MODEL is a full-size file: jabbertts convert --random s1-mini --type q8_0 -o MODEL.  Builds the
convolutions of S1-mini's decoder with random weights as an ONNX graph (without the transformer and
the upsampling that ours has to do too), in fp32 and quantized per channel to 8 bits (U8S8, QDQ), and
runs it over 8 frames at a time.  Installs onnx and onnxruntime in build/peers; needs the network once.
Prints the best and the median of wall time / audio time and the best of processor time / audio time.
"""
import math, os, re, subprocess, sys, time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PEERS = os.path.join(HERE, "build", "peers")
PYTHON = os.path.join(PEERS, "bin", "python")
FRAMES, STEPS, HZ, HOP = 8, 32, 44100, 2048  # steps: input rows of 8 frames


def install():
    if not os.path.exists(os.path.join(PEERS, "ready")):
        subprocess.run([sys.executable, "-m", "venv", PEERS], check=True)
        subprocess.run([PYTHON, "-m", "pip", "install", "-q", "onnx", "onnxruntime"], check=True)
        open(os.path.join(PEERS, "ready"), "w").close()
    if sys.prefix != PEERS:
        os.execv(PYTHON, [PYTHON] + sys.argv)


class Graph:
    def __init__(self):
        import numpy
        self.nodes, self.weights = [], []
        self.random = numpy.random.default_rng(0)

    def weight(self, array):
        from onnx import numpy_helper
        name = "w%d" % len(self.weights)
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def op(self, kind, *inputs, **attributes):
        from onnx import helper
        name = "n%d" % len(self.nodes)
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def conv(self, x, n_in, n_out, taps, dilation=1):
        import numpy
        w = self.random.standard_normal((n_out, n_in, taps)) * 0.6 / math.sqrt(n_in * taps)
        bias = self.weight(numpy.zeros(n_out, numpy.float32))
        return self.op("Conv", x, self.weight(w.astype(numpy.float32)), bias, kernel_shape=[taps],
                       dilations=[dilation], pads=[(taps - 1) * dilation, 0], strides=[1])

    def snake(self, x, n):
        import numpy
        alpha = (self.random.random((1, n, 1)) + 0.5).astype(numpy.float32)
        s = self.op("Sin", self.op("Mul", x, self.weight(alpha)))
        return self.op("Add", x, self.op("Mul", self.op("Mul", s, s), self.weight(1 / alpha)))

    def up(self, x, n_in, n_out, rate):
        """Transposed, as two taps and a shuffle: faster there than ConvTranspose."""
        import numpy
        y = self.conv(x, n_in, n_out * rate, 2)
        y = self.op("Reshape", y, self.weight(numpy.array([1, n_out, rate, -1])))
        y = self.op("Transpose", y, perm=[0, 1, 3, 2])
        return self.op("Reshape", y, self.weight(numpy.array([1, n_out, -1])))


def write_fp32(path):
    import onnx
    from onnx import helper
    g = Graph()
    x, n = g.conv("x", 1024, 1536, 7), 1536
    for rate in (8, 8, 4, 2):
        x = g.up(g.snake(x, n), n, n // 2, rate)
        n //= 2
        for dilation in (1, 3, 9):
            y = g.conv(g.snake(x, n), n, n, 7, dilation)
            x = g.op("Add", x, g.conv(g.snake(y, n), n, n, 1))
    g.nodes.append(helper.make_node("Tanh", [g.conv(g.snake(x, n), n, 1, 7)], ["y"]))
    value = helper.make_tensor_value_info
    graph = helper.make_graph(g.nodes, "decoder", [value("x", 1, [1, 1024, "T"])],
                              [value("y", 1, [1, 1, "S"])], g.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, path)


def latent(steps):
    import numpy
    return numpy.random.default_rng(1).standard_normal((1, 1024, steps)).astype(numpy.float32) / 2


def write_int8(fp32, path):
    from onnxruntime import quantization as q

    class Reader(q.CalibrationDataReader):
        left = 1

        def get_next(self):
            self.left -= 1
            return {"x": latent(STEPS)} if self.left >= 0 else None

    q.quantize_static(fp32, path, Reader(), quant_format=q.QuantFormat.QDQ,
                      op_types_to_quantize=["Conv"], per_channel=True,
                      activation_type=q.QuantType.QUInt8, weight_type=q.QuantType.QInt8)


def time_onnx(session):
    x, audio = latent(STEPS), FRAMES * HOP / HZ
    wall, cpu = time.perf_counter(), time.process_time()
    session.run(None, {"x": x})
    return (time.perf_counter() - wall) / audio, (time.process_time() - cpu) / audio


def time_ours(model, threads):
    out = subprocess.run([os.path.join(HERE, "build", "bench", "codec"), model, str(threads), "8"],
                         capture_output=True, text=True, check=True).stdout
    m = re.search(r"decode, 8 frames.*RTF best (\S+) median (\S+)\s+processor best (\S+)", out)
    return [float(v) for v in m.groups()]


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    install()
    import onnxruntime
    subprocess.run(["make", "-s", "-C", HERE, "build/bench/codec"], check=True)
    threads, rounds = os.cpu_count(), int(sys.argv[2]) if len(sys.argv) > 2 else 3
    fp32, int8 = (os.path.join(PEERS, "decoder-%s.onnx" % t) for t in ("fp32", "int8"))
    if not os.path.exists(fp32):
        write_fp32(fp32)
    if not os.path.exists(int8):
        write_int8(fp32, int8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    sessions = [onnxruntime.InferenceSession(p, options, ["CPUExecutionProvider"])
                for p in (fp32, int8)]
    for s in sessions:
        time_onnx(s)
    times, ours = [[], []], []
    for _ in range(rounds):
        for s, t in zip(sessions, times):
            t.extend(time_onnx(s) for _ in range(6))
        ours.append(time_ours(sys.argv[1], threads))
    print("%-34s %8s %8s %10s" % ("%d threads, 8 frames" % threads, "best", "median", "processor"))
    for name, t in zip(("ONNX Runtime %s, fp32", "ONNX Runtime %s, int8"), times):
        wall = sorted(w for w, _ in t)
        print("%-34s %8.3f %8.3f %10.3f" % (name % onnxruntime.__version__, wall[0],
                                            wall[len(wall) // 2], min(c for _, c in t)))
    print("%-34s %8.3f %8.3f %10.3f" % ("JabberTTS, whole codec", min(o[0] for o in ours),
                                        sorted(o[1] for o in ours)[len(ours) // 2],
                                        min(o[2] for o in ours)))


main()
