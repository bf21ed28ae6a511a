/* The official JavaScript client against a running server: CLIENTS_URL, and CLIENTS_KEYED_URL for
 * one that wants the key "open-sesame".  Run by run.py. */
import assert from "node:assert/strict";
import test from "node:test";
import { createRequire } from "node:module";

const OpenAI = createRequire(process.env.CLIENTS_MODULES + "/")("openai");
const baseURL = process.env.CLIENTS_URL + "/v1";
const client = new OpenAI({ baseURL, apiKey: "not-needed", maxRetries: 0 });
const ask = { model: "gpt-4o-mini-tts", voice: "nova", input: "Hello there." };
const bytes = async (response) => Buffer.from(await response.arrayBuffer());

for (const [format, type] of Object.entries({ mp3: "audio/mpeg", opus: "audio/opus", aac: "audio/aac", flac: "audio/flac", wav: "audio/wav", pcm: "audio/pcm" }))
  test("format " + format, async () => {
    const response = await client.audio.speech.create({ ...ask, response_format: format });
    assert.equal(response.headers.get("content-type"), type);
    assert.ok((await bytes(response)).length > 1000);
  });

test("body arrives in pieces", async () => {
  const response = await client.audio.speech.create({ ...ask, input: "This is a longer text. ".repeat(12), response_format: "pcm" });
  let n = 0;
  for await (const piece of response.body) n += piece.length > 0;
  assert.ok(n > 1);
});

test("a voice by id", async () => {
  const named = await bytes(await client.audio.speech.create({ ...ask, response_format: "pcm" }));
  const byId = await bytes(await client.audio.speech.create({ ...ask, voice: { id: "nova" }, response_format: "pcm" }));
  assert.ok(named.equals(byId));
});

test("events", async () => {
  const response = await client.audio.speech.create({ ...ask, stream_format: "sse" });
  assert.match(response.headers.get("content-type"), /^text\/event-stream/);
  const lines = (await response.text()).split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6));
  assert.equal(lines.pop(), "[DONE]");
  const events = lines.map((line) => JSON.parse(line));
  assert.equal(events.pop().type, "speech.audio.done");
  assert.ok(events.length > 0 && events.every((e) => e.type === "speech.audio.delta"));
});

test("error classes", async () => {
  await assert.rejects(client.audio.speech.create({ ...ask, speed: 9 }), (e) =>
    e instanceof OpenAI.BadRequestError && e.param === "speed" && e.type === "invalid_request_error" && Boolean(e.requestID));
  await assert.rejects(client.audio.speech.create({ ...ask, model: "tts-9" }), (e) =>
    e instanceof OpenAI.NotFoundError && e.code === "model_not_found");
  const keyed = new OpenAI({ baseURL: process.env.CLIENTS_KEYED_URL + "/v1", apiKey: "wrong", maxRetries: 0 });
  await assert.rejects(keyed.audio.speech.create(ask), OpenAI.AuthenticationError);
});

test("models", async () => {
  const list = await client.models.list();
  assert.ok(list.data.some((m) => m.id === "tts-1"));
  assert.equal((await client.models.retrieve("tts-1-hd")).id, "tts-1-hd");
});

test("abort", async () => {
  const stop = new AbortController();
  const response = await client.audio.speech.create({ ...ask, input: "A text that takes its time. ".repeat(60) }, { signal: stop.signal });
  await assert.rejects(async () => {
    for await (const piece of response.body) if (piece.length) stop.abort();
  });
});

test("time-out", async () => {
  const hasty = new OpenAI({ baseURL, apiKey: "x", maxRetries: 0, timeout: 300 });
  await assert.rejects(hasty.audio.speech.create({ ...ask, input: "A text that takes its time. ".repeat(60), stream: false }), OpenAI.APIConnectionTimeoutError);
});

test("a batch", async () => {
  const body = { ...ask, response_format: "flac" };
  const lines = Array.from({ length: 200 }, (_, i) => JSON.stringify({ custom_id: `line-${i}`, method: "POST", url: "/v1/audio/speech", body: { ...body, input: `Number ${i}.` } }));
  const file = await client.files.create({ file: await OpenAI.toFile(Buffer.from(lines.join("\n")), "lines.jsonl"), purpose: "batch" });
  let batch = await client.batches.create({ input_file_id: file.id, endpoint: "/v1/audio/speech", completion_window: "24h" });
  while (["validating", "in_progress", "finalizing"].includes(batch.status)) {
    await new Promise((done) => setTimeout(done, 500));
    batch = await client.batches.retrieve(batch.id);
  }
  assert.equal(batch.status, "completed");
  assert.deepEqual(batch.request_counts, { total: 200, completed: 200, failed: 0 });
  const done = (await (await client.files.content(batch.output_file_id)).text()).trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(done.map((x) => x.custom_id), lines.map((x) => JSON.parse(x).custom_id));
  const sound = await bytes(await client.files.content(done[3].response.body.id));
  assert.equal(sound.subarray(0, 4).toString(), "fLaC");
  for await (const one of client.batches.list({ limit: 1 })) assert.ok(one.id.startsWith("batch_"));
});
