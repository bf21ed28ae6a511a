/* The page as a person uses it, in Debian's Chromium: speak and hear it while it is made, stop, add a
 * voice, speak with it, delete it, wrong input, the API page; no accessibility rule of axe-core is
 * broken, in light and dark, on a desk and on a phone.  JABBERTTS_SHOTS=DIR keeps screenshots.
 * Run by run.py. */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import test, { after, before } from "node:test";

const require = createRequire(process.env.JABBERTTS_MODULES + "/");
const { chromium } = require("playwright-core");
const axe = require.resolve("axe-core/axe.min.js");
const url = process.env.JABBERTTS_URL, shots = process.env.JABBERTTS_SHOTS;
let browser, page;

const shot = (name) => shots && page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
const idle = () => page.waitForFunction(() => document.getElementById("stop").disabled, null, { timeout: 60000 });
const text = (id) => page.textContent("#" + id);

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
           "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"],
  });
  page = await browser.newPage();
  page.on("pageerror", (e) => { throw e; });
  page.on("dialog", (d) => d.accept());
  /* What the media element reports, in order. */
  await page.addInitScript(() => {
    window.heard = [];
    for (const name of ["playing", "timeupdate", "ended", "error"])
      document.addEventListener(name, () => window.heard.push(name), true);
  });
  await page.goto(url);
  await page.waitForFunction(() => document.getElementById("voice").options.length > 0);
});
after(() => browser.close());

for (const format of ["mp3", "opus", "aac", "flac", "wav", "pcm"])
  test("speak " + format, async () => {
    await page.fill("#text", "Hello there. This is heard while it is made.");
    await page.selectOption("#format", format);
    await page.evaluate(() => (window.heard.length = 0));
    await page.click("#go");
    await page.waitForSelector("#download:not([hidden])", { timeout: 60000 });
    assert.match(await text("state"), /Done/);
    assert.match(await text("seconds"), /^[1-9]\d*\.\d\d s$/);
    assert.ok(Number(await text("rtf")) > 0);
    if (format === "mp3") {
      await page.waitForFunction(() => window.heard.includes("ended"), null, { timeout: 30000 });
      const heard = await page.evaluate(() => window.heard);
      assert.ok(heard.includes("playing") && heard.includes("timeupdate") && !heard.includes("error"), heard.join());
      await shot("spoken");
    }
    const painted = await page.evaluate(() => {
      const c = document.getElementById("picture"), d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
      return d.some((v, i) => i % 4 === 3 && v > 0);
    });
    assert.ok(painted, "the picture is empty");
  });

test("Escape stops, Ctrl+Enter speaks", async () => {
  await page.fill("#text", "A text that takes its time. ".repeat(40));
  await page.selectOption("#format", "mp3");
  await page.press("#text", "Control+Enter");
  await page.waitForFunction(() => /Playing|Waiting/.test(document.getElementById("state").textContent));
  await page.keyboard.press("Escape");
  await idle();
  assert.equal(await text("state"), "Stopped.");
});

test("what is wrong is said", async () => {
  await page.fill("#text", "a".repeat(5000));
  await page.click("#go");
  await page.waitForSelector("#error:not([hidden])");
  assert.match(await text("error"), /4096/);
});

test("add a voice, use it, delete it", async () => {
  await page.fill("#voice-name", "browser-test");
  await page.setInputFiles("#voice-file", process.env.JABBERTTS_CLIP);
  await page.fill("#voice-text", "Good morning. It is a fine day to be outside and to talk about the weather.");
  await page.check("#voice-consent");
  await page.click("#upload button");
  await page.waitForFunction(() => /Added|must|limit|not/.test(document.getElementById("voice-state").textContent), null, { timeout: 60000 });
  assert.match(await text("voice-state"), /^Added browser-test/);
  await shot("voice");
  await page.fill("#text", "Hello.");
  await page.click("#go");
  await page.waitForSelector("#download:not([hidden])", { timeout: 60000 });
  await page.click('button[aria-label="Delete voice browser-test"]');
  await page.waitForFunction(() => /^Deleted/.test(document.getElementById("voice-state").textContent));
  assert.equal(await page.locator('button[aria-label="Delete voice browser-test"]').count(), 0);
});

test("figures of the server", async () => {
  await page.waitForFunction(() => document.querySelectorAll("#metrics dd").length > 0, null, { timeout: 10000 });
  const figures = await page.locator("#metrics dd").allTextContents();
  assert.ok(Number(figures[0]) > 0 && !figures.includes("–"), figures.join());
});

test("the API page", async () => {
  const docs = await browser.newPage();
  await docs.goto(url + "/docs");
  await docs.waitForSelector("h2");
  assert.match(await docs.textContent("main"), /\/v1\/audio\/speech/);
  if (shots) await docs.screenshot({ path: `${shots}/docs.png` });
  await docs.close();
});

for (const [name, size] of [["desk", { width: 1280, height: 900 }], ["phone", { width: 390, height: 844 }]])
  for (const colorScheme of ["light", "dark"])
    test(`accessible: ${name}, ${colorScheme}`, async () => {
      await page.setViewportSize(size);
      await page.emulateMedia({ colorScheme });
      await page.addScriptTag({ path: axe }).catch(async () => page.evaluate(require("node:fs").readFileSync(axe, "utf8")));
      const { violations } = await page.evaluate(() => window.axe.run(document));
      await shot(`${name}-${colorScheme}`);
      assert.deepEqual(violations.map((v) => v.id + ": " + v.nodes.map((n) => n.target).join()), []);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), "scrolls sideways");
    });
