/* page.js - the page at "/": speak, hear it while it is made, look at it, manage voices.
 *
 * mp3 and aac play from the first bytes through Media Source; wav and pcm are scheduled with Web
 * Audio as they come; the others, whose containers browsers do not stream, play when complete. */
"use strict";

const $ = (id) => document.getElementById(id);
const PCM_HZ = 24000;
const MIME = { mp3: "audio/mpeg", opus: "audio/ogg", aac: "audio/aac", flac: "audio/flac", wav: "audio/wav", pcm: "audio/wav" };
const seconds = (s) => (s < 60 ? s.toFixed(2) + " s" : Math.floor(s / 60) + " min " + Math.round(s % 60) + " s");

/* --- the API --- */

function api(path, options = {}) {
  const key = $("key").value.trim();
  const headers = new Headers(options.headers);
  if (key) headers.set("Authorization", "Bearer " + key);
  return fetch(path, { ...options, headers });
}

/* The server's own words for what went wrong. */
async function failure(response) {
  let text = "The server answered " + response.status + ".";
  try {
    text = (await response.json()).error.message;
  } catch { /* not ours: keep the status */ }
  const wait = response.headers.get("retry-after");
  return new Error(wait ? text + " Try again in " + wait + " s." : text);
}

async function getJson(path) {
  const r = await api(path);
  if (!r.ok) throw await failure(r);
  return r.json();
}

/* --- picture: waveform above, spectrogram below --- */

const FFT = 512, TOP_HZ = 8000;
const twiddle = Array.from({ length: FFT / 2 }, (_, i) => [Math.cos((2 * Math.PI * i) / FFT), -Math.sin((2 * Math.PI * i) / FFT)]);

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

/* One column: pcm at hz, its waveform scaled by 1 / peak, frequencies up to TOP_HZ. */
function drawColumn(g, { pcm, hz, peak }, x) {
  const { width, height } = g.canvas;
  const from = Math.floor((x * pcm.length) / width), to = Math.max(from + 1, Math.floor(((x + 1) * pcm.length) / width));
  let low = 0, high = 0;
  for (let i = from; i < to; i++) { low = Math.min(low, pcm[i]); high = Math.max(high, pcm[i]); }
  const middle = height * 0.2, half = (height * 0.19) / peak;
  g.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--wave");
  g.fillRect(x, middle - high * half, 1, Math.max(1, (high - low) * half));
  const re = new Float32Array(FFT), im = new Float32Array(FFT), start = Math.floor((from + to - FFT) / 2);
  for (let i = 0; i < FFT; i++)
    re[i] = (pcm[start + i] || 0) * (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / (FFT - 1)));
  fft(re, im);
  const top = height * 0.42, rows = height - top, bins = Math.min(FFT / 2 - 1, (TOP_HZ / hz) * FFT);
  for (let y = 0; y < rows; y += 2) {
    const k = Math.floor(((rows - y) / rows) * bins);
    const level = Math.min(1, Math.max(0, 1 + Math.log10(re[k] * re[k] + im[k] * im[k] + 1e-9) / 5));
    g.fillStyle = `hsl(${40 - level * 30} ${60 + level * 30}% ${level * 75}%)`;
    g.fillRect(x, top + y, 1, 2);
  }
}

function draw(pcm, hz) {
  const canvas = $("picture"), g = canvas.getContext("2d");
  const sound = { pcm, hz, peak: pcm.reduce((most, v) => Math.max(most, Math.abs(v)), 0.01) };
  g.clearRect(0, 0, canvas.width, canvas.height);
  if (pcm.length) for (let x = 0; x < canvas.width; x++) drawColumn(g, sound, x);
}

/* --- players: each takes bytes as they come and says what is heard --- */

let context = null;
const audioContext = () => (context ??= new AudioContext());

/* Media Source: the element plays while bytes are appended. */
function sourcePlayer(type) {
  const media = new MediaSource(), queue = [];
  let buffer = null, ended = false;
  const pump = () => {
    if (!buffer || buffer.updating || media.readyState !== "open") return;
    if (queue.length) buffer.appendBuffer(queue.shift());
    else if (ended) media.endOfStream();
  };
  media.addEventListener("sourceopen", () => {
    buffer = media.addSourceBuffer(type);
    buffer.addEventListener("updateend", pump);
    pump();
  });
  $("audio").src = URL.createObjectURL(media);
  $("audio").play().catch(() => {}); /* the browser wants a click first: the controls are there */
  return { add: (bytes) => { queue.push(bytes); pump(); }, end: () => { ended = true; pump(); }, stop: () => $("audio").pause() };
}

/* Web Audio: 16-bit samples, each piece placed behind the last. */
function samplePlayer(hz) {
  const out = audioContext(), playing = new Set();
  let at = 0;
  return {
    add(pcm) {
      if (!pcm.length) return;
      const piece = out.createBuffer(1, pcm.length, hz), node = out.createBufferSource();
      piece.copyToChannel(pcm, 0);
      node.buffer = piece;
      node.connect(out.destination);
      at = Math.max(at, out.currentTime + 0.05);
      node.start(at);
      at += piece.duration;
      playing.add(node);
      node.onended = () => playing.delete(node);
    },
    end() {},
    stop: () => playing.forEach((node) => node.stop()),
  };
}

/* Bytes of a WAV or PCM stream to samples; the header's rate is known after 44 bytes. */
function sampleReader(format) {
  let rest = new Uint8Array(0), header = format === "wav", hz = PCM_HZ;
  return {
    get hz() { return hz; },
    read(bytes) {
      const all = new Uint8Array(rest.length + bytes.length);
      all.set(rest);
      all.set(bytes, rest.length);
      rest = all;
      if (header) {
        if (rest.length < 44) return new Float32Array(0);
        hz = new DataView(rest.buffer).getUint32(24, true);
        rest = rest.slice(44);
        header = false;
      }
      const n = rest.length >> 1, view = new DataView(rest.buffer, rest.byteOffset, n * 2), pcm = new Float32Array(n);
      for (let i = 0; i < n; i++) pcm[i] = view.getInt16(i * 2, true) / 32768;
      rest = rest.slice(n * 2);
      return pcm;
    },
  };
}

function wavBlob(pcm, hz) {
  const v = new DataView(new ArrayBuffer(44 + pcm.length * 2)), tag = (at, s) => [...s].forEach((c, i) => v.setUint8(at + i, c.charCodeAt(0)));
  tag(0, "RIFF"); v.setUint32(4, 36 + pcm.length * 2, true); tag(8, "WAVEfmt "); v.setUint32(16, 16, true);
  v.setUint16(20, 1, true); v.setUint16(22, 1, true); v.setUint32(24, hz, true); v.setUint32(28, hz * 2, true);
  v.setUint16(32, 2, true); v.setUint16(34, 16, true); tag(36, "data"); v.setUint32(40, pcm.length * 2, true);
  pcm.forEach((s, i) => v.setInt16(44 + i * 2, Math.round(Math.max(-1, Math.min(1, s)) * 32767), true));
  return new Blob([v], { type: "audio/wav" });
}

/* --- one take --- */

function requestBody() {
  const body = {
    model: $("model").value, voice: $("voice").value, input: $("text").value,
    response_format: $("format").value, speed: Number($("speed").value),
  };
  for (const name of ["seed", "temperature", "top_p"])
    if ($(name).value !== "") body[name] = Number($(name).value);
  if ($("instructions").value.trim()) body.instructions = $("instructions").value.trim();
  return body;
}

let take = null; /* what is being made: {abort, player} */

function show(t, done) {
  const elapsed = (performance.now() - t.start) / 1000;
  $("elapsed").textContent = seconds(elapsed);
  if (t.first) $("first").textContent = Math.round(t.first) + " ms";
  if (t.audio) {
    $("seconds").textContent = seconds(t.audio);
    $("rtf").textContent = (elapsed / t.audio).toFixed(2);
  }
  $("state").textContent = done ? "Done." : t.first ? "Playing while it is made …" : "Waiting for the first audio …";
}

/* Everything so far as samples, or null where a prefix cannot be decoded. */
async function decoded(t) {
  if (t.reader) {
    const pcm = new Float32Array(t.samples.reduce((n, p) => n + p.length, 0));
    let at = 0;
    for (const p of t.samples) { pcm.set(p, at); at += p.length; }
    return { pcm, hz: t.reader.hz };
  }
  try {
    const b = await audioContext().decodeAudioData(await new Blob(t.bytes).arrayBuffer());
    return { pcm: b.getChannelData(0), hz: b.sampleRate };
  } catch {
    return null;
  }
}

async function look(t, done) {
  const d = await decoded(t);
  if (!d || t !== take) return;
  t.audio = d.pcm.length / d.hz;
  draw(d.pcm, d.hz);
  if (done) finishPlayer(t, d);
}

function finishPlayer(t, d) {
  const format = t.body.response_format;
  const blob = format === "pcm" ? wavBlob(d.pcm, d.hz) : new Blob(t.bytes, { type: MIME[format] });
  if (!t.streams) {
    $("audio").src = URL.createObjectURL(blob);
    if (!t.reader) $("audio").play().catch(() => {});
  }
  const link = $("download");
  link.href = URL.createObjectURL(blob);
  link.download = "speech." + (format === "pcm" ? "wav" : format === "opus" ? "ogg" : format);
  link.textContent = "Download " + link.download + " (" + Math.ceil(blob.size / 1024) + " KB)";
  link.hidden = false;
}

async function receive(t) {
  const response = await api("v1/audio/speech", {
    method: "POST", headers: { "Content-Type": "application/json" },
    body: JSON.stringify(t.body), signal: t.abort.signal,
  });
  if (!response.ok) throw await failure(response);
  const reader = response.body.getReader();
  let looked = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    t.first ||= performance.now() - t.start;
    t.bytes.push(value);
    if (t.reader) {
      const pcm = t.reader.read(value);
      t.player ||= samplePlayer(t.reader.hz);
      t.samples.push(pcm);
      t.player.add(pcm);
    } else if (t.player) t.player.add(value);
    if (performance.now() - looked > 700) { looked = performance.now(); look(t, false); }
    show(t, false);
  }
  if (t.player) t.player.end();
}

function newTake() {
  const body = requestBody(), format = body.response_format;
  const streams = Boolean(window.MediaSource && MediaSource.isTypeSupported(MIME[format]) && (format === "mp3" || format === "aac"));
  const raw = format === "wav" || format === "pcm";
  return {
    body, streams, start: performance.now(), first: 0, audio: 0, bytes: [], samples: [], abort: new AbortController(),
    reader: raw ? sampleReader(format) : null, player: streams ? sourcePlayer(MIME[format]) : null,
  };
}

async function speak() {
  stop();
  const t = (take = newTake());
  $("error").hidden = $("download").hidden = true;
  $("result").hidden = false;
  $("stop").disabled = false;
  $("progress").removeAttribute("value");
  for (const id of ["first", "seconds", "elapsed", "rtf"]) $(id).textContent = "–";
  draw(new Float32Array(0), PCM_HZ);
  show(t, false);
  try {
    await receive(t);
    const end = performance.now();
    await look(t, true);
    t.start += performance.now() - end; /* decoding for the picture is not the server's time */
    show(t, true);
  } catch (e) {
    if (t !== take) return;
    $("state").textContent = e.name === "AbortError" ? "Stopped." : "";
    if (e.name !== "AbortError") {
      $("error").textContent = e.message;
      $("error").hidden = false;
    }
  }
  if (t !== take) return;
  $("progress").value = 1;
  $("stop").disabled = true;
}

function stop() {
  if (!take) return;
  take.abort.abort();
  if (take.player) take.player.stop();
  $("audio").pause();
}

/* --- voices --- */

async function loadVoices() {
  const list = (await getJson("v1/audio/voices")).voices, chosen = $("voice").value;
  $("voice").replaceChildren(...list.map((v) => new Option(v.name === v.id ? v.id : v.name + " (" + v.id + ")", v.id)));
  if (list.some((v) => v.id === chosen)) $("voice").value = chosen;
  $("voices").replaceChildren(...list.map(voiceItem));
}

function voiceItem(v) {
  const item = document.createElement("li"), name = document.createElement("span"), use = document.createElement("button");
  name.textContent = v.name;
  if (v.description) name.append(Object.assign(document.createElement("small"), { textContent: v.description }));
  use.textContent = "Use";
  use.setAttribute("aria-label", "Use voice " + v.name);
  use.onclick = () => { $("voice").value = v.id; $("text").focus(); };
  item.append(name, use);
  if (v.id.startsWith("voice_")) {
    const remove = document.createElement("button");
    remove.textContent = "Delete";
    remove.setAttribute("aria-label", "Delete voice " + v.name);
    remove.onclick = () => deleteVoice(v);
    item.append(remove);
  }
  return item;
}

async function deleteVoice(v) {
  if (!confirm("Delete the voice " + v.name + "? This cannot be undone.")) return;
  const r = await api("v1/audio/voices/" + encodeURIComponent(v.id), { method: "DELETE" });
  $("voice-state").textContent = r.ok ? "Deleted " + v.name + "." : (await failure(r)).message;
  await loadVoices();
}

async function uploadVoice() {
  const form = new FormData();
  form.append("name", $("voice-name").value);
  form.append("audio_sample", $("voice-file").files[0]);
  if ($("voice-text").value.trim()) form.append("ref_text", $("voice-text").value.trim());
  $("voice-state").textContent = "Listening to the recording …";
  const r = await api("v1/audio/voices", { method: "POST", body: form });
  if (!r.ok) throw await failure(r);
  const voice = await r.json();
  await loadVoices();
  $("voice").value = voice.id;
  $("upload").reset();
  $("voice-state").textContent = "Added " + voice.name + ". It is chosen now.";
}

/* --- server --- */

/* Sum of a series over its labels. */
function series(text, name) {
  let sum = null;
  for (const line of text.split("\n")) {
    const m = line.match(/^([a-z_:]+)(?:\{.*\})? (\S+)/);
    if (m && m[1] === name) sum = (sum ?? 0) + Number(m[2]);
  }
  return sum;
}

const FIGURES = [
  ["Requests", (m) => series(m, "jabbertts_requests_total")],
  ["Active", (m) => series(m, "jabbertts_requests_active")],
  ["Waiting", (m) => series(m, "jabbertts_requests_queued")],
  ["Audio made", (m) => seconds(series(m, "jabbertts_audio_seconds_total") ?? 0)],
  ["Memory", (m) => Math.round((series(m, "process_resident_memory_bytes") ?? 0) / 1e6) + " MB"],
  ["CPU time", (m) => seconds(series(m, "process_cpu_seconds_total") ?? 0)],
];

async function loadMetrics() {
  if (document.hidden) return;
  try {
    const r = await api("metrics");
    if (!r.ok) throw await failure(r);
    const text = await r.text();
    $("metrics").replaceChildren(...FIGURES.map(([name, value]) => {
      const d = document.createElement("div");
      d.append(Object.assign(document.createElement("dt"), { textContent: name }), Object.assign(document.createElement("dd"), { textContent: value(text) ?? "–" }));
      return d;
    }));
  } catch {
    $("server").textContent = "The server does not answer.";
  }
}

async function connect() {
  try {
    const models = (await getJson("v1/models")).data;
    $("model").replaceChildren(...models.map((m) => new Option(m.id, m.id)));
    await loadVoices();
    $("server").textContent = "ready, " + models.length + " models";
    $("error").hidden = true;
  } catch (e) {
    $("server").textContent = "not ready";
    $("error").textContent = e.message;
    $("error").hidden = false;
  }
}

/* --- wiring --- */

const count = () => ($("count").textContent = [...$("text").value].length + " characters");
$("text").addEventListener("input", count);
$("speed").addEventListener("input", () => ($("speed-value").textContent = Number($("speed").value).toFixed(2)));
$("speak").addEventListener("submit", (e) => { e.preventDefault(); speak(); });
$("stop").addEventListener("click", stop);
$("key").addEventListener("change", connect);
$("upload").addEventListener("submit", (e) => {
  e.preventDefault();
  uploadVoice().catch((error) => ($("voice-state").textContent = error.message));
});
document.addEventListener("keydown", (e) => {
  if (e.key === "Escape") stop();
  if (e.key === "Enter" && (e.ctrlKey || e.metaKey) && $("speak").reportValidity()) speak();
});
count();
connect();
loadMetrics();
setInterval(loadMetrics, 3000);
