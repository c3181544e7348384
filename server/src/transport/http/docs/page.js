"use strict";
// The page of an API: reads openapi.json, shows the methods, and calls them.

const $ = (id) => document.getElementById(id);

/** Creates an element. Attributes that are functions are listeners; text is never parsed as HTML. */
function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  return fill(element, ...children);
}

/** Replaces the content of an element. What is `null` or `false` is left out. */
function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

/** Returns text with its `code` as elements. */
const prose = (text) => text.split(/`([^`]*)`/).map((part, index) => (index % 2 ? h("code", null, part) : part));
const paragraphs = (text) => text.split(/\n\s*\n/).filter(Boolean).map((part) => h("p", null, prose(part.replace(/\n/g, " "))));

// ---- JSON, with numbers as they were written: those beyond 2^53 would lose digits

class JsonNumber {
  constructor(text) {
    this.text = text;
  }
}

const JSON_NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

function parseJson(text) {
  return JSON.parse(text, (key, value, context) =>
    typeof value === "number" ? new JsonNumber(context?.source ?? String(value)) : value);
}

function toJson(value, indent = "") {
  const inner = indent + "  ";
  const block = (open, parts, close) => {
    const line = `${open}${parts.join(", ")}${close}`;
    return line.length <= 60 && !line.includes("\n") ? line : `${open}\n${inner}${parts.join(`,\n${inner}`)}\n${indent}${close}`;
  };
  if (value instanceof JsonNumber) return value.text;
  if (Array.isArray(value)) return block("[", value.map((item) => toJson(item, inner)), "]");
  if (value !== null && typeof value === "object")
    return block("{", Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${toJson(item, inner)}`), "}");
  return JSON.stringify(value);
}

/** Returns JSON text with colours, on several lines. */
function highlighted(text) {
  const parts = [];
  let indent = 0;
  const line = () => "\n" + "  ".repeat(indent);
  const tokens = text.match(/"(?:\\.|[^"\\])*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  tokens.forEach((token, index) => {
    const next = tokens[index + 1];
    if (token === "{" || token === "[") {
      const isEmpty = next === "}" || next === "]";
      indent += isEmpty ? 0 : 1;
      parts.push(token, isEmpty ? "" : line());
    } else if (token === "}" || token === "]") {
      const isEmpty = ["{", "["].includes(tokens[index - 1]);
      if (!isEmpty) { indent -= 1; parts.push(line()); }
      parts.push(token);
    } else if (token === ",") parts.push(",", line());
    else if (token === ":") parts.push(": ");
    else if (token[0] === '"') parts.push(next === ":" ? token : h("span", { class: "string" }, token));
    else parts.push(h("span", { class: /^[-\d]/.test(token) ? "number" : "word" }, token));
  });
  return parts;
}

// ---- HMAC-SHA1, in JavaScript because browsers offer crypto.subtle on https and localhost alone

function sha1(bytes) {
  const length = bytes.length;
  const words = new Uint32Array((((length + 8) >> 6) + 1) * 16);
  bytes.forEach((byte, index) => { words[index >> 2] |= byte << (24 - (index % 4) * 8); });
  words[length >> 2] |= 0x80 << (24 - (length % 4) * 8);
  words[words.length - 2] = Math.floor(length / 0x20000000);
  words[words.length - 1] = length << 3;
  const rotate = (value, count) => (value << count) | (value >>> (32 - count));
  const hash = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];
  const w = new Int32Array(80);
  for (let block = 0; block < words.length; block += 16) {
    let [a, b, c, d, e] = hash;
    for (let t = 0; t < 80; t += 1) {
      w[t] = t < 16 ? words[block + t] : rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
      const [f, k] = t < 20 ? [(b & c) | (~b & d), 0x5a827999] : t < 40 ? [b ^ c ^ d, 0x6ed9eba1]
        : t < 60 ? [(b & c) | (b & d) | (c & d), 0x8f1bbcdc] : [b ^ c ^ d, 0xca62c1d6];
      [a, b, c, d, e] = [(rotate(a, 5) + f + e + k + w[t]) | 0, a, rotate(b, 30), c, d];
    }
    [a, b, c, d, e].forEach((value, index) => { hash[index] = (hash[index] + value) | 0; });
  }
  return Uint8Array.from({ length: 20 }, (_, index) => hash[index >> 2] >>> (24 - (index % 4) * 8));
}

function hmac(key, message) {
  const long = new TextEncoder().encode(key);
  const block = new Uint8Array(64);
  block.set(long.length > 64 ? sha1(long) : long);
  const hash = (mask, bytes) => {
    const all = new Uint8Array(64 + bytes.length);
    all.set(block.map((byte) => byte ^ mask));
    all.set(bytes, 64);
    return sha1(all);
  };
  return Array.from(hash(0x5c, hash(0x36, message)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// ---- schemas

let api = { paths: {}, components: { schemas: {} } };

/** Follows references. */
function resolve(schema) {
  let found = schema ?? {};
  for (let step = 0; found.$ref && step < 16; step += 1) {
    const { $ref, ...rest } = found;
    found = { ...api.components.schemas[$ref.split("/").pop()], ...rest };
  }
  return found;
}

/** Returns the schema without `null`, and whether that was allowed. */
function withoutNull(schema) {
  const whole = resolve(schema);
  if (Array.isArray(whole.type)) {
    const types = whole.type.filter((type) => type !== "null");
    return [{ ...whole, type: types.length === 1 ? types[0] : types }, types.length < whole.type.length];
  }
  const forms = whole.anyOf?.filter((form) => form.type !== "null");
  if (forms && forms.length < whole.anyOf.length)
    return [forms.length === 1 ? { ...resolve(forms[0]), ...(whole.description && { description: whole.description }) } : { ...whole, anyOf: forms }, true];
  return [whole, false];
}

/** Returns the members of an object, those of its flattened parts among them. */
function members(schema) {
  const whole = resolve(schema);
  const required = new Set(whole.required ?? []);
  const found = Object.entries(whole.properties ?? {}).map(([name, type]) => ({ name, type, required: required.has(name) }));
  for (const part of whole.allOf ?? []) {
    const inner = part.anyOf?.length === 2 && Object.keys(part.anyOf[1]).length === 0 ? part.anyOf[0] : part;
    found.push(...members(inner).map((member) => ({ ...member, required: member.required && inner === part })));
  }
  return found;
}

function isObject(schema) {
  const whole = resolve(schema);
  return (whole.type === "object" || whole.allOf !== undefined) && members(whole).length > 0;
}

/** Returns whether the only value of a type is `{}`. */
const isEmpty = (schema) => schema.additionalProperties === false && Object.keys(schema.properties ?? {}).length === 0;

/** Returns what tells one form of an enum from the others: `{ type: "card", … }`. */
function formName(schema) {
  const all = members(schema);
  const tag = all.find(({ type }) => "const" in resolve(type));
  if (tag) return `{ ${tag.name}: ${JSON.stringify(resolve(tag.type).const)}${all.length > 1 ? ", …" : ""} }`;
  return resolve(schema).maxProperties === 1 && all.length === 1 ? `{ ${all[0].name}: … }` : "object";
}

/** Returns the name of a type, as a person would say it. */
function typeName(schema, depth = 0) {
  const [type, mayBeNull] = withoutNull(schema);
  const or = mayBeNull ? " or null" : "";
  const of = (inner) => (depth > 3 ? "…" : typeName(inner, depth + 1));
  if ("const" in type) return JSON.stringify(type.const) + or;
  if (type.enum) return type.enum.map((value) => JSON.stringify(value)).join(" | ") + or;
  if (type.anyOf) return type.anyOf.map(of).join(" | ") + or;
  if (type.type === "array") {
    if (type.prefixItems) return `[${type.prefixItems.map(of).join(", ")}]${or}`;
    return `array of ${of(type.items ?? {})}${or}`;
  }
  if (type.type === "object" && !isObject(type) && type.additionalProperties) return `map of ${of(type.additionalProperties)}${or}`;
  if (type.type === "integer") {
    const isWide = (type.maximum ?? Infinity) > Number.MAX_SAFE_INTEGER;
    const limits = isWide ? (type.minimum >= 0 ? ` from ${type.minimum}` : "") : ` ${type.minimum} to ${type.maximum}`;
    return `integer${limits}${or}`;
  }
  if (isObject(type)) return formName(type) + or;
  if (type.format) return `${type.type} (${type.format})${or}`;
  return (Array.isArray(type.type) ? type.type.join(" | ") : type.type ?? "any JSON") + or;
}

/** Returns the objects that a value of this type contains, with the text that leads to them. */
function innerObjects(schema) {
  const [type] = withoutNull(schema);
  if (type.type === "array") return (type.prefixItems ?? [type.items ?? {}]).flatMap((item) => innerObjects(item));
  if (type.anyOf) return type.anyOf.flatMap((form) => innerObjects(form));
  if (type.type === "object" && !isObject(type) && typeof type.additionalProperties === "object") return innerObjects(type.additionalProperties);
  return isObject(type) ? [schema] : [];
}

/** Returns the rows of a table of members, with those of nested objects below them. */
function rows(schema, isAnswer, depth = 0, seen = []) {
  return members(schema).map(({ name, type, required }) => {
    const note = isAnswer ? !required && h("span", { class: "soft" }, " may be missing") : required && h("span", { class: "must" }, " required");
    const [whole] = withoutNull(type);
    const indent = h("td", null, h("span", { class: "depth" }, "· ".repeat(depth)), name, note);
    const about = [prose((whole.description ?? "").replace(/\n/g, " ")), resolve(type).deprecated && h("span", { class: "soft" }, " (another name of the same member)")];
    const row = h("tr", null, indent, h("td", { class: "type" }, typeName(type)), h("td", { class: "about" }, about));
    const inner = innerObjects(type).filter((object) => !seen.includes(JSON.stringify(object)) && depth < 5);
    return [row, inner.map((object) => [
      inner.length > 1 && h("tr", null, h("td", { colspan: 3 }, h("span", { class: "depth" }, "· ".repeat(depth + 1)), h("span", { class: "soft" }, formName(object)),
        resolve(object).description && h("span", { class: "soft" }, " – ", prose(resolve(object).description)))),
      rows(object, isAnswer, depth + 1, [...seen, JSON.stringify(object)])])];
  });
}

function typeTable(schema, isAnswer, none) {
  const [type] = withoutNull(schema);
  if (type.type === "null" || isEmpty(type)) return h("p", { class: "soft" }, none);
  const objects = innerObjects(schema);
  const line = !isObject(schema) && h("p", null, h("span", { class: "mono" }, typeName(schema)));
  const tables = objects.map((object) => h("table", null, objects.length > 1 && h("caption", null, formName(object)),
    h("thead", null, h("tr", null, h("th", null, "name"), h("th", null, "type"), h("th", null, "meaning"))),
    h("tbody", null, rows(object, isAnswer, 0, [JSON.stringify(object)]))));
  return h("div", null, line, type.description && h("p", { class: "soft" }, prose(type.description)), tables);
}

// ---- the form: inputs for the members of an object, and a text area of JSON for everything else

const pointerStep = (name) => "/" + String(name).replace(/~/g, "~0").replace(/\//g, "~1");
let nextId = 0;

/** Creates the input of a value. `read` returns it, or `undefined` if it is left out; `write` shows one. */
function control(schema, path, required, changed) {
  const [type, mayBeNull] = withoutNull(schema);
  const id = `field-${(nextId += 1)}`;
  const text = (attributes) => h("input", { id, type: "text", autocomplete: "off", spellcheck: "false", input: changed, ...attributes });
  if (isObject(type) && !type.anyOf && path.split("/").length < 6) {
    const inner = form(type, path, changed);
    const read = () => {
      const value = inner.read();
      return required || Object.keys(value).length ? value : undefined;
    };
    return { id, element: inner.element, read, write: inner.write, isGroup: true };
  }
  if (type.enum?.every((value) => typeof value === "string") || type.type === "boolean") {
    const values = type.enum ?? ["true", "false"];
    const select = h("select", { id, change: changed }, (!required || mayBeNull) && h("option", { value: "" }, "—"), values.map((value) => h("option", { value }, value)));
    const read = () => (select.value === "" ? undefined : type.enum ? select.value : select.value === "true");
    return { id, element: select, read, write: (value) => { select.value = value == null ? (required ? values[0] : "") : String(value); } };
  }
  if (type.type === "string") {
    const isSecret = /password|secret/.test(path);
    const input = text(isSecret ? { type: "password", autocomplete: "off" } : {});
    return { id, element: input, read: () => (input.value === "" && !required ? undefined : input.value), write: (value) => { input.value = value ?? ""; } };
  }
  if (type.type === "integer" || type.type === "number") {
    const input = text({ inputmode: type.type === "integer" ? "numeric" : "decimal" });
    // Text that is no number is sent as it is: the server has the error for it.
    const read = () => (input.value === "" ? undefined : JSON_NUMBER.test(input.value) ? new JsonNumber(input.value) : input.value);
    return { id, element: input, read, write: (value) => { input.value = value instanceof JsonNumber ? value.text : value ?? ""; } };
  }
  const area = h("textarea", { id, spellcheck: "false", rows: 3, placeholder: `JSON: ${typeName(type)}`, input: changed });
  const read = () => {
    if (area.value.trim() === "") return undefined;
    try { return parseJson(area.value); } catch { return area.value; }
  };
  return { id, element: area, read, write: (value) => { area.value = value === undefined ? "" : toJson(value); } };
}

/** Creates the inputs of an object's members. Members that it does not know are kept. */
function form(schema, path, changed) {
  let others = {};
  const fields = members(schema).filter(({ type }) => !resolve(type).deprecated).map(({ name, type, required }) => {
    const place = path + pointerStep(name);
    const { id, element, read, write, isGroup } = control(type, place, required, changed);
    const [whole] = withoutNull(type);
    const label = [name, required && h("span", { class: "must", title: "required" }, " *")];
    const hint = h("div", { class: "hint" }, `${typeName(type)}${whole.description ? " – " : ""}`, prose((whole.description ?? "").replace(/\n/g, " ")));
    const error = h("p", { class: "error", role: "alert" });
    const node = isGroup
      ? h("fieldset", { "data-path": place }, h("legend", null, label), element, error)
      : h("div", { class: "field", "data-path": place }, h("label", { for: id }, label), h("div", { class: "control" }, element, hint, error));
    return { name, node, read, write };
  });
  const known = new Set(fields.map(({ name }) => name));
  return {
    element: h("div", null, fields.map(({ node }) => node)),
    read: () => ({ ...Object.fromEntries(fields.map(({ name, read }) => [name, read()]).filter(([, value]) => value !== undefined)), ...others }),
    write: (value) => {
      const object = value !== null && typeof value === "object" && !(value instanceof JsonNumber) ? value : {};
      others = Object.fromEntries(Object.entries(object).filter(([name]) => !known.has(name)));
      fields.forEach(({ name, write }) => write(object[name]));
    },
  };
}

/** Returns a value to begin with: the required members. */
function example(schema, depth = 0) {
  const [type] = withoutNull(schema);
  if ("const" in type) return type.const;
  if (type.enum) return type.enum[0];
  if (isObject(type)) return Object.fromEntries(members(type).filter(({ required }) => required && depth < 4).map(({ name, type }) => [name, example(type, depth + 1)]));
  if (type.anyOf) return depth < 4 ? example(type.anyOf[0], depth + 1) : null;
  if (type.type === "string") return "";
  if (type.type === "integer" || type.type === "number") return new JsonNumber(String(Math.max(type.minimum ?? 0, 0)));
  if (type.type === "boolean") return false;
  if (type.type === "array") return type.prefixItems ? type.prefixItems.map((item) => example(item, depth + 1)) : [];
  return type.type === "null" ? null : {};
}

// ---- the session, which ends with the browser's tab

let session = JSON.parse(sessionStorage.getItem("session"));

function setSession(value) {
  session = value;
  if (value) sessionStorage.setItem("session", JSON.stringify(value));
  else sessionStorage.removeItem("session");
  $("session").textContent = value ? `Log out ${value.user_id}` : "Log in";
  current?.update();
}

// ---- calls

const base = () => new URL(".", location.href).href.replace(/\/$/, "");
const urlOf = (method) => `${base()}/${method.replace(/\./g, "/")}`;

/** Returns what the signature of a response proves. The answer of a login is signed by the session that it opens. */
function verify(response, body, answer, signer) {
  const signature = response.headers.get("x-hmac");
  const key = answer?.result?.session_id ? answer.result.user_id : signer?.user_id;
  if (!signature) return signer && answer?.result !== undefined ? "WRONG: no signature" : "not signed";
  return key !== undefined && hmac(key, body) === signature ? "verified" : "WRONG";
}

/** Calls a method. `onPiece` receives the text of a response as it arrives. */
async function call(method, body, { signal, onPiece, signer = session, streams = false } = {}) {
  const bytes = new TextEncoder().encode(body);
  const headers = { "content-type": "application/json" };
  if (signer) Object.assign(headers, { "x-session-id": signer.session_id, "x-hmac": hmac(signer.user_id, bytes) });
  const started = performance.now();
  const response = await fetch(urlOf(method), { method: "POST", headers, body: bytes, signal, cache: "no-store" });
  const decoder = new TextDecoder();
  const pieces = [];
  for (const reader = response.body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    onPiece?.(decoder.decode(value, { stream: true }));
  }
  const all = new Uint8Array(await new Blob(pieces).arrayBuffer());
  const text = new TextDecoder().decode(all);
  let answer;
  try { answer = JSON.parse(text); } catch { /* a stream, or nothing */ }
  const isJson = answer !== undefined && (response.headers.get("content-type") ?? "").startsWith("application/json");
  const signature = streams && !isJson ? "not signed, as every stream" : verify(response, all, isJson ? answer : undefined, signer);
  if (isJson && signature === "verified" && answer.result?.session_id)
    setSession({ session_id: answer.result.session_id, user_id: answer.result.user_id });
  const effect = api.paths[`/${method.replace(/\./g, "/")}`]?.post["x-session"];
  if (answer?.error?.code === 1007 || (effect === "ends" && answer?.result !== undefined)) setSession(null);
  return { status: response.status, milliseconds: performance.now() - started, bytes: all.length, text, answer: isJson ? answer : undefined, signature,
    stale: response.headers.has("x-simpleapi-stale"), requestId: response.headers.get("x-request-id"), retryAfter: response.headers.get("retry-after") };
}

// ---- the same call in other languages

const quoted = (text) => `'${text.replace(/'/g, "'\\''")}'`;
const isName = (name) => /^[A-Za-z_$][\w$]*$/.test(name);
const PYTHON_WORDS = new Set(("False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda " +
  "nonlocal not or pass raise return try while with yield").split(" "));

function typescriptValue(value) {
  if (value instanceof JsonNumber) return value.text;
  if (Array.isArray(value)) return `[${value.map(typescriptValue).join(", ")}]`;
  if (value !== null && typeof value === "object") {
    const parts = Object.entries(value).map(([name, item]) => `${isName(name) ? name : JSON.stringify(name)}: ${typescriptValue(item)}`);
    return parts.length ? `{ ${parts.join(", ")} }` : "{}";
  }
  return JSON.stringify(value);
}

function pythonValue(value) {
  if (value instanceof JsonNumber) return value.text;
  if (Array.isArray(value)) return `[${value.map(pythonValue).join(", ")}]`;
  if (value === null) return "None";
  if (typeof value === "object") return `{${Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${pythonValue(item)}`).join(", ")}}`;
  return typeof value === "boolean" ? (value ? "True" : "False") : JSON.stringify(value);
}

function snippets(method, body, operation) {
  let value;
  try { value = parseJson(body || "{}"); } catch { value = undefined; }
  const isPlain = value !== null && typeof value === "object" && !Array.isArray(value) && !(value instanceof JsonNumber);
  const hasNone = value !== undefined && isPlain && Object.keys(value).length === 0;
  const streams = operation["x-streams"];
  const signing = session ? ` \\\n  -H ${quoted(`x-session-id: ${session.session_id}`)} \\\n  -H 'x-hmac: ${hmac(session.user_id, new TextEncoder().encode(body))}'` : "";
  const login = session ? `{ user_id: ${JSON.stringify(session.user_id)}, password: "..." }` : "";
  const argument = value === undefined ? "/* not JSON */" : hasNone ? "" : typescriptValue(value);
  const entries = isPlain ? Object.entries(value) : [];
  const isKeyword = ([name]) => isName(name) && !name.includes("$") && !PYTHON_WORDS.has(name);
  const keywords = entries.filter(isKeyword).map(([name, item]) => `${name}=${pythonValue(item)}`);
  const rest = entries.filter((entry) => !isKeyword(entry)).map(([name, item]) => `${JSON.stringify(name)}: ${pythonValue(item)}`);
  const python = value === undefined ? "..." : isPlain ? [...keywords, ...(rest.length ? [`**{${rest.join(", ")}}`] : [])].join(", ") : pythonValue(value);
  return {
    curl: `curl ${streams ? "-N " : ""}${urlOf(method)}${signing} \\\n  -d ${quoted(body)}`,
    TypeScript: `import { connect } from "./api.js"; // server client typescript .\n\nconst api = connect({ url: ${JSON.stringify(base())} });\n` +
      (session ? `await api.account.login(${login});\n` : "") +
      (streams ? `for await (const piece of api.${method}(${argument})) console.log(piece);` : `console.log(await api.${method}(${argument}));`),
    Python: `from api import Client  # server client python .\n\napi = Client(${JSON.stringify(base())})\n` +
      (session ? `api.account.login(user_id=${JSON.stringify(session.user_id)}, password="...")\n` : "") +
      (streams ? `for piece in api.${method}(${python}):\n    print(piece)` : `print(api.${method}(${python}))`),
  };
}

// ---- the view of a method

let current = null;
/** What has been typed, by method. */
const drafts = new Map();
let snippetLanguage = "curl";

function tabs(names, selected, onSelect) {
  const buttons = names.map((name) => h("button", { type: "button", role: "tab", "aria-selected": String(name === selected), click: () => select(name) }, name));
  function select(name) {
    buttons.forEach((button) => button.setAttribute("aria-selected", String(button.textContent === name)));
    onSelect(name);
  }
  return h("div", { class: "tabs", role: "tablist" }, buttons);
}

function methodView(name, operation, failure) {
  const schema = operation?.requestBody?.content["application/json"].schema ?? {};
  const needsSession = operation?.security.length === 1;
  const streams = operation?.["x-streams"] ?? false;
  const hasForm = isObject(schema);
  const answer = operation?.responses["200"].content?.["application/json"]?.schema.properties.result;
  const draft = drafts.get(name) ?? { body: toJson(example(schema) ?? {}), tab: hasForm ? "Form" : "JSON" };
  drafts.set(name, draft);

  const meta = h("p", { class: "meta" },
    h("span", null, h("code", null, `POST /${name.replace(/\./g, "/")}`)),
    api.paths[`/${name.replace(/\./g, "/")}`]?.get && h("span", null, "also GET"),
    h("span", null, needsSession ? "needs a session" : "a session is optional"),
    streams && h("span", null, "streams its response"),
    operation && h("span", null, operation["x-file"]));
  const broken = failure && h("div", { class: "failure", role: "alert" },
    h("b", null, "This file does not compile."), " Calls get the version before it, if there is one.", h("pre", null, failure));
  const title = [h("h2", null, name), operation && paragraphs(operation.description), meta, broken];
  if (!operation) return { element: h("article", null, title), update() {}, call() {} };

  const body = h("textarea", { "aria-label": "Parameters as JSON", spellcheck: "false", rows: 8, input: () => { draft.body = body.value; update(); } });
  const inputs = hasForm && form(schema, "", () => { draft.body = toJson(inputs.read()); update(); });
  const errors = h("div");
  const outcome = h("p", { class: "outcome", role: "status" });
  const result = h("pre", { hidden: true, tabindex: "0", "aria-label": "Response" });
  const send = h("button", { type: "button", class: "primary", title: "Ctrl+Enter", click: () => run() }, "Call");
  const stop = h("button", { type: "button", disabled: true, click: () => abort?.abort() }, "Stop");
  const snippet = h("pre", { tabindex: "0", "aria-label": "The same call in another language" });
  const hint = h("span", { class: "hint" });
  let abort = null;

  function showTab(tab) {
    draft.tab = tab;
    if (tab === "Form") {
      try { inputs.write(parseJson(draft.body || "{}")); } catch { /* the text stays until a field is changed */ }
    } else body.value = draft.body;
    inputs && (inputs.element.hidden = tab !== "Form");
    body.hidden = tab === "Form";
  }

  function update() {
    const code = snippets(name, draft.body, operation)[snippetLanguage];
    snippet.replaceChildren(code);
    hint.replaceChildren(needsSession && !session ? "Log in first: this method needs a session." : session ? `Signed as ${session.user_id}` : "");
  }

  function showErrors(details) {
    element.querySelectorAll(".error").forEach((error) => error.replaceChildren());
    element.querySelectorAll(".invalid").forEach((field) => field.classList.remove("invalid"));
    errors.replaceChildren();
    for (const { path, message } of Array.isArray(details) ? details : []) {
      const fields = draft.tab === "Form" ? [...element.querySelectorAll("[data-path]")].filter((field) => path === field.dataset.path || path.startsWith(`${field.dataset.path}/`)) : [];
      const field = fields.sort((a, b) => b.dataset.path.length - a.dataset.path.length)[0];
      const rest = field ? path.slice(field.dataset.path.length) : path;
      const text = rest ? `${rest}: ${message}` : message;
      if (field) {
        field.classList.add("invalid");
        [...field.querySelectorAll(".error")].pop().append(h("span", null, text), h("br"));
      } else errors.append(h("p", { class: "error", role: "alert" }, text));
    }
  }

  async function run() {
    if (abort) return;
    abort = new AbortController();
    send.disabled = true;
    stop.disabled = false;
    result.hidden = !streams;
    result.replaceChildren();
    outcome.replaceChildren("calling …");
    showErrors([]);
    try {
      const onPiece = streams ? (piece) => { result.append(piece); result.scrollTop = result.scrollHeight; } : undefined;
      const reply = await call(name, draft.body, { signal: abort.signal, onPiece, streams });
      const error = reply.answer?.error;
      showErrors(error?.details);
      const kind = reply.signature.startsWith("WRONG") ? "bad" : reply.signature === "verified" ? "good" : "";
      fill(outcome,
        h("b", { class: error ? "bad" : "good" }, error ? `error ${error.code}` : "ok"), ` HTTP ${reply.status}`, h("span", null, `${reply.milliseconds.toFixed(1)} ms`),
        h("span", null, `${reply.bytes} bytes`), h("span", { class: kind }, `signature: ${reply.signature}`),
        reply.retryAfter && h("span", null, `retry after ${reply.retryAfter} s`), reply.stale && h("span", { class: "bad" }, "an older version: the file does not compile"),
        h("span", null, `request ${reply.requestId}`));
      result.hidden = reply.text === "";
      result.replaceChildren(...(reply.answer ? highlighted(reply.text) : [reply.text]));
    } catch (error) {
      const isStopped = error.name === "AbortError";
      fill(outcome, h("b", { class: isStopped ? "" : "bad" }, isStopped ? "stopped" : "no answer"), !isStopped && h("span", null, error.message));
    }
    abort = null;
    send.disabled = false;
    stop.disabled = true;
    update();
  }

  const languages = tabs(["curl", "TypeScript", "Python"], snippetLanguage, (language) => { snippetLanguage = language; update(); });
  languages.append(h("button", { type: "button", class: "copy", click: (event) => copy(snippet.textContent, event.target) }, "Copy"));
  const own = operation["x-errors"];
  const element = h("article", null, title,
    h("h3", null, "Parameters"), typeTable(schema, false, "None."),
    h("h3", null, "Answer"),
    streams ? h("p", null, "A stream", operation.responses["200"].content && h("span", { class: "mono" }, ` ${Object.keys(operation.responses["200"].content)[0]}`), ".")
      : answer ? typeTable(answer, true, "None: the body is empty.") : h("p", { class: "soft" }, "None: the body is empty."),
    own.length > 0 && [h("h3", null, "Errors of its own"), h("table", null, h("tbody", null, own.map(({ code, value }) => h("tr", null, h("td", null, String(code)), h("td", { class: "about" }, value)))))],
    h("h3", null, "Try it"),
    h("section", { class: "try", "aria-label": "Try it" },
      hasForm && tabs(["Form", "JSON"], draft.tab, showTab), inputs && inputs.element, body, errors,
      h("div", { class: "buttons" }, send, stop, hint), outcome, result),
    h("h3", null, "The same call elsewhere"), languages, snippet);
  showTab(draft.tab);
  update();
  return { element, update, call: run };
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select and copy"; // no clipboard on plain http
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}

// ---- the list, and the whole page

/** Returns the methods with their operations; those that do not compile may have none. */
function methods() {
  const found = new Map(Object.values(api.paths).map(({ post }) => [post["x-method"], post]));
  Object.keys(api["x-development"]?.failures ?? {}).forEach((name) => found.has(name) || found.set(name, null));
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1));
}

function showList() {
  const filter = $("filter").value.trim().toLowerCase();
  const selected = decodeURIComponent(location.hash.slice(1));
  const failures = api["x-development"]?.failures ?? {};
  const groups = new Map();
  for (const [name, operation] of methods()) {
    if (!name.includes(filter) && !(operation?.description ?? "").toLowerCase().includes(filter)) continue;
    const folder = name.includes(".") ? name.slice(0, name.lastIndexOf(".")) : "";
    const mark = name in failures ? h("span", { class: "mark bad" }, "does not compile")
      : operation?.["x-streams"] ? h("span", { class: "mark" }, "stream") : operation?.security.length === 1 ? h("span", { class: "mark" }, "session") : null;
    const link = h("a", { href: `#${name}`, "aria-current": name === selected && "page", title: operation?.summary }, folder ? name.slice(folder.length + 1) : name, mark);
    groups.set(folder, [...(groups.get(folder) ?? []), link]);
  }
  const list = [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([folder, links]) => [folder !== "" && h("h2", null, folder), links]);
  fill($("methods"), list.length ? list : h("p", { class: "soft" }, "No method has this in its name."));
}

/** What `shown` was when the method was displayed. */
let displayed = "";

function showMethod() {
  const all = methods();
  const name = decodeURIComponent(location.hash.slice(1)) || all[0]?.[0];
  const found = all.find(([other]) => other === name);
  showList();
  document.title = name ? `${name} – ${api.info.title}` : api.info.title;
  current = found ? methodView(name, found[1], api["x-development"]?.failures[name]) : null;
  const none = all.length ? `There is no method ${name}.` : "There are no methods yet: create a file such as methods/greet.rs.";
  $("main").replaceChildren(current ? current.element : h("p", null, none));
  displayed = shown();
  $("list").classList.remove("open");
  $("menu").setAttribute("aria-expanded", "false");
}

const pause = (milliseconds) => new Promise((resume) => setTimeout(resume, milliseconds));
let etag = null;

/** Loads the document, and returns whether it is another one. */
async function load(wait) {
  const headers = etag ? { "if-none-match": etag, ...(wait && { prefer: "wait=25" }) } : {};
  const response = await fetch("openapi.json", { headers, cache: "no-store" });
  if (response.status === 304) return false;
  if (!response.ok) throw new Error(`openapi.json: HTTP ${response.status}`);
  const isNew = response.headers.get("etag") !== etag;
  etag = response.headers.get("etag");
  if (isNew) api = await response.json();
  return isNew;
}

/** Returns everything that the view of the selected method shows, as one text. */
function shown() {
  const name = decodeURIComponent(location.hash.slice(1)) || methods()[0]?.[0];
  const types = {};
  const add = (value) => {
    const type = value?.$ref?.split("/").pop();
    if (type && !(type in types)) add((types[type] = api.components.schemas[type]));
    if (value !== null && typeof value === "object") Object.values(value).forEach(add);
  };
  const operation = methods().find(([other]) => other === name)?.[1];
  add(operation);
  return JSON.stringify([name, operation, api["x-development"]?.failures[name], types]);
}

/** Follows the files in development mode: the server holds each request until something changes. */
async function follow() {
  while (api["x-development"]) {
    try {
      const isNew = await load(true);
      if (isNew) showHead();
      if (isNew && shown() === displayed) showList();
      else if (isNew) {
        const focused = document.activeElement?.closest("main") && document.activeElement;
        const scroll = scrollY;
        showMethod();
        if (focused?.tagName === "TEXTAREA" || focused?.tagName === "INPUT") {
          const same = [...$("main").querySelectorAll(focused.tagName)].find((field) => field.closest("[data-path]")?.dataset.path === focused.closest("[data-path]")?.dataset.path);
          same?.focus();
        }
        scrollTo(0, scroll);
      }
      $("notice").textContent = "";
      await pause(100); // a proxy may not let the server wait
    } catch {
      $("notice").textContent = "The server cannot be reached; trying again.";
      await pause(1000);
    }
  }
}

function showHead() {
  $("title").replaceChildren(api.info.title, h("small", null, api.info.version));
}

async function logIn(method) {
  const credentials = { user_id: $("user-id").value, password: $("password").value };
  $("login-error").textContent = "";
  try {
    const reply = await call(method, JSON.stringify(credentials), { signer: null });
    if (reply.answer?.error) $("login-error").textContent = reply.answer.error.value;
    else if (reply.signature !== "verified") $("login-error").textContent = `The answer is not genuine (signature: ${reply.signature}).`;
    else { $("password").value = ""; $("login").close(); }
  } catch (error) {
    $("login-error").textContent = `No answer: ${error.message}`;
  }
}

$("session").addEventListener("click", async () => {
  if (!session) return $("login").showModal();
  // The session is forgotten here even if the server cannot be reached.
  try { await call("account.logout", "{}"); } finally { setSession(null); }
});
$("do-login").addEventListener("click", (event) => { event.preventDefault(); if ($("login").querySelector("form").reportValidity()) logIn("account.login"); });
$("do-create").addEventListener("click", () => { if ($("login").querySelector("form").reportValidity()) logIn("account.create"); });
$("do-cancel").addEventListener("click", () => $("login").close());
$("filter").addEventListener("input", showList);
$("filter").addEventListener("keydown", (event) => { if (event.key === "Enter") $("methods").querySelector("a")?.click(); });
$("menu").addEventListener("click", () => $("menu").setAttribute("aria-expanded", String($("list").classList.toggle("open"))));
addEventListener("hashchange", () => { showMethod(); scrollTo(0, 0); });
addEventListener("keydown", (event) => {
  const isTyping = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName);
  if (event.key === "/" && !isTyping && !$("login").open) { event.preventDefault(); $("list").classList.add("open"); $("filter").focus(); }
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !$("login").open) current?.call();
});

setSession(session);
load(false).then(() => { showHead(); showMethod(); follow(); }, (error) => { $("main").replaceChildren(h("p", { class: "error" }, `The methods cannot be loaded: ${error.message}`)); });
