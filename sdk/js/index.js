// For applications that talk to Tollhouse: what was filtered, what went wrong, and how long to wait.
//
// It takes answers of OpenAI's SDK and plain JSON alike, needs nothing, and nothing that is handed to a function that
// reads makes it throw. `tollhouse.client` is the same for Python; tests/client/cases.json holds both to the same.

const SEVERITIES = Object.freeze(["safe", "low", "medium", "high"]);
const LOCAL = "tollhouse/safety";
const CHAT_TOKENS = 16;

/** The five ready rules that an answer can be held against. */
export const SafetyTemplates = deepFreeze({
  STRICT: { id: "strict", severityThreshold: "safe", failOnFiltered: true },
  MODERATE: { id: "moderate", severityThreshold: "medium", failOnFiltered: true },
  MINIMAL: { id: "minimal", severityThreshold: "high", failOnFiltered: false },
  CHILD_SAFE: {
    id: "child_safe",
    severityThreshold: "low",
    failOnFiltered: true,
    categories: ["sexual", "violence", "self_harm", "hate"],
  },
  ENTERPRISE: { id: "enterprise", severityThreshold: "safe", failOnFiltered: true, categories: "all" },
});

/** Names of errors, for ever the same. */
export const ErrorId = Object.freeze(
  Object.fromEntries(
    [
      // What Tollhouse sends.
      "ACCOUNT_SUSPENDED",
      "CONFLICT",
      "CONTENT_POLICY_VIOLATION",
      "ENDPOINT_NOT_FOUND",
      "FORBIDDEN",
      "HEADERS_TOO_LARGE",
      "IDEMPOTENCY_CONFLICT",
      "IDEMPOTENCY_KEY_REUSED",
      "INSUFFICIENT_CREDITS",
      "INTERNAL_ERROR",
      "INVALID_REQUEST",
      "INVALID_SIGNATURE",
      "JSON_INCOMPLETE",
      "MAX_COST_EXCEEDED",
      "METHOD_NOT_ALLOWED",
      "MODEL_NOT_FOUND",
      "MODEL_UNPRICED",
      "NOT_FOUND",
      "RATE_LIMIT_EXCEEDED",
      "REQUEST_TIMEOUT",
      "REQUEST_TOO_LARGE",
      "SAFETY_UNAVAILABLE",
      "SERVER_DRAINING",
      "SERVICE_UNAVAILABLE",
      "STORAGE_UNAVAILABLE",
      "UNAUTHORIZED",
      "UNSUPPORTED_MEDIA_TYPE",
      "UNSUPPORTED_PARAMETER",
      "UPSTREAM_AUTH",
      "UPSTREAM_BAD_JSON",
      "UPSTREAM_BAD_RESPONSE",
      "UPSTREAM_DNS",
      "UPSTREAM_ERROR",
      "UPSTREAM_INTERRUPTED",
      "UPSTREAM_MODEL_MISSING",
      "UPSTREAM_PROTOCOL",
      "UPSTREAM_QUOTA",
      "UPSTREAM_RATE_LIMITED",
      "UPSTREAM_REDIRECT",
      "UPSTREAM_REJECTED",
      "UPSTREAM_STALLED",
      "UPSTREAM_TIMEOUT",
      "UPSTREAM_TLS",
      "UPSTREAM_TOO_LARGE",
      "UPSTREAM_UNAVAILABLE",
      "UPSTREAM_UNREACHABLE",
      // What other servers with this member send.
      "INFERENCE_ERROR",
      "INFERENCE_RATE_LIMITED",
      "INFERENCE_TIMEOUT",
      "INVALID_INPUT",
      "INVALID_PARAMETER",
      "PAYMENT_REQUIRED",
      "RATE_LIMITED",
      "SECURITY_VIOLATION",
      // What SDKs say where no server did.
      "ABORTED",
      "API_ERROR",
      "HTTP_ERROR",
      "INVALID_JSON",
      "NETWORK_ERROR",
      "PREDICTION_FAILED",
      "SDK_ERROR",
      "SERVER_ERROR",
      "UNKNOWN_ERROR",
      "WAIT_TIMEOUT",
      "WEBHOOK_SIGNATURE_INVALID",
    ].map((name) => [name, name]),
  ),
);

/** Exceptions for which no server has spoken, by the names of their classes, or by their own `name`. */
const CLASSES = new Map([
  ["ContentFilterFinishReasonError", ErrorId.CONTENT_POLICY_VIOLATION],
  ["APIConnectionTimeoutError", ErrorId.REQUEST_TIMEOUT],
  ["APIUserAbortError", ErrorId.ABORTED],
  ["APIConnectionError", ErrorId.NETWORK_ERROR],
  ["InvalidWebhookSignatureError", ErrorId.WEBHOOK_SIGNATURE_INVALID],
  ["TimeoutError", ErrorId.REQUEST_TIMEOUT],
  ["AbortError", ErrorId.ABORTED],
]);

/** What the categories of the moderations endpoint begin with, and which of ours each belongs to. */
const KINDS = [
  ["self-harm", "self_harm"],
  ["hate", "hate"],
  ["harassment", "hate"],
  ["sexual", "sexual"],
  ["violence", "violence"],
  ["illicit", "illicit"],
];

// --- reading -------------------------------------------------------------------------------------------------------

const isObject = (value) => typeof value === "object" && value !== null;
const member = (value, name) => (isObject(value) ? value[name] : undefined);
const items = (value) => (Array.isArray(value) ? value : []);
const text = (value) => (typeof value === "string" && value !== "" ? value : undefined);
const whole = (value, otherwise) => (Number.isInteger(value) ? value : otherwise);
const entries = (value) => (isObject(value) && !Array.isArray(value) ? Object.entries(value) : []);
const level = (severity) => Math.max(0, SEVERITIES.indexOf(severity));
const anyFiltered = (results) => Object.values(results).some((one) => one.filtered);

function deepFreeze(value) {
  for (const inner of Object.values(value)) if (typeof inner === "object") deepFreeze(inner);
  return Object.freeze(value);
}

/** An object for names that come from outside: `__proto__` is a name like any other in it. */
function table(pairs = []) {
  const made = Object.create(null);
  for (const [name, value] of pairs) made[name] = value;
  return made;
}

// --- what was filtered -----------------------------------------------------------------------------------------------

/** Whether anything of the prompt or of the answer was held back. */
export function wasFiltered(answer) {
  return parseFilterResults(answer).anyFiltered;
}

/** The categories that were filtered, each once, those of choices first. */
export function getFilteredCategories(answer) {
  const names = every(find(answer)).flatMap((results) => Object.keys(results).filter((name) => results[name].filtered));
  return [...new Set(names)];
}

/** Everything that an answer says of its safety: `{choice, prompt, anyFiltered}`. */
export function parseFilterResults(answer) {
  return summary(find(answer));
}

/** How an answer stands against a template: every choice and every prompt by itself. */
export function evaluate(answer, template = SafetyTemplates.STRICT) {
  const found = find(answer);
  const named = Array.isArray(template.categories) ? template.categories : null;
  const failed = new Set();
  const detected = new Set();
  for (const results of every(found)) {
    for (const [name, one] of Object.entries(results)) {
      if (named !== null && !named.includes(name)) continue;
      if (fails(one, template)) failed.add(name);
      if (one.detected && !one.filtered) detected.add(name);
    }
  }
  const unexplained = found.withheld && !every(found).some(anyFiltered);
  return {
    passed: failed.size === 0 && !unexplained,
    failedCategories: [...failed],
    detectedCategories: [...detected],
    template: template.id,
    details: summary(found),
  };
}

function fails(result, template) {
  const severity = level(result.severity);
  const bySeverity = template.failOnFiltered !== false;
  return result.filtered || (bySeverity && severity > 0 && severity >= level(template.severityThreshold));
}

function summary(found) {
  const choice = table();
  for (const results of found.choices) {
    for (const [name, one] of Object.entries(results)) if (one.filtered || !(name in choice)) choice[name] = one;
  }
  return { choice: { ...choice }, prompt: found.prompts, anyFiltered: found.withheld || every(found).some(anyFiltered) };
}

const every = (found) => [...found.choices, ...found.prompts.map((prompt) => prompt.results)];

function find(answer) {
  const found = { choices: [], prompts: [], withheld: false };
  if (!Array.isArray(answer)) {
    read(answer, found);
    return found;
  }
  const chunks = answer.filter(isChunk);
  if (chunks.length > 0) read(gather(chunks), found);
  for (const part of answer) if (!isChunk(part)) read(part, found);
  return found;
}

/** Takes in one answer, choice, or error. */
function read(answer, found) {
  for (const holder of [answer, ...items(member(answer, "choices"))]) {
    const results = readResults(member(holder, "content_filter_results"));
    if (Object.keys(results).length > 0) found.choices.push(results);
    found.withheld ||= member(holder, "finish_reason") === "content_filter";
  }
  for (const name of ["prompt_filter_results", "prompt_annotations"]) {
    items(member(answer, name)).forEach((prompt, at) => {
      found.prompts.push(promptOf(whole(member(prompt, "prompt_index"), at), member(prompt, "content_filter_results")));
    });
  }
  items(member(answer, "results")).forEach((judged, at) => readModeration(judged, at, found)); // of /v1/moderations
  for (const one of items(member(answer, "content_filters"))) readResponseFilter(one, found); // of /v1/responses
  if (isContentFilter(answer)) {
    found.withheld = true;
    const inner = member(errorBody(answer), "innererror"); // Azure writes the singular, and documents the plural
    found.prompts.push(promptOf(0, member(inner, "content_filter_result") || member(inner, "content_filter_results")));
  }
}

function readModeration(judged, at, found) {
  found.withheld ||= member(judged, "flagged") === true;
  const prompt = promptOf(at, member(judged, "content_filter_results"));
  found.prompts.push(Object.keys(prompt.results).length > 0 ? prompt : { ...prompt, results: readFlags(judged) });
}

/** What a moderations endpoint says that knows yes and no alone: OpenAI's own. */
function readFlags(judged) {
  const found = table();
  for (const [name, flagged] of entries(member(judged, "categories"))) {
    if (typeof flagged !== "boolean") continue;
    const kind = KINDS.find(([start]) => name.startsWith(start))?.[1] ?? name;
    found[kind] = { filtered: flagged || found[kind]?.filtered === true };
  }
  return { ...found };
}

function readResponseFilter(one, found) {
  found.withheld ||= member(one, "blocked") === true;
  const results = member(one, "content_filter_results");
  if (member(one, "source_type") === "prompt") found.prompts.push(promptOf(found.prompts.length, results));
  else if (Object.keys(readResults(results)).length > 0) found.choices.push(readResults(results));
}

const promptOf = (index, results) => ({ prompt_index: index, results: readResults(results) });

/** The categories of one object. Whatever has no boolean `filtered` is none: Azure puts an `error` there too. */
function readResults(value) {
  const found = table();
  for (const [name, one] of entries(value)) {
    const { filtered, severity, detected } = isObject(one) ? one : {};
    if (typeof filtered !== "boolean") continue;
    found[name] = { filtered };
    if (text(severity) !== undefined) found[name].severity = severity;
    if (typeof detected === "boolean") found[name].detected = detected;
  }
  return { ...found };
}

// --- streams -------------------------------------------------------------------------------------------------------

const ROOT = ["id", "created", "model", "service_tier", "system_fingerprint", "usage", "error"];
const TEXTS = ["content", "refusal", "reasoning_content", "reasoning"];

function isChunk(value) {
  if (member(value, "object") === "chat.completion.chunk") return true;
  return items(member(value, "choices")).some((choice) => (member(choice, "delta") ?? null) !== null);
}

/** The completion that chunks add up to. Takes a stream of OpenAI's SDK, or any iterable of chunks. */
export async function collect(chunks) {
  const collector = new Collector();
  for await (const chunk of chunks) collector.add(chunk);
  return collector.completion();
}

function gather(chunks) {
  const collector = new Collector();
  for (const chunk of chunks) collector.add(chunk);
  return collector.completion();
}

/** A stream, as far as it has come. */
export class Collector {
  #root = {};
  #prompts = [];
  #choices = new Map();

  /** Takes in one chunk. What is none changes nothing. */
  add(chunk) {
    for (const name of ROOT) {
      const value = member(chunk, name);
      if (value) this.#root[name] = value;
    }
    for (const prompt of items(member(chunk, "prompt_filter_results"))) this.#prompts.push(prompt);
    for (const piece of items(member(chunk, "choices"))) {
      if (!isObject(piece) || Array.isArray(piece)) continue;
      const index = whole(piece.index, 0);
      if (!this.#choices.has(index)) this.#choices.set(index, { texts: {}, calls: new Map(), reason: null, filters: table() });
      addPiece(this.#choices.get(index), piece);
    }
  }

  /** The completion so far. Of the results of one category in one choice, the worst. */
  completion() {
    const choices = [...this.#choices.entries()].sort(([one], [other]) => one - other).map(wholeChoice);
    const made = { object: "chat.completion", ...this.#root, choices };
    return this.#prompts.length > 0 ? { ...made, prompt_filter_results: [...this.#prompts] } : made;
  }
}

function addPiece(choice, piece) {
  const delta = member(piece, "delta");
  for (const name of TEXTS) {
    const part = text(member(delta, name));
    if (part !== undefined) (choice.texts[name] ??= []).push(part);
  }
  items(member(delta, "tool_calls")).forEach((call, at) => {
    const index = whole(member(call, "index"), at);
    if (!choice.calls.has(index)) choice.calls.set(index, { id: null, name: [], arguments: [] });
    const held = choice.calls.get(index);
    held.id ??= text(member(call, "id")) ?? null;
    for (const name of ["name", "arguments"]) held[name].push(text(member(member(call, "function"), name)) ?? "");
  });
  choice.reason = text(piece.finish_reason) ?? choice.reason;
  choice.offsets = piece.content_filter_offsets || choice.offsets;
  for (const [name, found] of entries(piece.content_filter_results)) {
    if (!(name in choice.filters) || weight(found) >= weight(choice.filters[name])) choice.filters[name] = found;
  }
}

function wholeChoice([index, held]) {
  const message = { role: "assistant", content: null, refusal: null };
  for (const [name, parts] of Object.entries(held.texts)) message[name] = parts.join("");
  if (held.calls.size > 0) {
    message.tool_calls = [...held.calls.values()].map((call) => ({
      id: call.id,
      type: "function",
      function: { name: call.name.join(""), arguments: call.arguments.join("") },
    }));
  }
  const choice = { index, message, finish_reason: held.reason };
  if (Object.keys(held.filters).length > 0) choice.content_filter_results = { ...held.filters };
  if (held.offsets) choice.content_filter_offsets = held.offsets;
  return choice;
}

/** How bad a result is: filtered, then by severity, then detected. */
function weight(found) {
  const detected = member(found, "detected") === true ? 1 : 0;
  return (member(found, "filtered") === true ? 8 : 0) + 2 * level(member(found, "severity")) + detected;
}

// --- errors ----------------------------------------------------------------------------------------------------------

/** The object with `message`, `code` and `error_id`: of an SDK's exception, of a whole body, or of its `error`. */
function errorBody(failure) {
  const body = member(failure, "body");
  return [member(failure, "error"), member(body, "error"), body, failure].find(
    (found) =>
      !(found instanceof Error) &&
      ["message", "code", "error_id"].some((name) => (member(found, name) ?? null) !== null),
  );
}

/**
 * The name of what went wrong: of an exception, or of an error's JSON. `UNKNOWN_ERROR` is a name that this version does
 * not know; null, that none is given.
 */
export function errorId(failure) {
  const body = errorBody(failure);
  const details = items(member(body, "details")).map((one) => member(member(one, "metadata"), "error_id")); // Google's
  const told = [member(body, "error_id"), ...details].find((one) => text(one) !== undefined);
  if (told !== undefined) return Object.hasOwn(ErrorId, told) ? told : ErrorId.UNKNOWN_ERROR;
  if (!(failure instanceof Error)) return null;
  for (let kind = failure.constructor; typeof kind === "function"; kind = Object.getPrototypeOf(kind)) {
    if (CLASSES.has(kind.name)) return CLASSES.get(kind.name);
  }
  return CLASSES.get(failure.name) ?? null;
}

/** Whether an error says that the prompt, or the answer, was held back for what it is about. */
export function isContentFilter(failure) {
  return member(errorBody(failure), "code") === "content_filter" || errorId(failure) === ErrorId.CONTENT_POLICY_VIOLATION;
}

/** How many seconds the server asks to wait; null where it does not say, or says it as a date. */
export function retryAfterS(failure) {
  for (const [name, perSecond] of [["retry-after-ms", 1000], ["retry-after", 1]]) {
    const given = header(failure, name)?.trim();
    const seconds = given ? Number(given) / perSecond : Number.NaN;
    if (Number.isFinite(seconds) && seconds >= 0) return seconds;
  }
  return null;
}

/** The id under which the gateway knows a request: of an exception, an error's JSON, or an answer of OpenAI's SDK. */
export function requestId(subject) {
  const own = ["requestID", "request_id", "_request_id"].map((name) => member(subject, name));
  const told = [member(errorBody(subject), "request_id"), ...own, header(subject, "x-request-id")];
  return told.find((one) => text(one) !== undefined) ?? null;
}

function header(subject, name) {
  const headers = member(member(subject, "response") ?? subject, "headers");
  return text(typeof headers?.get === "function" ? headers.get(name) : member(headers, name));
}

// --- checks ------------------------------------------------------------------------------------------------------------

/** Asks the moderations endpoint about a text, with a client of OpenAI's SDK. Rejects as the SDK does. */
export async function checkText(client, content, { model = LOCAL, template } = {}) {
  return check(await client.moderations.create({ model, input: content }), template);
}

/**
 * Sends a text to a model, for at most 16 tokens, and reads what the gateway and the host say of both sides. A prompt
 * that is blocked is a result, not an error. Rejects with what else the SDK does.
 */
export async function checkByChat(client, content, { model, template } = {}) {
  const question = { model, messages: [{ role: "user", content }], max_tokens: CHAT_TOKENS };
  try {
    return check(await client.chat.completions.create(question), template);
  } catch (error) {
    if (!isContentFilter(error)) throw error;
    return check(error, template);
  }
}

function check(answer, template) {
  const results = parseFilterResults(answer);
  if (template === undefined) {
    return { passed: !results.anyFiltered, failedCategories: getFilteredCategories(answer), results };
  }
  const evaluation = evaluate(answer, template);
  return { passed: evaluation.passed, failedCategories: evaluation.failedCategories, results, evaluation };
}
