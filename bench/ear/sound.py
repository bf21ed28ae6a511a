"""What can be counted in the samples: level, silence, clicks, dropouts, pitch.  pcm is mono float."""

import numpy as np
from scipy.signal import bilinear, lfilter, resample_poly


def k_weight(pcm, hz):
    """ITU-R BS.1770-4's two filters, from their analogue prototypes, at any rate."""
    k = np.tan(np.pi * 1681.974450955533 / hz)
    q, vh = 0.7071752369554196, 10 ** (3.999843853973347 / 20)
    vb = vh ** 0.4996667741545416
    a0 = 1 + k / q + k * k
    y = lfilter([(vh + vb * k / q + k * k) / a0, 2 * (k * k - vh) / a0, (vh - vb * k / q + k * k) / a0],
                [1, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0], pcm)
    k, q = np.tan(np.pi * 38.13547087602444 / hz), 0.5003270373238773
    a0 = 1 + k / q + k * k
    return lfilter([1, -2, 1], [1, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0], y)


def loudness(pcm, hz):
    """Integrated loudness in LUFS: blocks of 400 ms, gates at -70 LUFS and 10 LU below the rest."""
    y = k_weight(pcm, hz) ** 2
    block, step = int(0.4 * hz), int(0.1 * hz)
    if len(y) < block:
        y = np.pad(y, (0, block - len(y)))
    total = np.concatenate([[0], np.cumsum(y)])
    at = np.arange(0, len(y) - block + 1, step)
    power = (total[at + block] - total[at]) / block
    power = power[power > 10 ** ((-70 + 0.691) / 10)]
    if not len(power):
        return -70.0
    power = power[power > power.mean() / 10]
    return float(-0.691 + 10 * np.log10(power.mean()))


def true_peak(pcm):
    """dBTP: four times oversampled."""
    return float(20 * np.log10(np.abs(resample_poly(pcm, 4, 1)).max() + 1e-9))


def active(pcm, hz, below_db=40):
    """Frames of 10 ms that are at most so much softer than the loud ones."""
    n = len(pcm) // (hz // 100)
    power = (pcm[:n * (hz // 100)].reshape(n, -1) ** 2).mean(1) + 1e-12
    return power > np.percentile(power, 95) * 10 ** (-below_db / 10)


def silences(pcm, hz):
    """Leading and trailing silence and the longest pause, in ms, and the share of silence within."""
    on = np.flatnonzero(active(pcm, hz))
    if not len(on):
        return dict(lead=10 * len(pcm) // (hz // 100), trail=0, pause=0, share=1.0)
    gaps = np.diff(on) - 1
    return dict(lead=int(on[0]) * 10, trail=int((len(pcm) - (on[-1] + 1) * (hz // 100)) * 1000 / hz),
                pause=int(gaps.max()) * 10 if len(gaps) else 0, share=float(gaps.sum() / (on[-1] - on[0] + 1)))


def clicks(pcm, hz):
    """Positions of jumps that the sound around does not explain.

    The jump is the second difference, which speech of this band keeps small and smooth.  A click is one
    that is 6 times the largest within 12 ms before and after it, 1 ms apart, and -50 dB of full scale.
    The ends count: sound that starts or ends away from zero jumps against the silence outside."""
    x = np.concatenate([np.zeros(hz // 50), pcm, np.zeros(hz // 50)])
    d = np.abs(np.diff(x, 2))
    from scipy.ndimage import maximum_filter1d
    near, gap = int(0.012 * hz), int(0.001 * hz)
    around = np.maximum(np.roll(maximum_filter1d(d, near), gap + near // 2),
                        np.roll(maximum_filter1d(d, near), -gap - near // 2))
    hit = np.flatnonzero((d > 6 * around) & (d > 10 ** (-50 / 20)))
    return [int(h) - hz // 50 for i, h in enumerate(hit) if i == 0 or h - hit[i - 1] > gap]


def dropouts(pcm, hz):
    """Positions of 5 ms and more of one value with sound on both sides."""
    same = np.concatenate([[0], (np.diff(pcm) == 0).astype(int), [0]])
    edge = np.flatnonzero(np.diff(same))
    side, found = hz // 100, []
    for a, b in zip(edge[::2], edge[1::2]):
        left, right = pcm[max(0, a - side):a], pcm[b:b + side]
        if b - a >= hz // 200 and len(left) and len(right) and min(np.sqrt((left ** 2).mean()), np.sqrt((right ** 2).mean())) > 0.01:
            found.append(int(a))
    return found


def pitch(pcm, hz, low=60, high=400):
    """Median fundamental in Hz and its spread in semitones over voiced frames, by autocorrelation."""
    size, step = int(0.04 * hz), int(0.01 * hz)
    if len(pcm) < size:
        return 0.0, 0.0
    frames = np.lib.stride_tricks.sliding_window_view(pcm, size)[::step]
    frames = frames - frames.mean(1, keepdims=True)
    power = (frames ** 2).sum(1)
    frames = frames[power > np.percentile(power, 95) * 0.01]
    r = np.fft.irfft(np.abs(np.fft.rfft(frames, 2 * size)) ** 2)[:, :size]
    r = r / (r[:, :1] + 1e-12) * (size / (size - np.arange(size)))
    lags = r[:, hz // high:hz // low]
    best = lags.argmax(1)
    f = hz / (best[lags.max(1) > 0.6] + hz // high)
    if not len(f):
        return 0.0, 0.0
    return float(np.median(f)), float(np.std(12 * np.log2(f / np.median(f))))


def at_16k(pcm, hz):
    from math import gcd
    g = gcd(16000, hz)
    return (pcm if hz == 16000 else resample_poly(pcm, 16000 // g, hz // g)).astype(np.float32)
