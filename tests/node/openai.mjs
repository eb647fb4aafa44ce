// OpenAI's Node SDK against a running gateway: does what an application does, and prints what came of it as one JSON
// object. tests/e2e/test_sdk_node.py gives OPENAI_BASE_URL and OPENAI_API_KEY and judges the results.
import OpenAI from "openai";

const { HELLO, TOOLS, ADVICE, PARTS, BOTH } = JSON.parse(process.env.ASKING);
const client = new OpenAI({ maxRetries: 0, timeout: 20_000 });
const SIM = "tollhouse/sim";
const results = {};

/** Runs one use and keeps its result, or what the SDK threw. */
async function use(name, run) {
  try {
    results[name] = await run();
  } catch (error) {
    const { status, code, param, type, message, requestID } = error;
    const retryAfter = error.headers?.get?.("retry-after");
    results[name] = { thrown: error.constructor.name, status, code, param, type, message, requestID, retryAfter };
  }
}

async function gather(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

const ask = (more = {}, options) => client.chat.completions.create({ model: SIM, messages: HELLO, ...more }, options);

for (const model of [SIM, "tollhouse/tiny"]) {
  await use(`create ${model}`, () => ask({ model, max_completion_tokens: 12 }));
  await use(`stream ${model}`, async () => gather(await ask({ model, max_tokens: 12, stream: true })));
  await use(`usage ${model}`, async () =>
    gather(await ask({ model, max_tokens: 12, stream: true, stream_options: { include_usage: true } })));
  await use(`schema ${model}`, async () => JSON.parse((await ask({ model, response_format: ADVICE })).choices[0].message.content));
  await use(`parse ${model}`, async () =>
    (await client.chat.completions.parse({ model, messages: HELLO, response_format: ADVICE })).choices[0].message);
  await use(`forced ${model}`, () =>
    ask({ model, tools: TOOLS, tool_choice: { type: "function", function: { name: "get_time" } } }));
  await use(`logprobs ${model}`, () => ask({ model, max_tokens: 3, logprobs: true, top_logprobs: 2 }));
  await use(`choices ${model}`, () => ask({ model, max_tokens: 3, n: 3 }));
  await use(`stop ${model}`, () => ask({ model, max_tokens: 30, stop: " " }));
}

await use("json_object", async () =>
  JSON.parse((await ask({ messages: [{ role: "user", content: "JSON, please" }], response_format: { type: "json_object" } })).choices[0].message.content));
await use("parallel", () => ask({ messages: BOTH, tools: TOOLS, tool_choice: "required" }));
await use("parallel streamed", async () => {
  const stream = client.chat.completions.stream({ model: SIM, messages: BOTH, tools: TOOLS, tool_choice: "required" });
  return (await stream.finalChatCompletion()).choices[0];
});
await use("runTools", async () => {
  const heard = [];
  const tools = TOOLS.map((tool) => ({
    ...tool,
    function: { ...tool.function, parse: JSON.parse, function: (given) => (heard.push(given), "done") },
  }));
  const runner = client.chat.completions.runTools({ model: SIM, messages: BOTH, tools });
  return { text: await runner.finalContent(), heard };
});
await use("parts", () => ask({ messages: [{ role: "user", content: PARTS }] }));
await use("seed", async () => {
  const said = async (seed) => (await ask({ seed })).choices[0].message.content;
  return [await said(7), await said(7)];
});
await use("stream helper", async () => {
  let text = "";
  const stream = client.chat.completions.stream({ model: SIM, messages: HELLO });
  stream.on("content", (delta) => (text += delta));
  return { text, final: await stream.finalContent(), heard: text };
});
await use("break", async () => {
  const stream = await ask({ stream: true, tollhouse_sim: { tokens: 50_000, tps: 100 } }, { headers: { "x-request-id": "node-left" } });
  for await (const chunk of stream) return chunk.object;
});
await use("abort", () => ask({ tollhouse_sim: { ttft_ms: 10_000 } }, { signal: AbortSignal.timeout(100) }));
await use("timeout", () => ask({ tollhouse_sim: { ttft_ms: 10_000 } }, { timeout: 150 }));

// Failures.
await use("wrong key", () => new OpenAI({ apiKey: "sk-wrong-CANARY", maxRetries: 2 }).models.list());
await use("x-api-key", async () => {
  const keyed = new OpenAI({ apiKey: "unused", defaultHeaders: { authorization: null, "x-api-key": process.env.OPENAI_API_KEY } });
  return (await keyed.chat.completions.create({ model: SIM, messages: HELLO, max_tokens: 2 })).object;
});
await use("no model", () => ask({ model: "gpt-99" }));
await use("bad param", () => ask({ temperature: 9 }));
await use("429", () => ask({ tollhouse_sim: { error: 429, retry_after: 7 } }));
await use("500", () => ask({ tollhouse_sim: { error: 500 } }));
await use("cut", async () => gather(await ask({ stream: true, tollhouse_sim: { cut_after: 3, tokens: 50 } })));
await use("models", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  return { ids, one: await client.models.retrieve("tollhouse/sim") };
});
await use("raw", async () => {
  const { data, response, request_id } = await ask({ max_tokens: 2 }).withResponse();
  return { model: data.model, target: response.headers.get("x-tollhouse-target"), request_id };
});

// In front of an upstream that plays what the test says: 429, then an answer; 500 at each of two targets; a reset.
const patient = new OpenAI({ maxRetries: 2 });
await use("retried", async () =>
  (await patient.chat.completions.create({ model: "fast-chat", messages: HELLO })).choices[0].message.content);
await use("not retried", () => patient.chat.completions.create({ model: "pair", messages: HELLO }));
await use("reset", async () => gather(await ask({ model: "fast-chat", stream: true })));

process.stdout.write(JSON.stringify(results));
