/* page.js - the page at "/": speak, hear it while it is made, look at it, choose and add voices.
 *
 * A take is one text that is spoken.  Its states, which follow the sound and not the download:
 *
 *     idle -> waiting -> speaking <-> paused
 *                           |  last sample heard        Stop          anything went wrong
 *                           v                            v                   v
 *                         done                        stopped              failed
 *
 * From done, stopped and failed, Play goes on or begins again, Speak makes another take.  Nothing is
 * fetched from anywhere but this server, by relative addresses, so a sub-path in front does no harm. */
import { EventReader, WavReader, Sound, Player } from "./sound.js";
import { Picture } from "./picture.js";

const $ = (id) => document.getElementById(id);
const make = (tag, properties, ...children) => {
  const e = Object.assign(document.createElement(tag), properties);
  e.append(...children);
  return e;
};
const PAST_MAX = 10;
const KEPT = ["text", "speed", "seed", "temperature", "top_p", "instructions", "format"];
const DEFAULTS = Object.fromEntries(KEPT.map((id) => [id, $(id).value]));
const ENDINGS = { opus: "ogg" };
const seconds = (s) => s.toFixed(2) + " s";
const clock = (s) => (s >= 60 ? Math.floor(s / 60) + ":" + (s % 60).toFixed(1).padStart(4, "0") : s.toFixed(1) + " s");

/* --- the server --- */

const headers = (more) => ($("key").value ? { ...more, Authorization: "Bearer " + $("key").value } : { ...more });

async function api(path, options = {}) {
  let r;
  try {
    r = await fetch(path, { ...options, headers: headers(options.headers) });
  } catch (e) {
    throw e.name === "AbortError" ? e : new Error("The server cannot be reached.");
  }
  if (r.ok) return r;
  const { error } = await r.json().catch(() => ({}));
  if (r.status === 401) throw new Error("This server wants an API key: it goes under Settings.");
  if (r.status === 429) throw new Error("The server has too much to do. Try again in " + (r.headers.get("retry-after") || "a few") + " seconds.");
  throw new Error(error?.message || "The server answers with status " + r.status + ".");
}
const getJson = async (path) => (await api(path)).json();

/* --- storage: this browser's own, and never the key --- */

function remember(name, value) {
  try { localStorage.setItem("jabbertts." + name, JSON.stringify(value)); } catch { /* full, or forbidden: then it is not kept */ }
}
function recall(name, otherwise) {
  try { return JSON.parse(localStorage.getItem("jabbertts." + name)) ?? otherwise; } catch { return otherwise; }
}

/* --- the take --- */

const player = new Player(), picture = new Picture($("picture"));
let state = "idle", take = null; /* {body, sound, seed, abort, start, first, sentences, words, sample} */
let making = null; /* the take whose sound is being fetched */

const WORDS = {
  idle: "", waiting: "Waiting for the first sound …", speaking: "Speaking …", paused: "Paused.", done: "Done.", stopped: "Stopped.", failed: "",
};

function enter(next) {
  state = document.body.dataset.state = next;
  $("state").textContent = WORDS[next];
  const sounding = next === "speaking" || next === "waiting";
  $("stop").disabled = !(sounding || next === "paused");
  $("pause").disabled = next === "waiting" || !take?.sound;
  $("pause").textContent = next === "speaking" ? "Pause" : "Play";
  $("download").disabled = !take?.sound?.length;
}

function complain(message) {
  $("error").textContent = message;
  $("error").hidden = !message;
}

function requestBody() {
  const body = { model: $("model").value, voice: chosenVoice(), input: $("text").value, speed: Number($("speed").value) };
  for (const name of ["seed", "temperature", "top_p"])
    if ($(name).value !== "") body[name] = Number($(name).value);
  if ($("instructions").value.trim()) body.instructions = $("instructions").value.trim();
  return body;
}

/* Until the first sound of the new take is there, the old one stays what it is, but silent. */
async function speak(body, sample = false) {
  const name = nameOf(body.voice);
  making?.abort.abort();
  player.pause();
  player.unlock();
  complain("");
  const t = (making = { body, name, sample, sound: null, words: [], seed: 0, abort: new AbortController(), start: performance.now(), first: 0, made: 0 });
  const before = !take ? "idle" : state === "speaking" || state === "waiting" ? "paused" : state;
  $("result").hidden = false;
  enter("waiting");
  try {
    await receive(t);
    finished(t);
  } catch (e) {
    if (t !== making && t !== take) return;
    t.sound && (t.sound.complete = true);
    if (making === t) making = null;
    if (e.name === "AbortError") return;
    complain(e.message);
    if (t === take) { player.pause(); enter("failed"); }
    else if (take) enter(before);
    else { $("result").hidden = true; enter("failed"); }
  }
}

async function receive(t) {
  const response = await api("v1/audio/speech", {
    method: "POST", headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...t.body, response_format: "wav", stream_format: "sse", timestamp_granularities: ["word"] }), signal: t.abort.signal,
  });
  t.seed = Number(response.headers.get("x-jabbertts-seed") || 0);
  const bytes = response.body.getReader(), events = new EventReader(), reader = new WavReader();
  for (;;) {
    const { done, value } = await bytes.read();
    if (done) break;
    for (const event of events.read(value)) {
      if (event.error) throw new Error(event.error.message);
      if (event.words) learn(t, event.words);
      if (event.audio) hear(t, reader, event.audio);
    }
  }
  if (!t.sound) throw new Error("The server sent no sound.");
}

function hear(t, reader, audio) {
  const pcm = reader.read(Uint8Array.from(atob(audio), (c) => c.charCodeAt(0)));
  if (!pcm.length) return;
  if (!t.sound) begin(t, reader.hz);
  t.sound.add(pcm);
  t.made = (performance.now() - t.start) / 1000;
  if (t === take && state === "waiting") { player.play(); enter("speaking"); }
}

/* Words of a sentence whose sound is made.  Their places are code points; strings here have units. */
function learn(t, words) {
  if (!t.units) {
    let at = 0;
    t.units = [0, ...Array.from(t.body.input, (c) => (at += c.length))];
  }
  for (const w of words) t.words.push({ start: w.start, end: w.end, from: t.units[w.char_start], to: t.units[w.char_end] });
  if (t === take) write(t);
}

function begin(t, hz) {
  t.sound = new Sound(hz);
  t.first = performance.now() - t.start;
  t.sentences = sentencesOf(t.body.input);
  show(t);
}

/* t is what is heard and seen from now on. */
function show(t) {
  take = t;
  player.open(t.sound);
  picture.open(t.sound);
  write(t);
  $("result").hidden = false;
  figures(t);
}

/* The text, sentence by sentence; in it the words whose times are known. */
function write(t) {
  let next = 0;
  t.marks = [];
  $("spoken").replaceChildren(...t.sentences.map((s, i) => {
    const line = make("span", { onclick: () => seek(starts(t)[i]) }), end = s.from + s.text.length;
    let at = s.from;
    for (; next < t.words.length && t.words[next].from < end; next++) {
      const w = t.words[next], mark = make("span", { textContent: t.body.input.slice(w.from, w.to), onclick: (e) => { e.stopPropagation(); seek(w.start); } });
      line.append(t.body.input.slice(at, w.from), mark);
      t.marks.push(mark);
      at = w.to;
    }
    line.append(t.body.input.slice(at, end));
    return line;
  }));
}

function finished(t) {
  t.sound.complete = true;
  if (making === t) making = null;
  if (!t.sample) keep(t);
  figures(t);
}

function figures(t) {
  $("first").textContent = t.first ? Math.round(t.first) + " ms" : "–";
  $("seconds").textContent = seconds(t.sound.seconds);
  $("elapsed").textContent = t.made ? seconds(t.made) : "–";
  $("rtf").textContent = t.made && t.sound.length ? (t.made / t.sound.seconds).toFixed(2) : "–";
  $("used-seed").textContent = t.seed;
}

function stop() {
  if (state !== "speaking" && state !== "waiting" && state !== "paused") return;
  making?.abort.abort();
  making = null;
  player.pause();
  if (take) take.sound.complete = true;
  enter(take ? "stopped" : "idle");
}

function pauseOrPlay() {
  if (!take?.sound || state === "waiting") return;
  if (state === "speaking") {
    player.pause();
    enter("paused");
  } else {
    if (player.position >= take.sound.seconds && take.sound.complete) player.seek(0);
    player.play();
    enter("speaking");
  }
}

function seek(s) {
  if (!take?.sound) return;
  player.seek(s);
  if (state === "done" || state === "stopped") enter("paused");
}

player.onended = () => enter("done");

/* --- which sentence and word are heard: by the words' times; until they are known, the sentence by its
 * share of the letters, moved to the nearest silence --- */

function sentencesOf(text) {
  if (!Intl.Segmenter) return [{ text, from: 0 }];
  return [...new Intl.Segmenter(undefined, { granularity: "sentence" }).segment(text)].map((s) => ({ text: s.segment, from: s.index }));
}

/* Seconds at which each sentence begins: known by its first word, or an estimate. */
function starts(t) {
  const letters = t.body.input.length || 1, step = picture.columnSeconds, { peaks } = picture;
  const end = t.sound.complete ? t.sound.seconds : Math.max(t.sound.seconds, letters / 15 / t.body.speed);
  const known = t.sound.length + t.words.length;
  if (t.starts && t.startsFor === known) return t.starts;
  const quiet = (i) => peaks[i] < 0.02 && peaks[i + 1] < 0.02 && peaks[i + 2] < 0.02;
  t.starts = t.sentences.map(({ from, text }) => {
    const word = t.words.find((w) => w.from >= from && w.from < from + text.length);
    if (word) return word.start;
    const guess = (from / letters) * end, at = Math.round(guess / step);
    for (let d = 0; from && d * step < 1.5; d++)
      for (const i of [at + d, at - d]) if (i > 0 && i + 2 < peaks.length && quiet(i)) return i * step;
    return guess;
  });
  t.startsFor = known;
  return t.starts;
}

function markHeard(t, position) {
  const at = starts(t), spans = $("spoken").children;
  let heard = -1;
  if (state === "speaking" || state === "paused") for (let i = 0; i < at.length; i++) if (at[i] <= position + 0.05) heard = i;
  for (let i = 0; i < spans.length; i++) spans[i].classList.toggle("heard", i === heard);
  t.marks.forEach((mark, i) => mark.classList.toggle("word", heard >= 0 && t.words[i].start <= position && position < t.words[i].end));
}

/* Once per frame of the screen: all that moves. */
function frame() {
  requestAnimationFrame(frame);
  if (!take?.sound || document.hidden) return;
  const { sound } = take, position = player.position;
  const total = sound.complete ? sound.seconds : Math.max(sound.seconds, take.body.input.length / 15 / take.body.speed);
  picture.update();
  picture.paint(position, total);
  markHeard(take, position);
  if (document.activeElement !== $("seek") || state === "speaking") {
    $("seek").max = total;
    $("seek").value = position;
  }
  $("position").textContent = clock(position) + " of " + clock(sound.seconds) + (sound.complete ? "" : " so far");
  $("download").disabled = !sound.length;
  if (!sound.complete) figures(take);
  if (player.suspended && state === "speaking") $("state").textContent = "The browser holds the sound back: click anywhere.";
}

/* --- download --- */

function save(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

/* WAV is here already, as far as it came.  Other formats are made by the server, of the same seed. */
async function download(t) {
  const format = $("format").value;
  if (format === "wav") {
    if (t.sound) return save(t.sound.wav(), "speech.wav");
  }
  const r = await api("v1/audio/speech", {
    method: "POST", headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...t.body, seed: t.seed, response_format: format }),
  });
  save(await r.blob(), "speech." + (ENDINGS[format] || format));
}

/* --- the latest takes --- */

let past = []; /* newest first */

function keep(t) {
  past = [t, ...past.filter((p) => !(p.body.input === t.body.input && p.body.voice === t.body.voice && p.seed === t.seed && p.body.speed === t.body.speed))].slice(0, PAST_MAX);
  remember("past", past.map(({ body, seed, name }) => ({ body, seed, name })));
  listPast();
}

function code(t, language) {
  const base = new URL(".", location.href).href + "v1", body = { ...t.body, seed: t.seed, response_format: $("format").value };
  const file = "speech." + (ENDINGS[body.response_format] || body.response_format), json = JSON.stringify(body);
  const { model, voice, input, speed, response_format, instructions, ...extra } = body;
  const known = { model, voice, input, response_format, speed, ...(instructions ? { instructions } : {}) };
  if (language === "curl")
    return `curl ${base}/audio/speech -H "Content-Type: application/json" \\\n    -d '${json.replaceAll("'", "'\\''")}' -o ${file}\n`;
  if (language === "Python")
    return `from openai import OpenAI\n\nclient = OpenAI(base_url=${JSON.stringify(base)}, api_key="any")\nwith client.audio.speech.with_streaming_response.create(\n    ` +
      Object.entries(known).map(([k, v]) => `${k}=${JSON.stringify(v)}`).join(",\n    ") + `,\n    extra_body=${JSON.stringify(extra)}) as response:\n    response.stream_to_file(${JSON.stringify(file)})\n`;
  return `import OpenAI from "openai";\nimport { writeFile } from "node:fs/promises";\n\nconst client = new OpenAI({ baseURL: ${JSON.stringify(base)}, apiKey: "any" });\n` +
    `const speech = await client.audio.speech.create(${JSON.stringify(body, null, 2)});\nawait writeFile(${JSON.stringify(file)}, Buffer.from(await speech.arrayBuffer()));\n`;
}

function replay(t) {
  if (!t.sound) return speak({ ...t.body, seed: t.seed });
  stop();
  player.unlock();
  show(t);
  player.play();
  enter("speaking");
}

async function reuse(t) {
  if (t.body.model !== $("model").value && models.some((m) => m.id === t.body.model)) {
    $("model").value = t.body.model;
    await loadVoices();
  }
  $("text").value = t.body.input;
  for (const name of ["speed", "temperature", "top_p", "instructions"]) $(name).value = t.body[name] ?? DEFAULTS[name];
  $("seed").value = t.seed;
  choose(t.body.voice);
  changed();
  $("text").focus();
}

async function copy(t, button, language) {
  try {
    await navigator.clipboard.writeText(code(t, language));
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed";
  }
  setTimeout(() => (button.textContent = language), 1500);
}

function pastItem(t) {
  const what = t.body.input.slice(0, 40);
  const act = (name, run) => make("button", { type: "button", textContent: name, onclick: (e) => run(e.currentTarget), ariaLabel: name + ": " + what });
  return make("li", {},
    make("p", {}, make("b", { textContent: t.name ?? t.body.voice }), " ", make("small", { textContent: t.body.model + ", seed " + t.seed }), make("br"), t.body.input.length > 120 ? t.body.input.slice(0, 120) + " …" : t.body.input),
    make("div", { className: "actions" }, act("Play", () => replay(t)), act("Download", () => download(t).catch((e) => complain(e.message))), act("Use again", () => reuse(t).catch((e) => complain(e.message))),
      make("span", { className: "hint", textContent: "copy as" }), ...["curl", "Python", "JavaScript"].map((l) => act(l, (b) => copy(t, b, l)))));
}

function listPast() {
  $("past").hidden = !past.length;
  $("history").replaceChildren(...past.map(pastItem));
}

/* --- voices --- */

let voices = [], chosen = recall("voice", "");
const isOwn = (v) => v.id.startsWith("voice_");
const chosenVoice = () => chosen;
const nameOf = (id) => voices.find((v) => v.id === id)?.name ?? id;

/* --- models: which there are, and what is known of the one that is chosen --- */

let models = [];
const megabytes = (n) => (n / 1e6).toFixed(0) + " MB";

/* A model has several ids, OpenAI's among them; here it has its own. */
async function loadModels() {
  const listed = (await getJson("v1/models")).data, kept = recall("model", "");
  models = listed.filter((m) => m.id === m.jabbertts.name);
  $("model").replaceChildren(...models.map((m) => new Option(m.id + (m.jabbertts.non_commercial ? " (non-commercial)" : ""), m.id)));
  if (models.some((m) => m.id === kept)) $("model").value = kept;
}

const IMITATES = {
  no: "This model cannot imitate a recording: choose another one before you add a voice.",
  partly: "The built-in model imitates it partly: expect a likeness, not a copy.",
  yes: "How much alike it is, is measured and said.",
};

function tellModel() {
  const { id, jabbertts: m } = models.find((x) => x.id === $("model").value) ?? models[0];
  const licence = m.licence_url ? make("a", { href: m.licence_url, rel: "noreferrer", textContent: m.licence }) : m.licence;
  const about = [...(m.file_bytes ? [megabytes(m.file_bytes)] : []), m.sample_rate / 1000 + " kHz", m.loaded || !m.file_bytes ? "ready" : "loaded at the first request"];
  $("model-about").replaceChildren(about.join(", "), ...(m.licence ? [". Licence: ", licence, m.non_commercial ? ", for non-commercial use only" : ""] : []), ".");
  const imitates = !m.imitates ? "no" : id === "jabber-tiny" ? "partly" : "yes";
  $("imitates").textContent = IMITATES[imitates];
  $("add").disabled = $("record").disabled = imitates === "no";
}

function choose(id) {
  const v = voices.find((x) => x.id === id) ?? voices.find((x) => x.id === voices.find((a) => a.id === id)?.alias_of);
  if (!v) return;
  chosen = v.alias_of ?? v.id;
  remember("voice", chosen);
  for (const input of $("voices").querySelectorAll("input")) input.checked = input.value === chosen;
  $("chosen").textContent = "with the voice " + v.name;
}

async function loadVoices() {
  const model = $("model").value;
  voices = (await getJson("v1/audio/voices?model=" + encodeURIComponent(model))).voices;
  if (model === "espeak-ng") voices = voices.filter((v) => !isOwn(v));
  listVoices();
  tellModel();
  const preset = model === "espeak-ng" ? "en-us" : voices.find((v) => !v.alias_of && !isOwn(v))?.id;
  choose(voices.some((v) => v.id === chosen) ? chosen : preset ?? voices[0]?.id);
}

function listVoices() {
  const wanted = $("find").value.trim().toLowerCase(), aliases = voices.filter((v) => v.alias_of);
  const also = (v) => aliases.filter((a) => a.alias_of === v.id).map((a) => a.name);
  const found = voices.filter((v) => !v.alias_of && [v.name, v.description, v.language, ...also(v)].join(" ").toLowerCase().includes(wanted));
  const group = (title, list) => (list.length ? [make("div", { role: "group", ariaLabel: title, className: "group" }, make("h3", { textContent: title }), make("div", { className: "cards" }, ...list.map((v) => card(v, also(v)))))] : []);
  $("voices").replaceChildren(...group("Yours", found.filter(isOwn)), ...group({ "espeak-ng": "Languages", "jabber-tiny": "Built in" }[$("model").value] ?? "Voices", found.filter((v) => !isOwn(v))));
  if (!found.length) $("voices").append(make("p", { className: "hint", textContent: "No voice has that in its name." }));
}

function card(v, also) {
  const radio = make("input", { type: "radio", name: "voice", value: v.id, checked: v.id === chosen, onchange: () => choose(v.id) });
  const alike = v.likeness > 0 ? "likeness " + v.likeness.toFixed(2) : "";
  const about = [v.description, v.language, alike, v.advice].filter(Boolean).join(", ");
  const text = make("span", {}, make("b", { textContent: v.name }), ...(about ? [make("small", { textContent: about })] : []));
  const hear = make("button", { type: "button", textContent: "▶", ariaLabel: "Hear " + v.name, title: "Hear " + v.name, onclick: () => hearVoice(v) });
  const item = make("div", { className: isOwn(v) ? "card own" : "card" }, make("label", {}, radio, text), hear);
  if (isOwn(v)) item.append(make("button", { type: "button", textContent: "Delete", ariaLabel: "Delete voice " + v.name, onclick: () => deleteVoice(v) }));
  if (also.length) item.append(make("details", {}, make("summary", { textContent: "also", ariaLabel: "also: other names of " + v.name }), also.join(", ")));
  return item;
}

function hearVoice(v) {
  choose(v.id);
  const greeting = $("model").value === "espeak-ng" ? "1, 2, 3, 4, 5." : "Hello, this is how I sound. Shall I read something to you?";
  const input = v.preview ?? greeting; /* what its likeness was measured with */
  speak({ model: $("model").value, voice: v.id, input, speed: Number($("speed").value) }, true);
}

async function deleteVoice(v) {
  if (!confirm("Delete the voice " + v.name + " and its recording? This cannot be undone.")) return;
  try {
    await api("v1/audio/voices/" + encodeURIComponent(v.id), { method: "DELETE" });
    await loadVoices();
    $("voice-state").textContent = "Deleted " + v.name + ".";
  } catch (e) {
    $("voice-state").textContent = e.message;
  }
}

/* --- a voice of one's own --- */

let recording = null; /* a File of the microphone */
let recorder = null;

function meterLevel(stream) {
  const context = new AudioContext(), analyser = context.createAnalyser(), samples = new Float32Array(analyser.fftSize);
  context.createMediaStreamSource(stream).connect(analyser);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    $("level").value = samples.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  }, 60);
  return () => { clearInterval(timer); context.close(); };
}

async function record() {
  if (recorder) return recorder.stop();
  if (!navigator.mediaDevices?.getUserMedia) throw new Error("This page may not record: browsers allow it on localhost and by HTTPS only.");
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true }).catch(() => { throw new Error("There is no microphone, or its use was refused."); });
  const parts = [], end = meterLevel(stream);
  recorder = new MediaRecorder(stream);
  recorder.ondataavailable = (e) => parts.push(e.data);
  recorder.onstop = () => {
    end();
    stream.getTracks().forEach((track) => track.stop());
    recording = new File(parts, "recording." + (recorder.mimeType.includes("ogg") ? "ogg" : "webm"), { type: recorder.mimeType });
    recorder = null;
    $("recorded").src = URL.createObjectURL(recording);
    $("recorded").hidden = false;
    $("level-label").hidden = true;
    $("record").textContent = "Record again";
    $("upload-state").textContent = "Recorded. Listen to it, then add the voice.";
  };
  recorder.start();
  $("level-label").hidden = false;
  $("record").textContent = "Stop recording";
  $("upload-state").textContent = "Recording: speak for 3 to 10 seconds.";
}

async function uploadVoice() {
  const file = $("voice-file").files[0] || recording, form = new FormData();
  if (!file) throw new Error("Choose a recording, or make one.");
  form.append("name", $("voice-name").value);
  form.append("audio_sample", file);
  if ($("voice-text").value.trim()) form.append("ref_text", $("voice-text").value.trim());
  $("upload-state").textContent = "Listening to the recording …";
  const voice = await (await api("v1/audio/voices", { method: "POST", body: form })).json();
  $("find").value = "";
  await loadVoices();
  choose(voice.id);
  $("upload").reset();
  recording = null;
  $("recorded").hidden = true;
  $("upload-state").textContent = "Added " + voice.name + ". It is chosen now. " + (voice.advice || "");
}

/* --- the server's figures --- */

/* Sum of a series over its labels, of the lines that `only` is part of. */
function series(text, name, only = "") {
  let sum = null;
  for (const line of text.split("\n")) {
    const m = line.match(/^([a-z_:]+)(?:\{.*\})? (\S+)/);
    if (m && m[1] === name && line.includes(only)) sum = (sum ?? 0) + Number(m[2]);
  }
  return sum;
}

const FIGURES = [
  ["Speech requests", (m) => series(m, "jabbertts_requests_total", 'route="speech"') ?? 0],
  ["Active", (m) => series(m, "jabbertts_requests_active")],
  ["Waiting", (m) => series(m, "jabbertts_requests_queued")],
  ["Sound made", (m) => seconds(series(m, "jabbertts_audio_seconds_total") ?? 0)],
  ["Memory", (m) => Math.round((series(m, "process_resident_memory_bytes") ?? 0) / 1e6) + " MB"],
];

async function loadMetrics() {
  if (document.hidden) return;
  try {
    const text = await (await api("metrics")).text();
    $("metrics").replaceChildren(...FIGURES.map(([name, value]) => make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: value(text) ?? "–" }))));
    if ($("server").textContent === "The server cannot be reached.") connect();
  } catch (e) {
    $("server").textContent = e.message;
  }
}

let limit = Infinity; /* characters of a text */

async function connect() {
  try {
    await loadModels();
    await loadVoices();
    $("server").textContent = "ready";
    complain("");
    const spec = await getJson("openapi.json");
    limit = spec.components.schemas.CreateSpeechRequest.properties.input.maxLength ?? Infinity;
    count();
  } catch (e) {
    $("server").textContent = "not ready";
    complain(e.message);
  }
}

/* --- wiring --- */

function count() {
  const n = [...$("text").value].length;
  $("count").textContent = n + (limit < Infinity ? " of " + limit : "") + " characters";
  $("count").classList.toggle("over", n > limit);
}

function changed() {
  count();
  $("speed-value").textContent = Number($("speed").value).toFixed(2);
  remember("settings", Object.fromEntries(KEPT.map((id) => [id, $(id).value])));
}

function submit() {
  if (!$("speak").reportValidity()) return;
  if ([...$("text").value].length > limit) return complain("The text has more than " + limit + " characters, which is the limit. Speak it in parts.");
  speak(requestBody());
}

async function dropped(e) {
  const file = e.dataTransfer?.files[0];
  if (!file) return;
  e.preventDefault();
  document.body.classList.remove("dropping");
  if (!/\.(txt|md|markdown|ssml|xml)$/i.test(file.name) && !file.type.startsWith("text/")) return complain(file.name + " is no text file.");
  if (file.size > 4e6) return complain(file.name + " is larger than 4 MB.");
  $("text").value = await file.text();
  complain("");
  changed();
}

const SHORTCUTS = {
  k: pauseOrPlay, j: () => seek(player.position - 5), l: () => seek(player.position + 5),
  t: () => $("text").focus(), "?": () => $("keys").showModal(),
};

function onKey(e) {
  if (e.key === "Escape" && !$("keys").open) return stop();
  if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) return submit();
  const typing = /^(TEXTAREA|SELECT)$/.test(e.target.tagName) || (e.target.tagName === "INPUT" && !/^(range|radio|checkbox)$/.test(e.target.type));
  if (typing || e.ctrlKey || e.metaKey || e.altKey || $("keys").open) return;
  if (SHORTCUTS[e.key]) {
    e.preventDefault();
    SHORTCUTS[e.key]();
  }
}

$("speak").addEventListener("input", changed);
$("speak").addEventListener("submit", (e) => { e.preventDefault(); submit(); });
$("pause").addEventListener("click", pauseOrPlay);
$("stop").addEventListener("click", stop);
$("seek").addEventListener("input", () => seek(Number($("seek").value)));
$("picture").addEventListener("click", (e) => seek((e.offsetX / $("picture").clientWidth) * Number($("seek").max)));
$("download").addEventListener("click", () => take && download(take).catch((e) => complain(e.message)));
$("format").addEventListener("change", changed);
$("key").addEventListener("change", connect);
$("model").addEventListener("change", () => { remember("model", $("model").value); loadVoices().catch((e) => complain(e.message)); });
$("find").addEventListener("input", listVoices);
$("reseed").addEventListener("click", () => { $("seed").value = crypto.getRandomValues(new Uint32Array(1))[0]; changed(); submit(); });
$("reset").addEventListener("click", () => { for (const id of KEPT) if (id !== "text") $(id).value = DEFAULTS[id]; changed(); });
$("record").addEventListener("click", () => record().catch((e) => ($("upload-state").textContent = e.message)));
$("upload").addEventListener("submit", (e) => { e.preventDefault(); uploadVoice().catch((error) => ($("upload-state").textContent = error.message)); });
$("help").addEventListener("click", () => $("keys").showModal());
document.addEventListener("keydown", onKey);
document.addEventListener("click", () => player.suspended && player.unlock());
document.addEventListener("dragover", (e) => { e.preventDefault(); document.body.classList.add("dropping"); });
document.addEventListener("dragleave", (e) => e.relatedTarget ?? document.body.classList.remove("dropping"));
document.addEventListener("drop", dropped);

for (const [id, value] of Object.entries(recall("settings", {}))) if (KEPT.includes(id)) $(id).value = value;
past = recall("past", []).map(({ body, seed, name }) => ({ body, seed, name, sound: null, words: [], first: 0, made: 0, sentences: sentencesOf(body.input) }));
listPast();
changed();
connect();
loadMetrics();
setInterval(loadMetrics, 3000);
requestAnimationFrame(frame);
