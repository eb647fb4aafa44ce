// Compiled, never run: the types of sdk/js as an application uses them, with OpenAI's own.
import OpenAI from "openai";
import {
  Collector,
  ErrorId,
  SafetyTemplates,
  checkByChat,
  checkText,
  collect,
  errorId,
  evaluate,
  getFilteredCategories,
  isContentFilter,
  parseFilterResults,
  requestId,
  retryAfterS,
  wasFiltered,
  type Check,
  type Evaluation,
  type FilterResults,
  type SafetyTemplate,
} from "tollhouse-client";

declare const client: OpenAI;

export async function use(): Promise<string | null> {
  const completion = await client.chat.completions.create({ model: "m", messages: [] });
  const filtered: boolean = wasFiltered(completion);
  const found: FilterResults = parseFilterResults(completion);
  const severity: string | undefined = found.choice["hate"]?.severity;
  const held: Evaluation = evaluate(completion, SafetyTemplates.CHILD_SAFE);
  const own: SafetyTemplate = { id: "own", severityThreshold: "medium", categories: ["hate"] };
  const stream = await client.chat.completions.create({ model: "m", messages: [], stream: true });
  const collected = await collect(stream);
  const said: string | null | undefined = collected.choices[0]?.message.content;
  new Collector().add(completion);
  const check: Check = await checkText(client, "text", { template: own });
  await checkByChat(client, "text", { model: "m" });
  const names: string[] = [...getFilteredCategories(completion), ...held.failedCategories, ...check.failedCategories];
  // @ts-expect-error: a template's threshold is one of four words
  evaluate(completion, { id: "x", severityThreshold: "worst" });
  // @ts-expect-error: a model must be named
  await checkByChat(client, "text", {});
  return filtered ? `${severity} ${said} ${names.join()}` : null;
}

export function failed(error: unknown): number | null {
  const id: ErrorId | null = errorId(error);
  switch (id) {
    case ErrorId.RATE_LIMIT_EXCEEDED:
      return retryAfterS(error);
    case "CONTENT_POLICY_VIOLATION":
      return isContentFilter(error) ? 0 : 1;
    // @ts-expect-error: no such name
    case "NO_SUCH_ERROR":
      return requestId(error)?.length ?? 0;
    default:
      return null;
  }
}
