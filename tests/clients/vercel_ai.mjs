/* Vercel's AI SDK against a running server, CLIENTS_URL.  Run by run.py. */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import test from "node:test";

const require = createRequire(process.env.CLIENTS_MODULES + "/");
const load = (name) => import(pathToFileURL(require.resolve(name)));
const ai = await load("ai"), { createOpenAI } = await load("@ai-sdk/openai");
const speech = ai.generateSpeech ?? ai.experimental_generateSpeech;

test("generateSpeech", async () => {
  const openai = createOpenAI({ baseURL: process.env.CLIENTS_URL + "/v1", apiKey: "any" });
  const { audio } = await speech({ model: openai.speech("tts-1"), text: "Hello there.", voice: "nova", outputFormat: "wav", speed: 1.1 });
  assert.equal(Buffer.from(audio.uint8Array).subarray(0, 4).toString(), "RIFF");
  await assert.rejects(speech({ model: openai.speech("tts-9"), text: "Hello.", maxRetries: 0 }), /no model/);
});
