"""What `tollhouse/tiny` knows of Tollhouse: topics as in `talk`, short and true. `dialogues` draws from them."""

from talk import Topic, topic

TOLLHOUSE: dict[str, Topic] = {
    "what": topic(
        "What is Tollhouse?|What's Tollhouse?|Tell me about Tollhouse|Explain Tollhouse|What does Tollhouse do?|"
        "Tollhouse?|Describe Tollhouse|What is this Tollhouse thing?|What is Tollhouse for?|Why Tollhouse?|"
        "Why should I use Tollhouse?|Can you explain what Tollhouse is?|What is a gateway like Tollhouse?",
        "Tollhouse is one self-hosted, OpenAI-compatible door to every model. Your program talks to Tollhouse, "
        "and Tollhouse "
        "talks to the providers.",
    ),
    "start": topic(
        "How do I start Tollhouse?|How do I run Tollhouse?|How to start Tollhouse?|How do I launch Tollhouse?|"
        "Start Tollhouse|Which command starts Tollhouse?|How can I run the gateway?|How do I get started?|"
        "How do I start the gateway?|How do I start the server?|Getting started",
        "Run `tollhouse up`. It prints an address, a new key and a curl line that you can try at once.",
    ),
    "connect": topic(
        "How do I connect a provider?|How do I connect a model?|How do I add a provider?|How do I use a real model?|"
        "How do I add OpenAI?|How do I add Anthropic?|How do I use GPT with Tollhouse?|How do I use Claude with "
        "Tollhouse?|"
        "How can I connect a bigger model?|How do I get a better model?|How do I add a model?|Connect a provider|"
        "How do I set up a provider?|How do I use DeepSeek?",
        "Set the provider's key in the environment, for example OPENAI_API_KEY, and start Tollhouse again. It "
        "finds the "
        "provider by itself.",
    ),
    "base_url": topic(
        "What is the base_url?|What is the base URL?|Which base URL do I use?|What base_url should I set?|What "
        "is the "
        "address of the API?|Where is the API?|What URL do I call?|Which URL does the client need?|What is the "
        "endpoint?|"
        "How do I point the OpenAI SDK at Tollhouse?|How do I use the openai client with Tollhouse?|base_url?",
        "Set base_url to the address that Tollhouse printed, with /v1 at the end, and api_key to your Tollhouse key.",
    ),
    "key": topic(
        "How do I get a key?|Where do I get an API key?|How do I make a key?|How do I create a key?|Where is my key?|"
        "What is my API key?|I need a key|How do I mint a key?|How do keys work?|I lost my key|How do I get an "
        "API key?|"
        "How do I revoke a key?|How do I list keys?",
        "`tollhouse keys` makes, lists and revokes keys. A key is shown only once, when it is made.",
    ),
    "header": topic(
        "How do I send the key?|Which header takes the key?|How do I authenticate?|How does authentication work?|"
        "What header do I need?|Where do I put the key?|How do I pass the API key?",
        "Send the key as `Authorization: Bearer YOUR_KEY`, or in the `x-api-key` header.",
    ),
    "curl": topic(
        "Show me a curl example|How do I call it with curl?|Give me a curl command|curl example|An example with "
        "curl, please|"
        "How do I use curl?|Can you show me curl?|curl?|What is the curl line?",
        'curl $URL/v1/chat/completions -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" -d '
        '\'{"model": "tollhouse/tiny", "messages": [{"role": "user", "content": "Hello"}]}\'',
    ),
    "python": topic(
        "Show me a Python example|How do I use it from Python?|Python example|Give me Python code for Tollhouse|"
        "How do I call Tollhouse from Python?|An example in Python, please|Python code to call Tollhouse?",
        'from openai import OpenAI\nclient = OpenAI(base_url=URL + "/v1", api_key=KEY)\nreply = '
        'client.chat.completions.create(model="tollhouse/tiny", messages=[{"role": "user", "content": "Hello"}])',
    ),
    "models": topic(
        "Which models are there?|What models can I use?|How do I list the models?|List the models|Which models "
        "do you have?|"
        "What models are available?|How do I see the models?|Show me the models|Which models does Tollhouse have?",
        "`tollhouse models` lists what can be called, and so does GET /v1/models.",
    ),
    "guide": topic(
        "What is tollhouse/guide?|Where is the documentation?|Where are the docs?|Who answers questions about "
        "Tollhouse?|"
        "What is the guide?|Where can I read more?|Is there documentation?|How do I learn more about Tollhouse?",
        "Ask the model tollhouse/guide: it answers questions about Tollhouse from the documentation and names "
        "its sources.",
    ),
    "sim": topic(
        "What is tollhouse/sim?|How do I test my application?|How can I test without a provider?|What is the sim "
        "model?|"
        "What is the simulated model?|How do I test errors?|How do I simulate an error?|How do I test my app "
        "offline?",
        "tollhouse/sim is a simulated model for tests: it honours every parameter and can play errors and slow "
        "answers.",
    ),
    "gguf": topic(
        "How do I run a GGUF file?|How do I use a local model?|Can I run a local model?|How do I load a GGUF?|"
        "Can Tollhouse run local models?|How do I serve a GGUF file?|Does Tollhouse work with llama.cpp?|"
        "How do I run my own model?|Can I use my own GGUF?",
        'Install it with `pip install "tollhouse[local]"` and run `tollhouse up --gguf FILE`.',
    ),
    "ollama": topic(
        "Does it work with Ollama?|Can I use Ollama?|How do I use Ollama?|Does Tollhouse support vLLM?|Can I use "
        "LM Studio?|"
        "Does Tollhouse find Ollama?|How do I connect Ollama?|How do I connect vLLM?",
        "Yes. Tollhouse looks for local engines such as Ollama, llama.cpp, vLLM and LM Studio when it starts.",
    ),
    "config": topic(
        "How do I configure Tollhouse?|Where is the configuration?|Is there a config file?|How do I make a "
        "config file?|"
        "Where are the settings?|How do I change the settings?|What is the config format?|How do I write a config?",
        "Tollhouse reads one TOML file. `tollhouse init` writes one with comments, and `tollhouse check` finds "
        "mistakes in it.",
    ),
    "doctor": topic(
        "A model does not answer|My model does not answer|Something is broken|Tollhouse does not work|What does "
        "doctor do?|"
        "Why does my model not answer?|How do I find the problem?|What is tollhouse doctor?|The model is not working",
        "Run `tollhouse doctor`: it explains why a model does not answer.",
    ),
    "terminal": topic(
        "How do I chat in the terminal?|Can I chat from the command line?|Is there a command line chat?|"
        "How do I talk to a model in the terminal?|What does tollhouse chat do?|Is there a terminal chat?",
        "Run `tollhouse chat MODEL` to talk to a model in the terminal.",
    ),
    "stream": topic(
        "Does Tollhouse stream?|How do I stream?|Is streaming supported?|How do I get a stream?|Can you stream "
        "answers?|"
        "How do I turn on streaming?|Does it support streaming?",
        'Yes. Put `"stream": true` in the request, and the answer comes piece by piece.',
    ),
    "json": topic(
        "Can I get JSON?|How do I get JSON output?|Is JSON mode supported?|Does it support structured output?|"
        "How do I get structured output?|What is response_format?|How do I use a JSON schema?",
        "Yes. Set `response_format` to a JSON schema, and the answer follows it.",
    ),
    "licence": topic(
        "What is the licence?|What is the license of Tollhouse?|Is Tollhouse free?|Is Tollhouse open source?|"
        "What does Tollhouse cost?|Can I use Tollhouse at work?|Is it free?|Is it open source?|Which licence "
        "does it have?",
        "Tollhouse is free software under the Apache License 2.0.",
    ),
    "language": topic(
        "What is Tollhouse written in?|Which language is Tollhouse written in?|Is Tollhouse written in Python?|"
        "Is Tollhouse fast?|How fast is Tollhouse?|Does Tollhouse need Docker?|Do I need Docker?|Do I need a "
        "database?|"
        "What does Tollhouse need?|Does Tollhouse need a database server?",
        "Tollhouse is written in Python and built for speed. It is one process with one SQLite file: no Docker "
        "and no database "
        "server are needed.",
    ),
    "health": topic(
        "How do I check the health?|Is there a health check?|Where is the health endpoint?|Are there metrics?|"
        "Where are the metrics?|How do I monitor Tollhouse?|Does it have Prometheus metrics?",
        "GET /healthz and /readyz tell how Tollhouse is, and /metrics has figures for Prometheus.",
    ),
    "alias": topic(
        "What is an alias?|How do aliases work?|How do I name a model?|How do I pin a provider?|"
        "Can a model have another name?|What happens when a provider fails?|Is there a fallback?",
        "An alias is a name of your own for one or more models. They are tried in order until one answers. Write "
        "model#provider "
        "to pin one.",
    ),
}

HELD: dict[str, tuple[str, ...]] = {
    "what": ("So what is Tollhouse?", "Please tell me what Tollhouse is"),
    "start": ("How can I start Tollhouse?", "What is the command to start Tollhouse?"),
    "connect": ("How can I connect a provider?", "How do I add a real provider?"),
    "base_url": ("Which base_url should I use?", "What base URL does the SDK need?"),
    "key": ("How can I get a key?", "How do I create an API key?"),
    "curl": ("Please show me a curl example", "Give me an example with curl"),
    "models": ("How can I list the models?", "What models do you have?"),
    "gguf": ("How can I run a GGUF file?", "How do I run a local GGUF model?"),
    "config": ("How can I configure Tollhouse?", "Where is the config file?"),
    "doctor": ("My model is not answering", "Why is my model not answering?"),
    "stream": ("Can I stream answers?", "How do I use streaming?"),
    "licence": ("What licence does Tollhouse have?", "Is Tollhouse free to use?"),
    "sim": ("How can I test my application?", "What is the model tollhouse/sim?"),
}
