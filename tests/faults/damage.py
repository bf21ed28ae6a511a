"""Copies of a model file with bad numbers in one tensor, as a failing disk or memory would leave them.

    damage.py IN OUT TENSOR nan [I]      value I, 0 if not given (of blocks: the scale of block I)
    damage.py IN OUT TENSOR huge         all values: finite, but what is computed of them is not
"""
import math
import struct
import sys

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
# GGUF's types of tensors: values in a block, its bytes, and a number's format, NaN and largest value
TYPES = {0: (1, 4, "<f", math.nan, 3e38), 1: (1, 2, "<e", math.nan, 65504.0), 2: (32, 18, "<e", math.nan, 65504.0),
         8: (32, 34, "<e", math.nan, 65504.0)}


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        value = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return value[0]

    def string(self):
        n = self.take("Q")
        self.at += n
        return self.data[self.at - n:self.at].decode()

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind != ARRAY:
            return self.take(SCALARS[kind])
        kind, n = self.take("I"), self.take("Q")
        return [self.value(kind) for _ in range(n)]


def tensors(data):
    """name: (offset in the file, values, type)"""
    r = Reader(data)
    r.at = 8
    n_tensor, n_key = r.take("Q"), r.take("Q")
    meta = {}
    for _ in range(n_key):
        key = r.string()
        meta[key] = r.value(r.take("I"))
    found = {}
    for _ in range(n_tensor):
        name = r.string()
        shape = [r.take("Q") for _ in range(r.take("I"))]
        kind = r.take("I")
        found[name] = (r.take("Q"), math.prod(shape), kind)
    align = meta.get("general.alignment", 32)
    base = (r.at + align - 1) // align * align
    return {name: (base + offset, n, kind) for name, (offset, n, kind) in found.items()}


def damage(source, target, name, how, at=0):
    with open(source, "rb") as f:
        data = bytearray(f.read())
    offset, n, kind = tensors(data)[name]
    block, size, form, nan, most = TYPES[kind]
    for i in range(n // block) if how == "huge" else [at]:
        struct.pack_into(form, data, offset + i * size, most if how == "huge" else nan)
    with open(target, "wb") as f:
        f.write(data)


if __name__ == "__main__":
    damage(*sys.argv[1:5], *[int(i) for i in sys.argv[5:]])
