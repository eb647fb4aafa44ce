"""How an application tests what it does about failures, without a provider that happens to have one.

Reads OPENAI_BASE_URL and OPENAI_API_KEY. ``tollhouse_sim`` tells the simulated model how to misbehave; docs/sim.md has
every knob. Where only the text of a message can be changed, ``[sim: error=429]`` in it does the same.
"""

import openai

client = openai.OpenAI(max_retries=0, timeout=5)


def ask(*, stream: bool = False, **script: object) -> str:
    """One answer of a model that does what the script says."""
    made = client.chat.completions.create(
        model="tollhouse/sim",
        messages=[{"role": "user", "content": "Hello"}],
        stream=stream,
        extra_body={"tollhouse_sim": script},
    )
    if not stream:
        return made.choices[0].message.content
    text = ""
    for chunk in made:
        text += chunk.choices[0].delta.content or ""
    return text


def attempt(name: str, **script: object) -> None:
    """Shows what the SDK raises."""
    try:
        print(f"{name}: {ask(**script)!r}")
    except openai.APIStatusError as error:
        wait = error.response.headers.get("retry-after")
        print(f"{name}: {type(error).__name__} {error.status_code} {error.code}" + (f", wait {wait} s" if wait else ""))
    except openai.APIError as error:
        print(f"{name}: {type(error).__name__} {error.code or ''}")


attempt("a good answer", reply="All is well.")
attempt("a rate limit", error=429, retry_after=7)
attempt("a host that fails", error=500)
attempt("a stream that is cut", stream=True, cut_after=3, tokens=50)
attempt("a stream that fails", stream=True, error_after=3, tokens=50)
client.timeout = 0.5
attempt("a model that is slow", ttft_ms=2000)
