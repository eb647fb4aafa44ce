"""Every fake host, by the name of what it speaks."""

from tests.matrix.upstreams.anthropic import AnthropicHost
from tests.matrix.upstreams.bedrock import BedrockHost
from tests.matrix.upstreams.cohere import CohereHost
from tests.matrix.upstreams.gemini import GeminiHost, VertexHost
from tests.matrix.upstreams.ollama import OllamaHost
from tests.matrix.upstreams.openai import AzureHost, LlamaHost, OpenAIHost
from tests.matrix.upstreams.responses import ResponsesHost
from tests.matrix.upstreams.server import Host

HOSTS: dict[str, type[Host]] = {
    kind.name: kind
    for kind in (
        *(OpenAIHost, ResponsesHost, AnthropicHost, GeminiHost, VertexHost, BedrockHost, AzureHost, CohereHost),
        *(OllamaHost, LlamaHost),
    )
}
