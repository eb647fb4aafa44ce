"""OpenAI's Responses API as an upstream's dialect: `encode` writes requests, `decode` and `events` read answers."""
