/* The page as a person uses it, in Debian's Chromium and in its Firefox (BROWSER=chrome or firefox): one
 * click speaks, its states follow the sound, stop early and late, pause, seek, failure, reload, voices,
 * microphone, a sub-path in front, the API page; no accessibility rule of axe-core is broken, in light
 * and dark, on a desk and on a phone.  CLIENTS_SHOTS=DIR keeps screenshots.  Run by run.py. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import test, { after, before } from "node:test";

const require = createRequire(process.env.CLIENTS_MODULES + "/");
const puppeteer = require("puppeteer-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const url = process.env.CLIENTS_URL, shots = process.env.CLIENTS_SHOTS, name = process.env.BROWSER || "chrome";
const LONG = "A text that takes its time to be spoken, and more of it. ".repeat(20);
let browser, page;

const launch = {
  chrome: {
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
           "--disable-sync", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
  },
  firefox: {
    executablePath: process.env.FIREFOX || "/usr/bin/firefox-esr",
    extraPrefsFirefox: { "media.navigator.streams.fake": true, "media.navigator.permission.disabled": true },
  },
};

const shot = (what) => shots && page.screenshot({ path: `${shots}/${name}-${what}.png`, fullPage: true });
const state = () => page.evaluate(() => document.body.dataset.state);
const reaches = (...states) => page.waitForFunction((s) => s.includes(document.body.dataset.state), { timeout: 60000 }, states).catch(async () => {
  const clock = await page.evaluate(() => window.nodes.slice(-1).map((n) => [n.context.state, n.context.currentTime, n.end]).join());
  assert.fail(`not ${states} but ${await state()}, "${await text("position")}", "${await text("error")}", sound ${clock}`);
});
const text = (id) => page.$eval("#" + id, (e) => e.textContent);
const position = async () => {
  await pause(100); /* what stands there is of the last frame */
  return Number.parseFloat(await text("position"));
};
const fill = (id, value) => page.$eval("#" + id, (e, v) => { e.value = v; e.dispatchEvent(new Event("input", { bubbles: true })); }, value);
const pause = (ms) => new Promise((r) => setTimeout(r, ms));

/* What the page hands to the loudspeaker and to the disk, seen from outside of its own code. */
function watch() {
  window.nodes = [];
  window.saved = [];
  const create = AudioContext.prototype.createBufferSource;
  AudioContext.prototype.createBufferSource = function () {
    const node = create.call(this), start = node.start.bind(node), stop = node.stop.bind(node), seen = { context: this, stopped: false };
    node.start = (at) => { Object.assign(seen, { at, end: at + node.buffer.duration }); window.nodes.push(seen); start(at); };
    node.stop = () => { seen.stopped = true; stop(); };
    return node;
  };
  const blobs = new Map(), url = URL.createObjectURL;
  URL.createObjectURL = (blob) => { const u = url(blob); blobs.set(u, blob); return u; };
  HTMLAnchorElement.prototype.click = function () {
    blobs.get(this.href).arrayBuffer().then((b) => window.saved.push({ name: this.download, size: b.byteLength, head: String.fromCharCode(...new Uint8Array(b, 0, 4)) }));
  };
  Object.defineProperty(navigator, "clipboard", { value: { writeText: async (t) => { window.copied = t; } } });
}

/* Seconds of sound that will still be heard, and those of them that are heard twice. */
const sounding = () => page.evaluate(() => {
  const live = window.nodes.filter((n) => !n.stopped && n.end > n.context.currentTime).sort((a, b) => a.at - b.at);
  let twice = 0;
  live.forEach((n, i) => { if (i && live[i - 1].context === n.context) twice += Math.max(0, live[i - 1].end - n.at - 1e-6); });
  return { left: live.reduce((s, n) => s + n.end - Math.max(n.at, n.context.currentTime), 0), twice, contexts: new Set(live.map((n) => n.context)).size };
});

async function open(address) {
  await page.goto(address);
  await page.waitForSelector(".card");
}

before(async () => {
  browser = await puppeteer.launch({ browser: name, headless: true, protocolTimeout: 60000, ...launch[name] });
  page = await browser.newPage();
  page.on("pageerror", (e) => { throw e; });
  page.on("dialog", (d) => d.accept());
  await page.evaluateOnNewDocument(watch);
  await page.setViewport({ width: 1280, height: 900 });
  await open(url);
});
after(() => (name === "chrome" ? browser?.close() : browser?.process()?.kill("SIGKILL"))); /* Firefox may then not end by itself */

test("one click speaks, and done is when the last sample was heard", async () => {
  await page.click("#go");
  await reaches("speaking");
  const start = Date.now();
  let marked = 0;
  const words = [];
  while ((await state()) === "speaking") {
    assert.ok(Date.now() - start < 60000, "the sound does not end: does its clock stand still?");
    marked = Math.max(marked, await page.$$eval("#spoken .heard", (e) => e.length));
    const word = await page.$$eval("#spoken .heard .word", (e) => e.map((w) => w.textContent).join("+"));
    const bare = word.replace(/[^\p{L}\p{N}'-]/gu, "");
    if (bare && bare !== words.at(-1)) words.push(bare);
    await pause(50);
  }
  assert.equal(await text("state"), "Done.");
  const seconds = Number.parseFloat(await text("seconds"));
  assert.ok(seconds > 2, `only ${seconds} s`);
  assert.ok((Date.now() - start) / 1000 > seconds - 0.5, `done after ${Date.now() - start} ms of ${seconds} s`);
  assert.equal(marked, 1, "no sentence was marked");
  const said = (await page.$eval("#text", (e) => e.value)).split(/\s+/).map((w) => w.replace(/[^\p{L}\p{N}'-]/gu, ""));
  let last = -1;
  for (const w of words) {
    const at = said.findIndex((s, i) => i > last && s === w);
    assert.ok(at > last, `the words are marked out of order: "${w}" of ${words}`);
    last = at;
  }
  assert.ok(words.length > said.length / 3, `only these words were marked: ${words}`);
  assert.equal((await page.$eval("#spoken", (e) => e.textContent)).trim(), (await page.$eval("#text", (e) => e.value)).trim());
  assert.ok(Number.parseFloat(await text("rtf")) > 0);
  assert.equal(await text("error"), "");
  const painted = await page.$eval("#picture", (c) => {
    const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
    return new Set(Array.from({ length: d.length / 4 }, (_, i) => d[4 * i] >> 5)).size;
  });
  assert.ok(painted > 3, "the picture is empty");
  await shot("done");
});

test("stop late: everything has come, but it is still spoken", async () => {
  await page.click("#go");
  await page.waitForFunction(() => document.body.dataset.state === "speaking" && !/so far/.test(document.getElementById("position").textContent), { timeout: 60000 });
  await page.click("#stop");
  assert.equal(await state(), "stopped");
  assert.equal((await sounding()).left, 0);
  const at = await position();
  await pause(400);
  assert.equal(await position(), at);
});

test("stop early: what was heard can be downloaded", async () => {
  await fill("text", LONG);
  await page.focus("#text");
  await page.keyboard.down("Control");
  await page.keyboard.press("Enter");
  await page.keyboard.up("Control");
  await reaches("speaking");
  await pause(500);
  await shot("speaking");
  await page.keyboard.press("Escape");
  assert.equal(await state(), "stopped");
  assert.equal((await sounding()).left, 0);
  await page.waitForSelector("#download:not([disabled])");
  await page.click("#download");
  await page.waitForFunction(() => window.saved.length > 0);
  const [file] = await page.evaluate(() => window.saved);
  assert.ok(file.name === "speech.wav" && file.head === "RIFF" && file.size > 10000, JSON.stringify(file));
});

test("speaking again silences what is speaking", async () => {
  await page.click("#go");
  await reaches("speaking");
  await pause(300);
  await page.click("#go");
  let s = { left: 0 };
  for (const start = Date.now(); !s.left && Date.now() - start < 30000; await pause(100)) s = await sounding();
  assert.ok(s.left > 0 && s.twice < 0.01 && s.contexts === 1, JSON.stringify(s));
});

test("pause, go on, seek by picture and by key", async () => {
  await page.click("#pause");
  assert.equal(await state(), "paused");
  assert.equal((await sounding()).left, 0);
  const at = await position();
  await pause(300);
  assert.equal(await position(), at);
  await page.click("#pause");
  assert.equal(await state(), "speaking");
  await page.waitForFunction((p) => Number.parseFloat(document.getElementById("position").textContent) > p, { timeout: 10000 }, at);
  await page.click("#picture", { offset: { x: 3, y: 30 } });
  await pause(200);
  assert.ok((await position()) < 3, "the click on the picture's beginning");
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("l");
  await pause(200);
  assert.ok((await position()) >= 4.5, "5 seconds on");
  await page.keyboard.press("k");
  assert.equal(await state(), "paused");
  await page.click("#stop");
});

test("each format can be downloaded", async () => {
  await fill("text", "Hello there.");
  await page.click("#go");
  await reaches("done");
  for (const [format, head] of [["mp3", ""], ["opus", "OggS"], ["aac", "\u00ff"], ["m4a", ""], ["flac", "fLaC"], ["wav", "RIFF"]]) {
    await page.evaluate(() => (window.saved.length = 0));
    await page.select("#format", format);
    await page.click("#download");
    await page.waitForFunction(() => window.saved.length > 0, { timeout: 60000 });
    const [file] = await page.evaluate(() => window.saved);
    assert.ok(file.head.startsWith(head) && file.size > 1000, format + JSON.stringify(file));
  }
});

test("what is wrong is said beside the button, in view on a phone, and nothing else changes", async () => {
  await page.setViewport({ width: 390, height: 844 });
  const before = await text("seconds");
  await page.evaluate(() => { window.fetched = window.fetch; window.fetch = () => Promise.reject(new TypeError("Failed to fetch")); });
  await page.click("#go");
  await page.waitForSelector("#error:not([hidden])");
  assert.equal(await text("error"), "The server cannot be reached.");
  const box = await page.$eval("#error", (e) => { const b = e.getBoundingClientRect(); return [b.top, b.bottom, window.innerHeight]; });
  assert.ok(box[0] >= 0 && box[1] <= box[2], box.join());
  assert.equal(await text("seconds"), before);
  assert.equal(await state(), "done");
  await shot("failed");
  await page.evaluate(() => { window.fetch = window.fetched; });
  await fill("text", "a".repeat(5000));
  assert.match(await text("count"), /5000 of 4096/);
  await page.click("#go");
  assert.match(await text("error"), /4096/);
  await page.setViewport({ width: 1280, height: 900 });
});

test("settings and takes outlast a reload; a take is played and copied", async () => {
  await fill("text", "Kept over a reload.");
  await page.$eval("#settings", (e) => (e.open = true));
  await fill("seed", "7");
  await page.click("#go");
  await reaches("done");
  assert.equal(await text("used-seed"), "7");
  await page.reload();
  await page.waitForSelector(".card");
  assert.equal(await page.$eval("#text", (e) => e.value), "Kept over a reload.");
  assert.equal(await page.$eval("#seed", (e) => e.value), "7");
  await page.click("#history li:first-child button");
  await reaches("speaking", "done");
  await reaches("done");
  for (const language of ["curl", "Python", "JavaScript"]) {
    await page.$$eval("#history li:first-child button", (all, l) => all.find((b) => b.textContent === l).click(), language);
    assert.match(await page.evaluate(() => window.copied), /Kept over a reload/);
    if (language === "curl") {
      const command = (await page.evaluate(() => window.copied)).trim(), dir = process.env.CLIENTS_TMP;
      execFileSync("sh", ["-c", command], { cwd: dir, stdio: "ignore" });
      assert.ok(statSync(`${dir}/speech.wav`).size > 1000);
    }
  }
});

test("voices: samples, search, languages of espeak-ng", async () => {
  await page.click('button[aria-label="Hear bella"]');
  await reaches("speaking");
  assert.equal(await page.$eval("input[name=voice]:checked", (e) => e.value), "bella");
  await page.click("#stop");
  await fill("find", "alloy");
  assert.deepEqual(await page.$$eval(".card b", (e) => e.map((b) => b.textContent)), ["amy"]);
  await fill("find", "");
  await page.select("#model", "espeak-ng");
  await page.waitForFunction(() => document.querySelectorAll(".card").length > 90);
  await fill("find", "german");
  assert.ok((await page.$$eval(".card b", (e) => e.map((b) => b.textContent))).includes("de"));
  await shot("languages");
  await fill("find", "");
  await page.select("#model", "jabber-tiny");
  await page.waitForFunction(() => document.querySelectorAll(".card").length < 40);
});

test("add a voice, use it, delete it", async () => {
  await page.$eval("#adding", (e) => (e.open = true));
  await page.type("#voice-name", "browser-test");
  await (await page.$("#voice-file")).uploadFile(process.env.CLIENTS_CLIP);
  await page.type("#voice-text", "Good morning. It is a fine day to be outside and to talk about the weather.");
  await page.click("#voice-consent");
  await page.click("#add");
  await page.waitForFunction(() => /Added|must|limit|not/.test(document.getElementById("upload-state").textContent), { timeout: 60000 });
  assert.match(await text("upload-state"), /^Added browser-test/);
  await shot("voice");
  await fill("text", "Hello.");
  await page.click("#go");
  await reaches("done");
  assert.equal(await text("error"), "");
  assert.equal(await page.$eval("#history li:first-child b", (e) => e.textContent), "browser-test");
  await page.click('button[aria-label="Delete voice browser-test"]');
  await page.waitForFunction(() => /^Deleted/.test(document.getElementById("voice-state").textContent));
  assert.equal((await page.$$('button[aria-label="Delete voice browser-test"]')).length, 0);
});

test("several models: one entry each, its licence, voices that follow it, a take's own model", async () => {
  await open(process.env.CLIENTS_SEVERAL_URL);
  assert.deepEqual(await page.$$eval("#model option", (e) => e.map((o) => o.textContent)), ["jabber-tiny", "nano (non-commercial)", "espeak-ng"]);
  assert.match(await text("model-about"), /^30 MB, 16 kHz, (ready|loaded at the first request)\.$/);
  await page.$eval("#adding", (e) => (e.open = true));
  assert.match(await text("imitates"), /partly/);
  await page.select("#model", "nano");
  await page.waitForFunction(() => /Licence: cc-by-nc-4.0, for non-commercial use only/.test(document.getElementById("model-about").textContent));
  assert.match(await page.$eval("#model-about a", (a) => a.href), /by-nc/);
  assert.ok((await page.$$(".card")).length > 5);
  await shot("models");
  await page.select("#model", "espeak-ng");
  await page.waitForFunction(() => document.querySelectorAll(".card").length > 90);
  assert.match(await text("imitates"), /cannot imitate/);
  assert.ok(await page.$eval("#add", (b) => b.disabled));
  if (name === "chrome") { /* Firefox 153 stands still where it opens the loudspeaker for another origin after a pause */
    await fill("text", "Guten Tag.");
    await page.click('input[value="de"]');
    await page.click("#go");
    await reaches("done");
    await page.select("#model", "jabber-tiny");
    await page.waitForFunction(() => document.querySelectorAll(".card").length < 40);
    await page.$$eval("#history li:first-child button", (all) => all.find((b) => b.textContent === "Use again").click());
    await page.waitForFunction(() => document.getElementById("model").value === "espeak-ng" && document.querySelector('input[value="de"]')?.checked);
  }
  await page.select("#model", "jabber-tiny");
  await page.waitForFunction(() => document.querySelectorAll(".card").length < 40);
  await open(url);
});

test("the microphone", async () => {
  await page.$eval("#adding", (e) => (e.open = true));
  await page.click("#record");
  await page.waitForFunction(() => document.getElementById("level").value > 0, { timeout: 20000 });
  await pause(500);
  await page.click("#record");
  await page.waitForSelector("#recorded:not([hidden])");
  assert.match(await text("upload-state"), /^Recorded/);
});

test("a dropped file becomes the text; keys are listed", async () => {
  await page.evaluate(() => {
    const data = new DataTransfer();
    data.items.add(new File(["# Dropped\n\nThis is *it*."], "notes.md"));
    document.getElementById("text").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
  });
  await page.waitForFunction(() => document.getElementById("text").value.startsWith("# Dropped"));
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("?");
  assert.ok(await page.$eval("#keys", (e) => e.open));
  await page.keyboard.press("Escape");
});

test("figures of the server are those of speech", async () => {
  const requests = async () => Number(await page.$eval("#metrics dd", (e) => e.textContent));
  await page.waitForFunction(() => document.querySelectorAll("#metrics dd").length > 0, { timeout: 10000 });
  await pause(3500); /* the page asks every 3 s */
  const before = await requests();
  assert.ok(before > 0);
  await pause(3500);
  assert.equal(await requests(), before, "the page's own polling is counted");
});

test("behind a sub-path", async () => {
  const to = new URL(url), proxy = http.createServer((q, a) => {
    if (!q.url.startsWith("/tts/")) return a.writeHead(404).end();
    q.pipe(http.request({ host: to.hostname, port: to.port, path: q.url.slice(4), method: q.method, headers: { ...q.headers, host: to.host } }, (r) => {
      a.writeHead(r.statusCode, r.headers);
      r.pipe(a);
    }));
  });
  await new Promise((r) => proxy.listen(0, "127.0.0.1", r));
  await open(`http://127.0.0.1:${proxy.address().port}/tts/`);
  if (name === "chrome") { /* Firefox 153 stands still where it opens the loudspeaker for another origin after a pause */
    await fill("text", "Hello.");
    await page.click("#go");
    await reaches("done");
  }
  await page.click("nav a");
  await page.waitForSelector("#operations h2");
  proxy.closeAllConnections();
  proxy.close();
});

test("OpenAI's client in a page of another origin: preflights with whatever headers this browser asks for", async () => {
  const library = process.env.CLIENTS_MODULES + "/openai";
  const site = http.createServer((q, a) => {
    if (!q.url.startsWith("/openai/")) return a.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html><title>Another page</title>");
    a.writeHead(200, { "Content-Type": "text/javascript" }).end(readFileSync(library + new URL(q.url, "http://x").pathname.slice("/openai".length)));
  });
  await new Promise((r) => site.listen(0, "127.0.0.1", r));
  await page.goto(`http://127.0.0.1:${site.address().port}/`);
  const head = await page.evaluate(async (baseURL) => {
    const { default: OpenAI } = await import("/openai/index.mjs");
    const client = new OpenAI({ baseURL, apiKey: "any", dangerouslyAllowBrowser: true, maxRetries: 0, timeout: 60000 });
    const speech = await client.audio.speech.create({ model: "tts-1", voice: "alloy", input: "Hello.", response_format: "wav" });
    const refused = await client.audio.speech.create({ model: "tts-1", voice: "alloy", input: "Hello.", speed: 9 }).catch((e) => e.param);
    return String.fromCharCode(...new Uint8Array(await speech.arrayBuffer(), 0, 4)) + refused;
  }, url + "/v1");
  assert.equal(head, "RIFFspeed");
  site.closeAllConnections();
  site.close();
});

test("the API page: contents, and a route that is tried", async () => {
  await page.goto(url + "/docs");
  await page.waitForSelector("#operations h2");
  assert.ok((await page.$$("#contents a")).length > 10);
  assert.doesNotMatch(await text("operations"), /\[object|undefined|"null"/);
  const send = 'button[aria-label="Send post /v1/audio/speech"]';
  await page.$eval(send, (b) => (b.closest("details").open = true));
  await page.click(send);
  await page.waitForSelector(".answer audio", { timeout: 60000 });
  /* What a browser can send, it sends: an array of objects, a form with a file. */
  const tried = async (route) => {
    await page.$eval(`button[aria-label="Send ${route}"]`, (b) => { b.closest("details").open = true; b.closest("form").querySelector(".answer").replaceChildren(); b.click(); });
    return page.waitForFunction((r) => document.querySelector(`button[aria-label="Send ${r}"]`).closest("form").querySelector(".answer pre")?.textContent, { timeout: 60000 }, route).then((h) => h.jsonValue());
  };
  assert.match(await tried("post /v1/audio/speech/batch"), /^200/);
  const upload = await page.evaluateHandle(() => document.querySelector('button[aria-label="Send post /v1/audio/voices"]').closest("form").querySelector("input[type=file]"));
  await upload.uploadFile(process.env.CLIENTS_CLIP);
  await page.evaluate(() => (document.querySelector('button[aria-label="Send post /v1/audio/voices"]').closest("form").querySelector("input[name=name]").value = "docs-test"));
  assert.match(await tried("post /v1/audio/voices"), /^200/);
  await page.evaluate(() => fetch("v1/audio/voices/docs-test", { method: "DELETE" }));
});

for (const path of ["/", "/docs"])
  for (const [size, width, height] of [["desk", 1280, 900], ["phone", 390, 844]])
    for (const scheme of name === "chrome" ? ["light", "dark"] : ["light"])
      test(`accessible: ${path} ${size}, ${scheme}`, async () => {
        await page.setViewport({ width, height });
        if (name === "chrome") await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
        await page.goto(url + path);
        await page.waitForSelector(path === "/" ? ".card" : "#operations h2");
        await page.$$eval("details", (all) => all.forEach((d) => (d.open = true)));
        await page.evaluate(axe);
        const found = await page.evaluate(async () => (await window.axe.run(document)).violations.map((v) => v.id + ": " + v.nodes.map((n) => n.target).join()));
        await shot(`${path === "/" ? "page" : "docs"}-${size}-${scheme}`);
        assert.deepEqual(found, []);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), "scrolls sideways");
      });
