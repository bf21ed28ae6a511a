/* picture.js - waveform above, spectrogram below, a time axis and a playhead.  A column is computed
 * once, when its samples have come; a frame only scales what is there to the canvas. */
const FFT = 512, TOP_HZ = 8000, COLUMN_S = 0.02, WAVE = 56, SPECTRUM = 100, MAX_COLUMNS = 16384;
const twiddle = Array.from({ length: FFT / 2 }, (_, i) => [Math.cos((2 * Math.PI * i) / FFT), -Math.sin((2 * Math.PI * i) / FFT)]);
const windowed = Float32Array.from({ length: FFT }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / (FFT - 1)));

/* In-place radix-2 transform of re, im (length FFT). */
function fft(re, im) {
  for (let i = 1, j = 0; i < FFT; i++) {
    let bit = FFT >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) [re[i], re[j]] = [re[j], re[i]];
  }
  for (let n = 2; n <= FFT; n *= 2)
    for (let i = 0; i < FFT; i += n)
      for (let k = 0; k < n / 2; k++) {
        const [c, s] = twiddle[(k * FFT) / n], a = i + k, b = a + n / 2;
        const x = re[b] * c - im[b] * s, y = re[b] * s + im[b] * c;
        re[b] = re[a] - x; im[b] = im[a] - y;
        re[a] += x; im[a] += y;
      }
}

/* Level 0..1 to a colour: black, red, yellow, white. */
const heat = (v) => [Math.min(1, 2.2 * v) * 255, Math.max(0, Math.min(1, 2.2 * v - 0.8)) * 255, Math.max(0, 3 * v - 2) * 255];

export class Picture {
  #canvas; #strip = document.createElement("canvas"); #ink;
  #sound = null; #column = 0; #n = 0;
  peaks = []; /* of each column, the largest sample */

  constructor(canvas) {
    this.#canvas = canvas;
    this.open(null);
  }
  /* The columns of another sound from here on. */
  open(sound) {
    this.#sound = sound;
    this.#strip.width = 1024;
    this.#strip.height = WAVE + SPECTRUM;
    this.#ink = this.#strip.getContext("2d", { willReadFrequently: true });
    this.#column = sound ? Math.round(COLUMN_S * sound.hz) : 1;
    this.#n = 0;
    this.peaks = [];
  }
  get columnSeconds() { return this.#sound ? this.#column / this.#sound.hz : COLUMN_S; }

  /* Columns of the samples that have come since. */
  update() {
    const { length, complete } = this.#sound;
    while ((this.#n + 1) * this.#column <= length || (complete && this.#n * this.#column < length)) {
      if (this.#n === this.#strip.width) this.#grow();
      this.#draw(this.#n * this.#column);
      this.#n++;
    }
  }
  /* Twice as wide, or, where that is too wide, columns of twice the time. */
  #grow() {
    const old = document.createElement("canvas");
    old.width = this.#strip.width;
    old.height = this.#strip.height;
    old.getContext("2d").drawImage(this.#strip, 0, 0);
    const wider = old.width < MAX_COLUMNS;
    if (wider) this.#strip.width = 2 * old.width;
    else {
      this.#ink.clearRect(0, 0, old.width, old.height);
      this.#column *= 2;
      this.#n = old.width / 2;
      this.peaks = Array.from({ length: this.#n }, (_, i) => Math.max(this.peaks[2 * i], this.peaks[2 * i + 1]));
    }
    this.#ink.drawImage(old, 0, 0, wider ? old.width : old.width / 2, old.height);
  }
  #draw(from) {
    const { samples, hz } = this.#sound, to = Math.min(samples.length, from + this.#column), g = this.#ink, x = this.#n;
    let low = 0, high = 0;
    for (let i = from; i < to; i++) { low = Math.min(low, samples[i]); high = Math.max(high, samples[i]); }
    this.peaks.push(Math.max(high, -low));
    g.fillStyle = "#ff9d7a";
    g.fillRect(x, WAVE / 2 - (high * WAVE) / 2, 1, Math.max(1, ((high - low) * WAVE) / 2));
    const re = new Float32Array(FFT), im = new Float32Array(FFT), start = Math.floor((from + to - FFT) / 2);
    for (let i = 0; i < FFT; i++) re[i] = (samples[start + i] || 0) * windowed[i];
    fft(re, im);
    const image = g.createImageData(1, SPECTRUM), bins = Math.min(FFT / 2 - 1, (TOP_HZ / hz) * FFT);
    for (let y = 0; y < SPECTRUM; y++) {
      const k = Math.floor(((SPECTRUM - 1 - y) / SPECTRUM) * bins);
      const level = Math.min(1, Math.max(0, (Math.log10(re[k] * re[k] + im[k] * im[k] + 1e-9) + 4) / 7));
      image.data.set([...heat(level), 255], 4 * y);
    }
    g.putImageData(image, x, WAVE);
  }

  /* total: seconds that the width stands for; position: of the playhead. */
  paint(position, total) {
    const scale = window.devicePixelRatio || 1, canvas = this.#canvas, width = canvas.clientWidth, height = 180;
    if (canvas.width !== Math.round(width * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    const g = canvas.getContext("2d"), x = (s) => (s / total) * width, rows = WAVE + SPECTRUM;
    g.setTransform(scale, 0, 0, scale, 0, 0);
    g.fillStyle = "#14110f";
    g.fillRect(0, 0, width, height);
    if (!(total > 0)) return;
    if (this.#n) g.drawImage(this.#strip, 0, 0, this.#n, rows, 0, 0, x(this.#n * this.columnSeconds), rows);
    g.fillStyle = "#e8dfd2";
    g.font = "11px system-ui, sans-serif";
    const step = [0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800].find((s) => x(s) >= 48) || 3600;
    for (let s = 0; s < total; s += step) {
      g.fillRect(x(s), rows, 1, 5);
      g.fillText(s >= 60 ? Math.floor(s / 60) + ":" + String(s % 60).padStart(2, "0") : s + " s", x(s) + 3, height - 8);
    }
    g.fillStyle = "#ffffff";
    g.fillRect(x(position) - 1, 0, 2, rows + 5);
  }
}
