"""Models that run in this process. Each is a `tollhouse.types.wire.Connector` that speaks OpenAI's wire format."""
