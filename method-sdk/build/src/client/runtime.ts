// The part of a client that is the same for every API. `server client typescript` has written it; do not change it here.

/** A session, as a login returns it. */
export interface Session {
  session_id: string;
  user_id: string;
  /** Unix seconds. */
  expires?: number;
}

export interface Options {
  /** The address of the server, such as `https://api.example.com`, with a path if a proxy adds one. */
  url: string;
  /** A session to begin with, as `onSession` has received it. */
  session?: Session | null | undefined;
  /** Receives each new session, and `null` when it has ended. */
  onSession?: ((session: Session | null) => void) | undefined;
  /** How often a call that was refused for the moment (errors 1013 and 1016, with `Retry-After`) is repeated. The default is 0. */
  retries?: number | undefined;
  /** Another `fetch`, for tests and proxies. */
  fetch?: typeof globalThis.fetch | undefined;
}

export interface CallOptions {
  /** Aborts the call. */
  signal?: AbortSignal | undefined;
  /** As in `Options`, for this call. */
  retries?: number | undefined;
}

/** The effect of a method on the session of its caller. */
export type SessionEffect = "opens" | "ends";

/** The error of a call, from the server, or 1009 for an answer that is not genuine. */
export class ApiError extends Error {
  override name = "ApiError";

  constructor(
    readonly method: string,
    readonly code: number,
    message: string,
    /** More about the error: a list of `{ path, message }` for error 1019. */
    readonly details: unknown,
    readonly status: number,
    /** Seconds. */
    readonly retryAfter: number | undefined,
    /** The name of the request in the server's log. */
    readonly requestId: string | undefined,
  ) {
    super(message);
  }
}

const NOT_GENUINE = 1009;
const INVALID_SESSION = 1007;
/** Errors after which the server has done nothing, and may do it later. */
const RETRYABLE = [1013, 1016];

/** The way to a server, and the session there. */
export class Connection {
  #session: Session | null;
  readonly #url: string;
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
    this.#url = options.url.replace(/\/+$/, "");
    this.#session = options.session ?? null;
  }

  get session(): Session | null {
    return this.#session;
  }

  set session(session: Session | null) {
    this.#session = session;
    this.#options.onSession?.(session);
  }

  /** Calls a method, and returns its answer once its signature is verified. */
  async call<T>(method: string, parameters: unknown, options?: CallOptions, effect?: SessionEffect): Promise<T> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.#call<T>(method, parameters, options, effect);
      } catch (error) {
        await this.#waitForRetry(error, attempt, options);
      }
    }
  }

  /** Calls a method that streams its response, and yields its pieces: text, or bytes if it is anything else. */
  async *stream<T extends string | Uint8Array>(method: string, parameters: unknown, options?: CallOptions): AsyncGenerator<T, void, undefined> {
    let response: Response;
    for (let attempt = 0; ; attempt += 1) {
      try {
        response = await this.#send(method, parameters, this.#session, options);
        // An error before the first piece is an ordinary response.
        if (!response.ok) await this.#read(method, response, this.#session);
        break;
      } catch (error) {
        await this.#waitForRetry(error, attempt, options);
      }
    }
    const isText = (response.headers.get("content-type") ?? "").startsWith("text/");
    const decoder = new TextDecoder();
    const reader = response.body?.getReader();
    try {
      for (;;) {
        const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
        const piece = isText ? decoder.decode(value, { stream: !done }) : value;
        if (piece?.length) yield piece as T;
        if (done) return;
      }
    } finally {
      // The caller may have stopped before the end.
      await reader?.cancel().catch(() => undefined);
    }
  }

  async #call<T>(method: string, parameters: unknown, options: CallOptions | undefined, effect: SessionEffect | undefined): Promise<T> {
    const session = this.#session;
    const response = await this.#send(method, parameters, session, options);
    const result = await this.#read(method, response, session);
    if (effect === "ends") this.session = null;
    if (effect === "opens" && isSession(result)) {
      const { session_id, user_id, expires } = result;
      this.session = expires === undefined ? { session_id, user_id } : { session_id, user_id, expires };
    }
    return result as T;
  }

  #send(method: string, parameters: unknown, session: Session | null, options: CallOptions | undefined): Promise<Response> {
    const body = new TextEncoder().encode(JSON.stringify(parameters ?? {}));
    const headers: Record<string, string> = { "content-type": "application/json" };
    if (session) {
      headers["x-session-id"] = session.session_id;
      headers["x-hmac"] = sign(session.user_id, body);
    }
    const fetch = this.#options.fetch ?? globalThis.fetch;
    return fetch(`${this.#url}/${method.replaceAll(".", "/")}`, { method: "POST", headers, body, signal: options?.signal ?? null, cache: "no-store" });
  }

  /** Reads a response that is no stream. */
  async #read(method: string, response: Response, session: Session | null): Promise<unknown> {
    const body = new Uint8Array(await response.arrayBuffer());
    const text = new TextDecoder().decode(body);
    const retryAfter = Number(response.headers.get("retry-after") ?? NaN);
    const fail = (code: number, message: string, details?: unknown) =>
      new ApiError(method, code, message, details, response.status, Number.isNaN(retryAfter) ? undefined : retryAfter, response.headers.get("x-request-id") ?? undefined);
    let answer: { result?: unknown; error?: { code: number; value: string; details?: unknown } };
    try {
      answer = text === "" ? {} : JSON.parse(text);
    } catch {
      throw fail(response.status, `${method}: HTTP ${response.status}, and no JSON`);
    }
    // A new session signs the answer that it comes with. Errors of the transport are not signed.
    const signature = response.headers.get("x-hmac");
    const signer = isSession(answer.result) ? answer.result.user_id : session?.user_id;
    const isGenuine = signature === null ? answer.error !== undefined || signer === undefined || text === "" : signer !== undefined && signature === sign(signer, body);
    if (!isGenuine) throw fail(NOT_GENUINE, `${method}: the answer is not genuine`);
    if (answer.error) {
      if (answer.error.code === INVALID_SESSION && session === this.#session) this.session = null;
      throw fail(answer.error.code, answer.error.value, answer.error.details);
    }
    if (!response.ok) throw fail(response.status, `${method}: HTTP ${response.status}`);
    return answer.result;
  }

  /** Waits as long as the server says, or throws the error again. */
  async #waitForRetry(error: unknown, attempt: number, options: CallOptions | undefined): Promise<void> {
    const retries = options?.retries ?? this.#options.retries ?? 0;
    const isRetryable = error instanceof ApiError && RETRYABLE.includes(error.code) && error.retryAfter !== undefined;
    if (!isRetryable || attempt >= retries) throw error;
    const signal = options?.signal;
    await new Promise<void>((resolve, reject) => {
      const stop = () => { clearTimeout(timer); reject(signal?.reason); };
      const timer = setTimeout(() => { signal?.removeEventListener("abort", stop); resolve(); }, (error.retryAfter ?? 0) * 1000);
      signal?.addEventListener("abort", stop, { once: true });
      if (signal?.aborted) stop();
    });
  }
}

function isSession(result: unknown): result is Session {
  const session = result as Partial<Session> | null | undefined;
  return typeof session?.session_id === "string" && typeof session.user_id === "string";
}

/** Returns the signature of version 1. In JavaScript, because browsers have `crypto.subtle` on https and localhost alone. */
export function sign(userId: string, body: Uint8Array): string {
  const key = new TextEncoder().encode(userId);
  const block = new Uint8Array(64);
  block.set(key.length > 64 ? sha1(key) : key);
  const hash = (mask: number, bytes: Uint8Array) => {
    const all = new Uint8Array(64 + bytes.length);
    all.set(block.map((byte) => byte ^ mask));
    all.set(bytes, 64);
    return sha1(all);
  };
  return Array.from(hash(0x5c, hash(0x36, body)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function sha1(bytes: Uint8Array): Uint8Array {
  const words = new DataView(new ArrayBuffer((((bytes.length + 8) >> 6) + 1) * 64));
  bytes.forEach((byte, index) => words.setUint8(index, byte));
  words.setUint8(bytes.length, 0x80);
  words.setBigUint64(words.byteLength - 8, BigInt(bytes.length) * 8n);
  const rotate = (value: number, count: number) => (value << count) | (value >>> (32 - count));
  let [h0, h1, h2, h3, h4] = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];
  for (let block = 0; block < words.byteLength; block += 64) {
    const w = Array.from({ length: 16 }, (_, index) => words.getInt32(block + index * 4));
    let [a, b, c, d, e] = [h0, h1, h2, h3, h4];
    for (let t = 0; t < 80; t += 1) {
      if (t >= 16) w.push(rotate(w[t - 3]! ^ w[t - 8]! ^ w[t - 14]! ^ w[t - 16]!, 1));
      const [f, k] =
        t < 20 ? [(b & c) | (~b & d), 0x5a827999]
        : t < 40 ? [b ^ c ^ d, 0x6ed9eba1]
        : t < 60 ? [(b & c) | (b & d) | (c & d), 0x8f1bbcdc]
        : [b ^ c ^ d, 0xca62c1d6];
      [a, b, c, d, e] = [(rotate(a, 5) + f + e + k + w[t]!) | 0, a, rotate(b, 30), c, d];
    }
    [h0, h1, h2, h3, h4] = [(h0 + a) | 0, (h1 + b) | 0, (h2 + c) | 0, (h3 + d) | 0, (h4 + e) | 0];
  }
  const hash = new DataView(new ArrayBuffer(20));
  [h0, h1, h2, h3, h4].forEach((value, index) => hash.setInt32(index * 4, value));
  return new Uint8Array(hash.buffer);
}
