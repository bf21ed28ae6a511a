/* docs.js - the page at "/docs": reads openapi.json, sets it in type, and lets each route be tried. */
const $ = (id) => document.getElementById(id);
const make = (tag, properties, ...children) => {
  const e = Object.assign(document.createElement(tag), typeof properties === "string" ? { textContent: properties } : properties);
  e.append(...children);
  return e;
};
const SHOWN = 4000; /* characters of an answer */

function resolve(spec, node) {
  return node && node.$ref ? node.$ref.slice(2).split("/").reduce((o, k) => o[k], spec) : node;
}

const word = (v) => (v === null ? "null" : typeof v === "string" ? v : JSON.stringify(v));

/* What a field may hold, in a few words. */
function range(s) {
  const types = [].concat(s.type ?? []), parts = [];
  const named = types.filter((t) => t !== "null");
  if (named.length) parts.push(named.join(" or "));
  const either = s.oneOf ?? s.anyOf;
  const kinds = (either ?? []).flatMap((o) => o.type ?? []);
  if (either) parts.push(kinds.filter((t) => t !== "null").join(" or "));
  const values = (s.enum ?? []).filter((v) => v !== null);
  if (values.length) parts.push(values.map(word).join(", "));
  if (s.minimum !== undefined || s.maximum !== undefined) parts.push(`${s.minimum ?? "…"} to ${s.maximum ?? "…"}`);
  if (s.maxLength) parts.push(`at most ${s.maxLength} characters`);
  if (s.default !== undefined) parts.push("default " + word(s.default));
  if (types.includes("null") || kinds.includes("null") || s.enum?.includes(null)) parts.push("or null, as if it were absent");
  return parts.join("; ");
}

function fields(spec, schema) {
  const required = schema.required || [], list = make("dl", { className: "fieldlist" });
  for (const [name, raw] of Object.entries(schema.properties || {})) {
    const s = resolve(spec, raw);
    list.append(make("dt", {}, make("code", name), required.includes(name) ? " required" : ""), make("dd", {}, s.description || "", make("small", range(s))));
  }
  return list;
}

/* --- trying --- */

/* A body that works: what is required, and an example of it. */
const EXAMPLES = { model: "tts-1", voice: "alloy", input: "Hello there.", text: "Hello there.", name: "me", language: "en", completion_window: "24h" };
function exampleOf(spec, schema, name) {
  const s = resolve(spec, schema);
  if (s.example !== undefined) return s.example;
  if (s.const !== undefined) return s.const;
  if (EXAMPLES[name]) return EXAMPLES[name];
  if (s.properties) return Object.fromEntries((s.required || []).map((n) => [n, exampleOf(spec, s.properties[n] ?? {}, n)]));
  if (s.items) return [exampleOf(spec, s.items, name)];
  return s.enum?.[0] ?? "";
}
const example = (spec, schema) => JSON.stringify(exampleOf(spec, schema), null, 2);

async function answer(r, into) {
  const type = r.headers.get("content-type") || "", lines = [`${r.status} ${r.statusText}`, "content-type: " + type];
  into.replaceChildren(make("pre", lines.join("\n")));
  if (type.startsWith("audio/")) {
    into.append(make("audio", { controls: true, src: URL.createObjectURL(await r.blob()) }));
    return;
  }
  let text = await r.text();
  try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: as it is */ }
  into.append(make("pre", text.length > SHOWN ? text.slice(0, SHOWN) + "\n…" : text));
}

/* A form's fields: what is required, and those with an example. */
function formInputs(spec, schema) {
  const s = resolve(spec, schema) ?? {};
  return Object.entries(s.properties ?? {}).map(([name, raw]) => {
    const field = resolve(spec, raw), needed = (s.required ?? []).includes(name);
    const file = field.format === "binary";
    const input = make("input", { type: file ? "file" : "text", name, required: needed, placeholder: needed ? "" : "not sent" });
    if (needed && !file) input.value = exampleOf(spec, field, name);
    return input;
  });
}

function formData(inputs) {
  const data = new FormData();
  for (const i of inputs) if (i.value) data.append(i.name, i.type === "file" ? i.files[0] : i.value);
  return data;
}

function tryIt(spec, path, method, op, parameters) {
  const content = resolve(spec, op.requestBody)?.content ?? {}, body = content["application/json"]?.schema;
  const parts = body ? [] : formInputs(spec, content["multipart/form-data"]?.schema);
  const inputs = parameters.map((p) => make("input", { name: p.name, required: Boolean(p.required), placeholder: p.required ? "" : "not sent" }));
  const text = body ? make("textarea", { rows: 6, value: example(spec, body), ariaLabel: "Body" }) : null;
  const into = make("div", { className: "answer" }), form = make("form", {});
  into.setAttribute("role", "status");
  parameters.forEach((p, i) => form.append(make("label", {}, p.name, inputs[i])));
  for (const i of parts) form.append(make("label", {}, i.name, i));
  if (text) form.append(make("label", {}, "Body", text));
  form.append(make("div", { className: "actions" }, make("button", { type: "submit", textContent: "Send", ariaLabel: `Send ${method} ${path}` })), into);
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    let url = path.slice(1);
    const query = new URLSearchParams();
    parameters.forEach((p, i) => {
      if (p.in === "path") url = url.replace(`{${p.name}}`, encodeURIComponent(inputs[i].value));
      else if (p.in === "query" && inputs[i].value) query.set(p.name, inputs[i].value);
    });
    const headers = { ...(text ? { "Content-Type": "application/json" } : {}), ...($("key").value ? { Authorization: "Bearer " + $("key").value } : {}) };
    try {
      await answer(await fetch(url + (query.size ? "?" + query : ""), { method: method.toUpperCase(), headers, body: text?.value ?? (parts.length ? formData(parts) : undefined) }), into);
    } catch {
      into.replaceChildren(make("p", "The server cannot be reached."));
    }
  });
  return make("details", {}, make("summary", "Try it"), form);
}

function operation(spec, path, method, op, shared) {
  const id = method + path.replace(/[^a-z0-9]+/gi, "-");
  const title = make("h2", { id }, make("span", { className: "method", textContent: method.toUpperCase() }), " ", make("code", path));
  const section = make("section", {}, title, make("p", op.description || op.summary));
  const parameters = [...shared, ...(op.parameters || [])].map((p) => resolve(spec, p));
  if (parameters.length)
    section.append(make("h3", "Parameters"), fields(spec, { properties: Object.fromEntries(parameters.map((p) => [p.name, { ...p.schema, description: p.description }])), required: parameters.filter((p) => p.required).map((p) => p.name) }));
  for (const [type, media] of Object.entries((resolve(spec, op.requestBody) || {}).content || {}))
    section.append(make("h3", type), fields(spec, resolve(spec, media.schema)));
  const answers = Object.entries(op.responses).map(([code, r]) => make("li", {}, make("b", code), " ", resolve(spec, r).description));
  section.append(make("h3", "Answers"), make("ul", {}, ...answers), tryIt(spec, path, method, op, parameters));
  $("contents").append(make("li", {}, make("a", { href: "#" + id }, make("span", { className: "method", textContent: method.toUpperCase() }), " " + path), " ", make("small", op.summary || "")));
  return section;
}

try {
  const spec = await (await fetch("openapi.json")).json();
  $("about").textContent = spec.info.title + " " + spec.info.version;
  for (const [path, item] of Object.entries(spec.paths))
    for (const method of ["get", "post", "delete"])
      if (item[method]) $("operations").append(operation(spec, path, method, item[method], item.parameters || []));
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
} catch (e) {
  $("about").textContent = "openapi.json cannot be read: " + e.message;
}
