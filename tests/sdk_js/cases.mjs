// The table of tests/client/cases.json, read by sdk/js. Run by tests/sdk_js/test_sdk_js.py with Node's test runner:
// CASES and SDK are the paths.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const sdk = await import(pathToFileURL(process.env.SDK).href);
const { answers, errors, waits, streams } = JSON.parse(readFileSync(process.env.CASES, "utf8"));
const template = (id) => sdk.SafetyTemplates[id.toUpperCase()];

for (const one of answers) {
  test(`answer: ${one.name}`, () => {
    const found = sdk.parseFilterResults(one.answer);
    assert.deepEqual(sdk.getFilteredCategories(one.answer), one.filtered);
    assert.equal(sdk.wasFiltered(one.answer), one.any);
    assert.equal(found.anyFiltered, one.any);
    if (one.choice) assert.deepEqual(found.choice, one.choice);
    if (one.prompt) assert.deepEqual(found.prompt, one.prompt.map(({ index, results }) => ({ prompt_index: index, results })));
    for (const [id, failed] of Object.entries(one.failed ?? {})) {
      const held = sdk.evaluate(one.answer, template(id));
      assert.deepEqual([...held.failedCategories].sort(), [...failed].sort(), id);
      assert.equal(held.passed, failed.length === 0 && !one.fails, id);
      assert.equal(held.template, id);
    }
    if (one.detected) assert.deepEqual(sdk.evaluate(one.answer).detectedCategories, one.detected);
  });
}

for (const one of errors) {
  test(`error: ${one.name}`, () => {
    assert.equal(sdk.errorId(one.body), one.id);
    assert.equal(sdk.requestId(one.body), one.request);
    assert.equal(sdk.isContentFilter(one.body), false);
  });
}

for (const one of waits) {
  test(`wait: ${JSON.stringify(one.headers)}`, () => {
    assert.equal(sdk.retryAfterS({ headers: one.headers }), one.seconds);
    assert.equal(sdk.retryAfterS({ response: { headers: one.headers } }), one.seconds);
    if (one.headers) assert.equal(sdk.retryAfterS({ headers: new Headers(one.headers) }), one.seconds);
  });
}

for (const one of streams) {
  test(`stream: ${one.name}`, async () => {
    async function* later() {
      for (const chunk of one.chunks) yield chunk;
    }
    assert.deepEqual(await sdk.collect(one.chunks), one.whole);
    assert.deepEqual(await sdk.collect(later()), one.whole);
  });
}

test("names that objects have by birth are names like any other", () => {
  const answer = JSON.parse('{"choices":[{"content_filter_results":{"__proto__":{"filtered":true},"toString":{"filtered":true}}}]}');
  assert.deepEqual(sdk.getFilteredCategories(answer), ["__proto__", "toString"]);
  assert.equal({}.filtered, undefined);
  assert.equal(sdk.errorId({ error: { error_id: "toString" } }), "UNKNOWN_ERROR");
});

test("exceptions for which no server has spoken have a name", () => {
  class APIConnectionError extends Error {}
  class APIConnectionTimeoutError extends APIConnectionError {}
  assert.equal(sdk.errorId(new APIConnectionTimeoutError("m")), "REQUEST_TIMEOUT");
  assert.equal(sdk.errorId(new APIConnectionError("m")), "NETWORK_ERROR");
  assert.equal(sdk.errorId(new DOMException("m", "AbortError")), "ABORTED");
  assert.equal(sdk.errorId(new Error("m")), null);
});

test("templates and names cannot be changed", () => {
  assert.throws(() => (sdk.SafetyTemplates.STRICT.severityThreshold = "high"), TypeError);
  assert.throws(() => sdk.SafetyTemplates.CHILD_SAFE.categories.push("x"), TypeError);
  assert.throws(() => (sdk.ErrorId.FORBIDDEN = "x"), TypeError);
});

test("checks ask once, and a blocked prompt is a result", async () => {
  const asked = [];
  const flagged = { results: [{ flagged: true, content_filter_results: { hate: { filtered: true, severity: "high" } } }] };
  const blocked = Object.assign(new Error("400"), { error: { code: "content_filter", innererror: { content_filter_result: { sexual: { filtered: true } } } } });
  const client = {
    moderations: { create: async (body) => (asked.push(body), flagged) },
    chat: { completions: { create: async (body) => (asked.push(body), Promise.reject(blocked)) } },
  };
  assert.deepEqual((await sdk.checkText(client, "t")).failedCategories, ["hate"]);
  assert.equal((await sdk.checkText(client, "t", { template: sdk.SafetyTemplates.STRICT, model: "m" })).evaluation.template, "strict");
  assert.deepEqual((await sdk.checkByChat(client, "t", { model: "m" })).failedCategories, ["sexual"]);
  const question = { model: "m", messages: [{ role: "user", content: "t" }], max_tokens: 16 };
  assert.deepEqual(asked, [{ model: "tollhouse/safety", input: "t" }, { model: "m", input: "t" }, question]);
  client.chat.completions.create = async () => Promise.reject(new Error("other"));
  await assert.rejects(sdk.checkByChat(client, "t", { model: "m" }), /other/);
});

test("cost is linear", () => {
  const cost = (count) => {
    const chunk = { choices: [{ index: 0, delta: { content: "x".repeat(20) } }] };
    const begun = process.cpuUsage();
    const collector = new sdk.Collector();
    for (let at = 0; at < count; at += 1) collector.add(chunk);
    collector.completion();
    return process.cpuUsage(begun).user;
  };
  cost(10_000);
  assert.ok(cost(100_000) < 40 * Math.max(cost(10_000), 2_000));
});
