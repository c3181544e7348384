// The steps of a client, in Node and in a browser. `run` throws at the first that fails.
import { ApiError, connect, type Session } from "./api.js";

function same(actual: unknown, expected: unknown): void {
  const [left, right] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (left !== right) throw new Error(`${left} is not ${right}`);
}

async function fails(call: Promise<unknown>): Promise<ApiError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  throw new Error("the call succeeds");
}

export async function run(url: string, user: string): Promise<string[]> {
  const steps: string[] = [];
  const sessions: (Session | null)[] = [];
  const api = connect({ url: `${url}/`, onSession: (session) => sessions.push(session) });

  same((await fails(api.demo.counter())).code, 1004);
  await api.account.create({ user_id: user, password: "correct horse" });
  same(sessions.length, 1);
  same(await api.demo.counter(), { count: 1 });
  same(await api.demo.counter(), { count: 2 });
  steps.push("an account, a session that is kept, signed calls and verified answers");

  const again = connect({ url, session: sessions[0] });
  same(await again.demo.counter(), { count: 3 });
  steps.push("a session is resumed");

  const echo = { text: "Ärger \u{1f600}", list: [1, null, true] };
  same(await api.demo.echo(echo), echo);
  same(await api.demo.hello({ name: "x", n: 1 }), { greeting: "hello x", n: 2 });
  const form = await api.forms({
    "not-a-name": "x",
    class: 7,
    colour: "red",
    shape: { type: "Circle", radius: 1.5 },
    size: { Exactly: 3 },
    pair: [1, "a"],
    counts: { a: 1 },
    note: "n",
    children: [{ colour: "green", shape: { type: "Point" }, size: "Small", pair: [2, "b"], counts: {} }],
  });
  same(form.shape.type === "Circle" && form.shape.radius, 1.5);
  same([form.class, form["not-a-name"], form.note, form.children?.[0]?.size], [7, "x", "n", "Small"]);
  steps.push("typed parameters and answers");

  // @ts-expect-error: `n` is missing, and `name` is a string
  const error = await fails(api.demo.hello({ name: 5 }));
  same([error.code, error.status, error.method], [1019, 422, "demo.hello"]);
  same((error.details as { path: string }[]).map(({ path }) => path), ["/name", "/n"]);
  same(typeof error.requestId, "string");
  const own = await fails(api.demo.wait({ seconds: -1 }));
  same([own.code, own.message], [2000, "seconds must be 0 to 3000"]);
  const taken = await fails(connect({ url }).account.create({ user_id: user, password: "x" }));
  same([taken.code, taken.status, taken.retryAfter], [1006, 409, undefined]);
  steps.push("typed errors");

  const tampering = connect({
    url,
    session: api.$connection.session,
    fetch: async (...request) => {
      const response = await fetch(...request);
      return new Response((await response.text()).replace('"count":', '"count":1'), response);
    },
  });
  same((await fails(tampering.demo.counter())).code, 1009);
  const unsigned = connect({
    url,
    session: api.$connection.session,
    fetch: async (...request) => new Response(await (await fetch(...request)).text(), { headers: { "content-type": "application/json" } }),
  });
  same((await fails(unsigned.demo.counter())).code, 1009);
  steps.push("a tampered answer is refused, and one without a signature");

  let refusals = 0;
  const busy = connect({
    url,
    retries: 2,
    fetch: async (...request) => {
      refusals += 1;
      const body = JSON.stringify({ error: { value: "Too many requests", code: 1013 } });
      return refusals <= 2 ? new Response(body, { status: 429, headers: { "retry-after": "0" } }) : fetch(...request);
    },
  });
  same(await busy.demo.hello({ name: "x", n: 1 }), { greeting: "hello x", n: 2 });
  refusals = 0;
  const refused = await fails(busy.demo.hello({ name: "x", n: 1 }, { retries: 1 }));
  same([refused.code, refused.retryAfter, refusals], [1013, 0, 2]);
  steps.push("a refused call is repeated, as often as configured");

  const pieces: string[] = [];
  for await (const piece of api.demo.countdown({ from: 2 })) pieces.push(piece);
  same(pieces.join(""), "2\n1\n");
  for await (const piece of api.demo.countdown({ from: 600 })) {
    same(piece, "600\n");
    break;
  }
  const stop = new AbortController();
  const stopped = (async () => {
    for await (const piece of api.demo.countdown({ from: 600 }, { signal: stop.signal })) if (piece) stop.abort();
  })();
  same(await stopped.then(() => "ended", (error: Error) => error.name), "AbortError");
  // @ts-expect-error: a number is expected
  same((await fails(api.demo.countdown({ from: "x" }).next())).code, 1019);
  steps.push("a stream, to its end, left early and aborted");

  const waiting = api.demo.wait({ seconds: 600 }, { signal: AbortSignal.timeout(50) });
  same(await waiting.then(() => "ended", (error: Error) => error.name), "TimeoutError");
  steps.push("a call is aborted");

  same(await again.account.logout(), { logged_out: true });
  same(again.$connection.session, null);
  same((await fails(api.demo.counter())).code, 1007);
  same(sessions, [sessions[0], null]);
  await api.account.login({ user_id: user, password: "correct horse" });
  same(await api.demo.counter(), { count: 1 });
  steps.push("a session that has ended is forgotten, and a login opens another");
  return steps;
}
