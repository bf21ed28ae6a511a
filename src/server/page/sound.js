/* sound.js - speech as it comes: bytes to samples, samples that grow, and a player of them.
 *
 * The page asks for WAV, whatever is downloaded later: samples can be played, drawn and kept as they
 * come, in every browser, and a position is exact to the sample. */

/* Bytes of server-sent events to the objects that they carry. */
export class EventReader {
  #text = "";
  #decoder = new TextDecoder();
  read(bytes) {
    const events = (this.#text + this.#decoder.decode(bytes, { stream: true })).split("\n\n");
    this.#text = events.pop();
    return events.map((e) => e.slice(e.indexOf("data: ") + 6)).filter((data) => data !== "[DONE]").map((data) => JSON.parse(data));
  }
}

/* Bytes of a WAV stream (16-bit, mono) to samples; hz is known after its header. */
export class WavReader {
  #rest = new Uint8Array(0);
  hz = 0;
  read(bytes) {
    const all = new Uint8Array(this.#rest.length + bytes.length);
    all.set(this.#rest);
    all.set(bytes, this.#rest.length);
    let from = 0;
    if (!this.hz && all.length >= 44) {
      this.hz = new DataView(all.buffer).getUint32(24, true);
      from = 44;
    }
    if (!this.hz) {
      this.#rest = all;
      return new Float32Array(0);
    }
    const n = (all.length - from) >> 1, view = new DataView(all.buffer, from), pcm = new Float32Array(n);
    for (let i = 0; i < n; i++) pcm[i] = view.getInt16(i * 2, true) / 32768;
    this.#rest = all.slice(from + n * 2);
    return pcm;
  }
}

/* Samples at hz, added at the end until complete. */
export class Sound {
  #room = new Float32Array(1 << 16);
  length = 0;
  complete = false;
  constructor(hz) { this.hz = hz; }
  get seconds() { return this.length / this.hz; }
  get samples() { return this.#room.subarray(0, this.length); }
  add(pcm) {
    if (this.length + pcm.length > this.#room.length) {
      const more = new Float32Array(Math.max(2 * this.#room.length, this.length + pcm.length));
      more.set(this.samples);
      this.#room = more;
    }
    this.#room.set(pcm, this.length);
    this.length += pcm.length;
  }
  wav() {
    const v = new DataView(new ArrayBuffer(44 + this.length * 2)), tag = (at, s) => [...s].forEach((c, i) => v.setUint8(at + i, c.charCodeAt(0)));
    tag(0, "RIFF"); v.setUint32(4, 36 + this.length * 2, true); tag(8, "WAVEfmt "); v.setUint32(16, 16, true);
    v.setUint16(20, 1, true); v.setUint16(22, 1, true); v.setUint32(24, this.hz, true); v.setUint32(28, this.hz * 2, true);
    v.setUint16(32, 2, true); v.setUint16(34, 16, true); tag(36, "data"); v.setUint32(40, this.length * 2, true);
    this.samples.forEach((s, i) => v.setInt16(44 + i * 2, Math.max(-32768, Math.min(32767, Math.round(s * 32768))), true));
    return new Blob([v], { type: "audio/wav" });
  }
}

const AHEAD_S = 1, PIECE_S = 0.25, LEAD_S = 0.05, TICK_MS = 50;

/* Plays one sound at a time.  Pieces of it are handed to Web Audio a little ahead; what is heard now
 * follows from when they start, also where the next samples came late. */
export class Player {
  #context = null;
  #pieces = []; /* {node, time, from, to}, in order */
  #timer = 0;
  #rest = 0; /* where it stands, in samples, while it does not play */
  #at = 0;   /* handed over up to here, */
  #next = 0; /* which ends then, in the context's time */
  sound = null;
  playing = false;
  onended = () => {};

  /* In a click's handler: browsers let only those start sound. */
  unlock() {
    this.#context ??= new AudioContext();
    this.#context.resume();
  }
  open(sound) {
    this.pause();
    this.sound = sound;
    this.#rest = 0;
    if (this.#context?.sampleRate === sound.hz) return;
    this.#context?.close();
    this.#context = new AudioContext({ sampleRate: sound.hz }); /* its own rate: pieces join without a seam */
  }
  get #now() { return this.#context.currentTime - (this.#context.outputLatency || 0); }
  get position() {
    if (!this.playing) return this.sound ? this.#rest / this.sound.hz : 0;
    const now = this.#now, piece = this.#pieces.findLast((p) => p.time <= now);
    return (piece ? Math.min(piece.to, piece.from + (now - piece.time) * this.sound.hz) : this.#rest) / this.sound.hz;
  }
  get suspended() { return this.playing && this.#context.state === "suspended"; }
  play() {
    if (!this.sound || this.playing) return;
    this.#context.resume();
    this.playing = true;
    this.#at = this.#rest;
    this.#next = 0;
    this.#tick();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }
  pause() {
    if (!this.playing) return;
    this.#rest = Math.round(this.position * this.sound.hz);
    this.playing = false;
    clearInterval(this.#timer);
    for (const p of this.#pieces) p.node.stop();
    this.#pieces = [];
  }
  seek(seconds) {
    if (!this.sound) return;
    const was = this.playing;
    this.pause();
    this.#rest = Math.round(Math.max(0, Math.min(this.sound.length, seconds * this.sound.hz)));
    if (was) this.play();
  }
  #tick() {
    const { sound } = this, out = this.#context, piece = Math.round(PIECE_S * sound.hz);
    while (this.#at < sound.length && this.#next - out.currentTime < AHEAD_S) {
      const n = Math.min(piece, sound.length - this.#at), late = this.#next < out.currentTime + LEAD_S;
      if (n < piece && !sound.complete && !late) break; /* more will come in time */
      const buffer = out.createBuffer(1, n, sound.hz), node = out.createBufferSource();
      buffer.copyToChannel(sound.samples.subarray(this.#at, this.#at + n), 0);
      node.buffer = buffer;
      node.connect(out.destination);
      if (late) this.#next = out.currentTime + LEAD_S;
      node.start(this.#next);
      this.#pieces.push({ node, time: this.#next, from: this.#at, to: this.#at + n });
      this.#at += n;
      this.#next += n / sound.hz;
    }
    if (this.#pieces.length > 64) this.#pieces.splice(0, this.#pieces.length - 64);
    if (sound.complete && this.#at >= sound.length && this.#now >= this.#next) {
      this.pause();
      this.#rest = sound.length;
      this.onended();
    }
  }
}
