// OpenAI's Node SDK through one tool call and its result: what an agent does. tests/matrix/test_node.py gives the
// address, the key, the model and whether to stream, and judges what the host was sent and what is printed here.
import OpenAI from "openai";

const { MODEL, TOOLS, RESULT, STREAMED } = JSON.parse(process.env.ASKING);
const client = new OpenAI({ maxRetries: 0, timeout: 20_000 });
const messages = [{ role: "user", content: "Weather?" }];

/** One answer, put together by the SDK where it is streamed. */
async function answer() {
  const asked = { model: MODEL, messages, tools: TOOLS };
  if (!STREAMED) return client.chat.completions.create(asked);
  return client.chat.completions.stream({ ...asked, stream_options: { include_usage: true } }).finalChatCompletion();
}

/** A message without what the SDK itself adds to a streamed one. */
function plain({ parsed, tool_calls, ...message }) {
  const calls = tool_calls.map(({ index, function: { parsed_arguments, ...named }, ...call }) => ({ ...call, function: named }));
  return { ...message, tool_calls: calls };
}

const first = await answer();
const [call] = first.choices[0].message.tool_calls;
messages.push(plain(first.choices[0].message), { role: "tool", tool_call_id: call.id, content: RESULT });
const second = await answer();
console.log(JSON.stringify({
  reason: first.choices[0].finish_reason,
  usage: first.usage,
  given: JSON.parse(call.function.arguments),
  text: second.choices[0].message.content,
}));
