// runtime.ts
var ApiError = class extends Error {
  constructor(method, code, message, details, status, retryAfter, requestId) {
    super(message);
    this.method = method;
    this.code = code;
    this.details = details;
    this.status = status;
    this.retryAfter = retryAfter;
    this.requestId = requestId;
  }
  name = "ApiError";
};
var NOT_GENUINE = 1009;
var INVALID_SESSION = 1007;
var RETRYABLE = [1013, 1016];
var Connection = class {
  #session;
  #url;
  #options;
  constructor(options) {
    this.#options = options;
    this.#url = options.url.replace(/\/+$/, "");
    this.#session = options.session ?? null;
  }
  get session() {
    return this.#session;
  }
  set session(session) {
    this.#session = session;
    this.#options.onSession?.(session);
  }
  /** Calls a method, and returns its answer once its signature is verified. */
  async call(method, parameters, options, effect) {
    for (let attempt2 = 0; ; attempt2 += 1) {
      try {
        return await this.#call(method, parameters, options, effect);
      } catch (error) {
        await this.#waitForRetry(error, attempt2, options);
      }
    }
  }
  /** Calls a method that streams its response, and yields its pieces: text, or bytes if it is anything else. */
  async *stream(method, parameters, options) {
    let response;
    for (let attempt2 = 0; ; attempt2 += 1) {
      try {
        response = await this.#send(method, parameters, this.#session, options);
        if (!response.ok) await this.#read(method, response, this.#session);
        break;
      } catch (error) {
        await this.#waitForRetry(error, attempt2, options);
      }
    }
    const isText = (response.headers.get("content-type") ?? "").startsWith("text/");
    const decoder = new TextDecoder();
    const reader = response.body?.getReader();
    try {
      for (; ; ) {
        const { done, value } = await reader?.read() ?? { done: true, value: void 0 };
        const piece = isText ? decoder.decode(value, { stream: !done }) : value;
        if (piece?.length) yield piece;
        if (done) return;
      }
    } finally {
      await reader?.cancel().catch(() => void 0);
    }
  }
  async #call(method, parameters, options, effect) {
    const session = this.#session;
    const response = await this.#send(method, parameters, session, options);
    const result = await this.#read(method, response, session);
    if (effect === "ends") this.session = null;
    if (effect === "opens" && isSession(result)) {
      const { session_id, user_id, expires } = result;
      this.session = expires === void 0 ? { session_id, user_id } : { session_id, user_id, expires };
    }
    return result;
  }
  #send(method, parameters, session, options) {
    const body = new TextEncoder().encode(JSON.stringify(parameters ?? {}));
    const headers = { "content-type": "application/json" };
    if (session) {
      headers["x-session-id"] = session.session_id;
      headers["x-hmac"] = sign(session.user_id, body);
    }
    const fetch = this.#options.fetch ?? globalThis.fetch;
    return fetch(`${this.#url}/${method.replaceAll(".", "/")}`, { method: "POST", headers, body, signal: options?.signal ?? null, cache: "no-store" });
  }
  /** Reads a response that is no stream. */
  async #read(method, response, session) {
    const body = new Uint8Array(await response.arrayBuffer());
    const text = new TextDecoder().decode(body);
    const retryAfter = Number(response.headers.get("retry-after") ?? NaN);
    const fail = (code, message, details) => new ApiError(method, code, message, details, response.status, Number.isNaN(retryAfter) ? void 0 : retryAfter, response.headers.get("x-request-id") ?? void 0);
    let answer;
    try {
      answer = text === "" ? {} : JSON.parse(text);
    } catch {
      throw fail(response.status, `${method}: HTTP ${response.status}, and no JSON`);
    }
    const signature = response.headers.get("x-hmac");
    const signer = isSession(answer.result) ? answer.result.user_id : session?.user_id;
    const isGenuine = signature === null ? answer.error !== void 0 || signer === void 0 || text === "" : signer !== void 0 && signature === sign(signer, body);
    if (!isGenuine) throw fail(NOT_GENUINE, `${method}: the answer is not genuine`);
    if (answer.error) {
      if (answer.error.code === INVALID_SESSION && session === this.#session) this.session = null;
      throw fail(answer.error.code, answer.error.value, answer.error.details);
    }
    if (!response.ok) throw fail(response.status, `${method}: HTTP ${response.status}`);
    return answer.result;
  }
  /** Waits as long as the server says, or throws the error again. */
  async #waitForRetry(error, attempt2, options) {
    const retries = options?.retries ?? this.#options.retries ?? 0;
    const isRetryable = error instanceof ApiError && RETRYABLE.includes(error.code) && error.retryAfter !== void 0;
    if (!isRetryable || attempt2 >= retries) throw error;
    const signal = options?.signal;
    await new Promise((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", stop);
        resolve();
      }, (error.retryAfter ?? 0) * 1e3);
      signal?.addEventListener("abort", stop, { once: true });
      if (signal?.aborted) stop();
    });
  }
};
function isSession(result) {
  const session = result;
  return typeof session?.session_id === "string" && typeof session.user_id === "string";
}
function sign(userId, body) {
  const key = new TextEncoder().encode(userId);
  const block = new Uint8Array(64);
  block.set(key.length > 64 ? sha1(key) : key);
  const hash = (mask, bytes) => {
    const all = new Uint8Array(64 + bytes.length);
    all.set(block.map((byte) => byte ^ mask));
    all.set(bytes, 64);
    return sha1(all);
  };
  return Array.from(hash(92, hash(54, body)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
function sha1(bytes) {
  const words = new DataView(new ArrayBuffer(((bytes.length + 8 >> 6) + 1) * 64));
  bytes.forEach((byte, index) => words.setUint8(index, byte));
  words.setUint8(bytes.length, 128);
  words.setBigUint64(words.byteLength - 8, BigInt(bytes.length) * 8n);
  const rotate = (value, count) => value << count | value >>> 32 - count;
  let [h0, h1, h2, h3, h4] = [1732584193, 4023233417, 2562383102, 271733878, 3285377520];
  for (let block = 0; block < words.byteLength; block += 64) {
    const w = Array.from({ length: 16 }, (_, index) => words.getInt32(block + index * 4));
    let [a, b, c, d, e] = [h0, h1, h2, h3, h4];
    for (let t = 0; t < 80; t += 1) {
      if (t >= 16) w.push(rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1));
      const [f, k] = t < 20 ? [b & c | ~b & d, 1518500249] : t < 40 ? [b ^ c ^ d, 1859775393] : t < 60 ? [b & c | b & d | c & d, 2400959708] : [b ^ c ^ d, 3395469782];
      [a, b, c, d, e] = [rotate(a, 5) + f + e + k + w[t] | 0, a, rotate(b, 30), c, d];
    }
    [h0, h1, h2, h3, h4] = [h0 + a | 0, h1 + b | 0, h2 + c | 0, h3 + d | 0, h4 + e | 0];
  }
  const hash = new DataView(new ArrayBuffer(20));
  [h0, h1, h2, h3, h4].forEach((value, index) => hash.setInt32(index * 4, value));
  return new Uint8Array(hash.buffer);
}

// api.ts
function connect(options) {
  const connection = new Connection(options);
  return {
    $connection: connection,
    account: {
      create: (parameters, options2) => connection.call("account.create", parameters, options2, "opens"),
      login: (parameters, options2) => connection.call("account.login", parameters, options2, "opens"),
      logout: (options2) => connection.call("account.logout", {}, options2, "ends"),
      update: (parameters, options2) => connection.call("account.update", parameters, options2, "opens")
    },
    app: {
      html: (options2) => connection.stream("app.html", {}, options2),
      js: (options2) => connection.stream("app.js", {}, options2)
    },
    notes: {
      add: (parameters, options2) => connection.call("notes.add", parameters, options2),
      list: (parameters, options2) => connection.call("notes.list", parameters, options2),
      remove: (parameters, options2) => connection.call("notes.remove", parameters, options2)
    },
    hello: (parameters, options2) => connection.call("hello", parameters, options2)
  };
}

// app.ts
var element = (id) => document.getElementById(id);
var stored = sessionStorage.getItem("session");
var api = connect({
  url: location.origin,
  session: stored ? JSON.parse(stored) : null,
  onSession: (session) => {
    if (session) sessionStorage.setItem("session", JSON.stringify(session));
    else sessionStorage.removeItem("session");
    show();
  }
});
async function attempt(action) {
  element("error").textContent = "";
  try {
    await action();
  } catch (error) {
    element("error").textContent = error instanceof ApiError ? error.message : `The server cannot be reached: ${String(error)}`;
  }
}
function show() {
  const isLoggedIn = api.$connection.session !== null;
  element("login").hidden = isLoggedIn;
  element("notes").hidden = !isLoggedIn;
  element("list").replaceChildren();
  if (isLoggedIn) void attempt(() => load());
}
var oldest;
async function load(before) {
  const { notes, has_more } = await api.notes.list(before === void 0 ? {} : { before });
  element("list").append(...notes.map(row));
  oldest = notes.at(-1)?.id;
  element("more").hidden = !has_more;
}
function row(note) {
  const item = document.createElement("li");
  const text = document.createElement("span");
  const time = document.createElement("time");
  const remove = document.createElement("button");
  text.textContent = note.text;
  time.textContent = new Date(note.created * 1e3).toLocaleString();
  remove.textContent = "Remove";
  remove.addEventListener("click", () => void attempt(async () => {
    await api.notes.remove({ id: note.id });
    item.remove();
  }));
  item.append(text, time, remove);
  return item;
}
var credentials = () => ({ user_id: element("user").value, password: element("password").value });
element("login").addEventListener("submit", (event) => {
  event.preventDefault();
  void attempt(() => api.account.login(credentials()));
});
element("create").addEventListener("click", () => void attempt(() => api.account.create(credentials())));
element("logout").addEventListener("click", () => void attempt(() => api.account.logout()));
element("more").addEventListener("click", () => void attempt(() => load(oldest)));
element("add").addEventListener("submit", (event) => {
  event.preventDefault();
  const input = element("text");
  void attempt(async () => {
    const note = await api.notes.add({ text: input.value });
    element("list").prepend(row(note));
    input.value = "";
  });
});
show();
