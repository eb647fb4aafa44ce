// An answer that fits a JSON Schema, shown as it is written.
// Reads OPENAI_BASE_URL and OPENAI_API_KEY. A grammar holds even the small model that ships with Tollhouse to the schema.
import OpenAI from "openai";

const schema = {
  type: "object",
  properties: {
    mood: { enum: ["good", "bad"] },
    score: { type: "integer", minimum: 0, maximum: 10 },
    urgent: { type: "boolean" },
  },
  required: ["mood", "score", "urgent"],
  additionalProperties: false,
};

const client = new OpenAI();
const stream = await client.chat.completions.create({
  model: "tollhouse/tiny",
  stream: true,
  messages: [{ role: "user", content: "Thank you, this was a great help!" }],
  response_format: { type: "json_schema", json_schema: { name: "review", strict: true, schema } },
});

let text = "";
for await (const chunk of stream) {
  const piece = chunk.choices[0].delta.content ?? "";
  process.stdout.write(piece);
  text += piece;
}
const { mood, score, urgent } = JSON.parse(text);
console.log(`\nmood ${mood}, score ${score}, ${urgent ? "urgent" : "not urgent"}`);
