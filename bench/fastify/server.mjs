// demo.hello in an envelope or at its URL, with Fastify. The only argument is the port.
import Fastify from "fastify";

const params = {
  type: "object",
  required: ["name", "n"],
  properties: { name: { type: "string" }, n: { type: "integer" } },
};
const envelope = {
  type: "object",
  required: ["method", "parameters"],
  properties: { method: { type: "string" }, parameters: params },
};
const reply = {
  type: "object",
  properties: {
    result: { type: "object", properties: { greeting: { type: "string" }, n: { type: "integer" } } },
  },
};

const hello = ({ name, n }) => ({ result: { greeting: `hello ${name}`, n: n + 1 } });

// The schemas make Fastify validate parameters and serialise answers with generated code, as its documentation recommends.
const app = Fastify({ logger: false });
app.post("/", { schema: { body: envelope, response: { 200: reply } } }, async (request, response) => {
  const { method, parameters } = request.body;
  return method === "demo.hello" ? hello(parameters) : response.code(400).send();
});
app.post("/demo/hello", { schema: { body: params, response: { 200: reply } } }, async (request) => hello(request.body));
await app.listen({ host: "127.0.0.1", port: Number(process.argv[2]) });
