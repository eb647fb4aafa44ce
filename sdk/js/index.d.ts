// Types of index.js: what each function takes and gives. Nothing that reads throws, whatever it is given.

export type Severity = "safe" | "low" | "medium" | "high";

/** What was found of one category: it has a severity or is detected, not both. */
export interface CategoryResult {
  /** Whether it was, or would have been, held back for this. */
  filtered: boolean;
  severity?: Severity | (string & {});
  detected?: boolean;
}

/** By the name of the category: `hate`, `self_harm`, `sexual`, `violence`, `jailbreak` and others. */
export type Results = Record<string, CategoryResult>;

export interface PromptResults {
  prompt_index: number;
  results: Results;
}

export interface FilterResults {
  /** Of several choices the first; a later one takes its place where it was filtered. */
  choice: Results;
  prompt: PromptResults[];
  /** Also where an answer was held back and nobody says for what. */
  anyFiltered: boolean;
}

/** One rule: a category fails where it was filtered, or where its severity is above `safe` and at least the threshold. */
export interface SafetyTemplate {
  readonly id: string;
  /** `safe` where it is left out. */
  readonly severityThreshold?: Severity;
  /** Whether severity counts at all; true where it is left out. Without it only what was filtered fails. */
  readonly failOnFiltered?: boolean;
  /** The only categories that are looked at; all where it is left out. */
  readonly categories?: readonly string[] | "all";
}

export declare const SafetyTemplates: {
  readonly STRICT: SafetyTemplate;
  readonly MODERATE: SafetyTemplate;
  readonly MINIMAL: SafetyTemplate;
  readonly CHILD_SAFE: SafetyTemplate;
  readonly ENTERPRISE: SafetyTemplate;
};

export interface Evaluation {
  passed: boolean;
  /** Each once. Empty though it failed, where an answer was held back and nobody says for what. */
  failedCategories: string[];
  /** Detected but not filtered. They have no severity, so no template fails them: the caller may. */
  detectedCategories: string[];
  template: string;
  details: FilterResults;
}

/** Whether anything of the prompt or of the answer was held back. */
export declare function wasFiltered(answer: unknown): boolean;

/** The categories that were filtered, each once, those of choices first. */
export declare function getFilteredCategories(answer: unknown): string[];

/** Everything that an answer says of its safety. */
export declare function parseFilterResults(answer: unknown): FilterResults;

/** How an answer stands against a template (`STRICT`): every choice and every prompt by itself. */
export declare function evaluate(answer: unknown, template?: SafetyTemplate): Evaluation;

/** A completion as chunks add up to it. */
export interface Collected {
  object: "chat.completion";
  id?: string;
  created?: number;
  model?: string;
  choices: CollectedChoice[];
  prompt_filter_results?: unknown[];
  usage?: unknown;
  /** What a stream that broke off said. */
  error?: unknown;
  service_tier?: unknown;
  system_fingerprint?: unknown;
}

export interface CollectedChoice {
  index: number;
  message: {
    role: "assistant";
    content: string | null;
    refusal: string | null;
    reasoning?: string;
    reasoning_content?: string;
    tool_calls?: { id: string | null; type: "function"; function: { name: string; arguments: string } }[];
  };
  finish_reason: string | null;
  content_filter_results?: Record<string, unknown>;
  content_filter_offsets?: unknown;
}

/** The completion that chunks add up to. Rejects only with what iterating over them does. */
export declare function collect(chunks: AsyncIterable<unknown> | Iterable<unknown>): Promise<Collected>;

/** A stream, as far as it has come. */
export declare class Collector {
  /** Takes in one chunk. What is none changes nothing. */
  add(chunk: unknown): void;
  /** The completion so far. Of the results of one category in one choice, the worst. */
  completion(): Collected;
}

/** Names of errors, for ever the same; each equals its own text. */
export declare const ErrorId: {
  readonly ACCOUNT_SUSPENDED: "ACCOUNT_SUSPENDED";
  readonly CONFLICT: "CONFLICT";
  readonly CONTENT_POLICY_VIOLATION: "CONTENT_POLICY_VIOLATION";
  readonly ENDPOINT_NOT_FOUND: "ENDPOINT_NOT_FOUND";
  readonly FORBIDDEN: "FORBIDDEN";
  readonly HEADERS_TOO_LARGE: "HEADERS_TOO_LARGE";
  readonly IDEMPOTENCY_CONFLICT: "IDEMPOTENCY_CONFLICT";
  readonly IDEMPOTENCY_KEY_REUSED: "IDEMPOTENCY_KEY_REUSED";
  readonly INSUFFICIENT_CREDITS: "INSUFFICIENT_CREDITS";
  readonly INTERNAL_ERROR: "INTERNAL_ERROR";
  readonly INVALID_REQUEST: "INVALID_REQUEST";
  readonly INVALID_SIGNATURE: "INVALID_SIGNATURE";
  readonly JSON_INCOMPLETE: "JSON_INCOMPLETE";
  readonly MAX_COST_EXCEEDED: "MAX_COST_EXCEEDED";
  readonly METHOD_NOT_ALLOWED: "METHOD_NOT_ALLOWED";
  readonly MODEL_NOT_FOUND: "MODEL_NOT_FOUND";
  readonly MODEL_UNPRICED: "MODEL_UNPRICED";
  readonly NOT_FOUND: "NOT_FOUND";
  readonly RATE_LIMIT_EXCEEDED: "RATE_LIMIT_EXCEEDED";
  readonly REQUEST_TIMEOUT: "REQUEST_TIMEOUT";
  readonly REQUEST_TOO_LARGE: "REQUEST_TOO_LARGE";
  readonly SAFETY_UNAVAILABLE: "SAFETY_UNAVAILABLE";
  readonly SERVER_DRAINING: "SERVER_DRAINING";
  readonly SERVICE_UNAVAILABLE: "SERVICE_UNAVAILABLE";
  readonly STORAGE_UNAVAILABLE: "STORAGE_UNAVAILABLE";
  readonly UNAUTHORIZED: "UNAUTHORIZED";
  readonly UNSUPPORTED_MEDIA_TYPE: "UNSUPPORTED_MEDIA_TYPE";
  readonly UNSUPPORTED_PARAMETER: "UNSUPPORTED_PARAMETER";
  readonly UPSTREAM_AUTH: "UPSTREAM_AUTH";
  readonly UPSTREAM_BAD_JSON: "UPSTREAM_BAD_JSON";
  readonly UPSTREAM_BAD_RESPONSE: "UPSTREAM_BAD_RESPONSE";
  readonly UPSTREAM_DNS: "UPSTREAM_DNS";
  readonly UPSTREAM_ERROR: "UPSTREAM_ERROR";
  readonly UPSTREAM_INTERRUPTED: "UPSTREAM_INTERRUPTED";
  readonly UPSTREAM_MODEL_MISSING: "UPSTREAM_MODEL_MISSING";
  readonly UPSTREAM_PROTOCOL: "UPSTREAM_PROTOCOL";
  readonly UPSTREAM_QUOTA: "UPSTREAM_QUOTA";
  readonly UPSTREAM_RATE_LIMITED: "UPSTREAM_RATE_LIMITED";
  readonly UPSTREAM_REDIRECT: "UPSTREAM_REDIRECT";
  readonly UPSTREAM_REJECTED: "UPSTREAM_REJECTED";
  readonly UPSTREAM_STALLED: "UPSTREAM_STALLED";
  readonly UPSTREAM_TIMEOUT: "UPSTREAM_TIMEOUT";
  readonly UPSTREAM_TLS: "UPSTREAM_TLS";
  readonly UPSTREAM_TOO_LARGE: "UPSTREAM_TOO_LARGE";
  readonly UPSTREAM_UNAVAILABLE: "UPSTREAM_UNAVAILABLE";
  readonly UPSTREAM_UNREACHABLE: "UPSTREAM_UNREACHABLE";
  readonly INFERENCE_ERROR: "INFERENCE_ERROR";
  readonly INFERENCE_RATE_LIMITED: "INFERENCE_RATE_LIMITED";
  readonly INFERENCE_TIMEOUT: "INFERENCE_TIMEOUT";
  readonly INVALID_INPUT: "INVALID_INPUT";
  readonly INVALID_PARAMETER: "INVALID_PARAMETER";
  readonly PAYMENT_REQUIRED: "PAYMENT_REQUIRED";
  readonly RATE_LIMITED: "RATE_LIMITED";
  readonly SECURITY_VIOLATION: "SECURITY_VIOLATION";
  readonly ABORTED: "ABORTED";
  readonly API_ERROR: "API_ERROR";
  readonly HTTP_ERROR: "HTTP_ERROR";
  readonly INVALID_JSON: "INVALID_JSON";
  readonly NETWORK_ERROR: "NETWORK_ERROR";
  readonly PREDICTION_FAILED: "PREDICTION_FAILED";
  readonly SDK_ERROR: "SDK_ERROR";
  readonly SERVER_ERROR: "SERVER_ERROR";
  readonly UNKNOWN_ERROR: "UNKNOWN_ERROR";
  readonly WAIT_TIMEOUT: "WAIT_TIMEOUT";
  readonly WEBHOOK_SIGNATURE_INVALID: "WEBHOOK_SIGNATURE_INVALID";
};
export type ErrorId = (typeof ErrorId)[keyof typeof ErrorId];

/**
 * The name of what went wrong: of an exception, or of an error's JSON. `UNKNOWN_ERROR` is a name that this version does
 * not know; null, that none is given.
 */
export declare function errorId(failure: unknown): ErrorId | null;

/** Whether an error says that the prompt, or the answer, was held back for what it is about. */
export declare function isContentFilter(failure: unknown): boolean;

/** How many seconds the server asks to wait; null where it does not say, or says it as a date. */
export declare function retryAfterS(failure: unknown): number | null;

/** The id under which the gateway knows a request: of an exception, an error's JSON, or an answer of OpenAI's SDK. */
export declare function requestId(subject: unknown): string | null;

/** A client of OpenAI's SDK, as far as checks need one. */
export interface ModerationsClient {
  moderations: { create(body: { model: string; input: string }): PromiseLike<unknown> };
}

export interface ChatClient {
  chat: {
    completions: {
      create(body: {
        model: string;
        messages: { role: "user"; content: string }[];
        max_tokens: number;
      }): PromiseLike<unknown>;
    };
  };
}

export interface Check {
  /** Whether nothing was filtered; with a template, whether it passes that. */
  passed: boolean;
  failedCategories: string[];
  results: FilterResults;
  /** Against the template, where one was given. */
  evaluation?: Evaluation;
}

/** Asks the moderations endpoint (`tollhouse/safety`) about a text. Rejects as the SDK does. */
export declare function checkText(
  client: ModerationsClient,
  text: string,
  options?: { model?: string; template?: SafetyTemplate },
): Promise<Check>;

/**
 * Sends a text to a model, for at most 16 tokens, and reads what the gateway and the host say of both sides. A prompt
 * that is blocked is a result, not an error. Rejects with what else the SDK does.
 */
export declare function checkByChat(
  client: ChatClient,
  text: string,
  options: { model: string; template?: SafetyTemplate },
): Promise<Check>;
