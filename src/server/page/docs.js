/* docs.js - the page at "/docs": reads /openapi.json and sets it in type. */
"use strict";

const make = (tag, text, ...children) => {
  const e = document.createElement(tag);
  if (text) e.textContent = text;
  e.append(...children);
  return e;
};

function resolve(spec, node) {
  return node && node.$ref ? node.$ref.slice(2).split("/").reduce((o, k) => o[k], spec) : node;
}

/* What a field may hold, in a few words. */
function range(s) {
  const parts = [];
  if (s.type) parts.push([].concat(s.type).join(" or "));
  if (s.enum) parts.push(s.enum.join(", "));
  if (s.minimum !== undefined || s.maximum !== undefined) parts.push(`${s.minimum ?? "…"} to ${s.maximum ?? "…"}`);
  if (s.maxLength) parts.push(`at most ${s.maxLength} characters`);
  if (s.oneOf) parts.push(s.oneOf.map((o) => o.type || "").join(" or "));
  if (s.default !== undefined) parts.push("default " + JSON.stringify(s.default));
  return parts.join("; ");
}

function fields(spec, schema) {
  const body = make("tbody"), required = schema.required || [];
  for (const [name, raw] of Object.entries(schema.properties || {})) {
    const s = resolve(spec, raw);
    body.append(make("tr", "", make("td", "", make("code", name), required.includes(name) ? " *" : ""), make("td", range(s)), make("td", s.description || "")));
  }
  const head = make("thead", "", make("tr", "", make("th", "field"), make("th", "value"), make("th", "meaning")));
  return make("table", "", head, body);
}

function operation(spec, path, method, op) {
  const title = make("h2", "", Object.assign(make("span", method.toUpperCase()), { className: "method" }), " " + path);
  const section = make("section", "", title, make("p", op.description || op.summary));
  const parameters = (op.parameters || []).map((p) => resolve(spec, p));
  if (parameters.length)
    section.append(fields(spec, { properties: Object.fromEntries(parameters.map((p) => [p.name, { ...p.schema, description: p.description }])), required: parameters.filter((p) => p.required).map((p) => p.name) }));
  for (const [type, media] of Object.entries((resolve(spec, op.requestBody) || {}).content || {}))
    section.append(make("h3", type), fields(spec, resolve(spec, media.schema)));
  const answers = Object.entries(op.responses).map(([code, r]) => make("li", code + ": " + resolve(spec, r).description));
  section.append(make("h3", "Answers"), make("ul", "", ...answers));
  return section;
}

fetch("openapi.json").then((r) => r.json()).then((spec) => {
  document.getElementById("about").textContent = spec.info.title + " " + spec.info.version;
  for (const [path, item] of Object.entries(spec.paths))
    for (const method of ["get", "post", "delete"])
      if (item[method]) document.getElementById("operations").append(operation(spec, path, method, item[method]));
}).catch((e) => (document.getElementById("about").textContent = "cannot read /openapi.json: " + e.message));
