"""Writes the trained weights as a GGUF file (Q8_0 matrices, float32 norms) with tokenizer and chat template; called by
`train`.
"""

from pathlib import Path

import gguf
import numpy as np
from bpe import SPECIALS, Tokenizer
from model import Params, Shape
from shapes import OFFERED

# Roles that training lacks are read as their nearest; a call in the history is written as the model writes one.
TEMPLATE = (
    "{%- if tools -%}"
    "{{- '<|system|>" + OFFERED + "\\n[' -}}"
    "{%- for tool in tools -%}{{- tool['function'] | tojson -}}{%- if not loop.last -%}{{- ', ' -}}{%- endif "
    "-%}{%- endfor -%}"
    "{{- ']<|end|>' -}}"
    "{%- endif -%}"
    "{%- for message in messages -%}"
    "{%- set role = {'developer': 'system', 'function': 'tool'}.get(message['role'], message['role']) -%}"
    "{{- '<|' + role + '|>' -}}"
    "{%- if message['tool_calls'] -%}"
    "{%- for call in message['tool_calls'] -%}"
    "{{- '{\"name\": ' + (call['function']['name'] | tojson) + ', \"arguments\": ' -}}"
    "{%- if call['function']['arguments'] is string -%}{{- call['function']['arguments'] -}}"
    "{%- else -%}{{- call['function']['arguments'] | tojson -}}{%- endif -%}"
    "{{- '}' -}}"
    "{%- endfor -%}"
    "{%- elif message['content'] is string -%}{{- message['content'] -}}"
    "{%- elif message['content'] -%}"
    "{%- for part in message['content'] -%}{%- if part['text'] -%}{{- part['text'] -}}{%- endif -%}{%- endfor -%}"
    "{%- endif -%}"
    "{{- '<|end|>' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)


def write(path: Path, params: Params, shape: Shape, tokenizer: Tokenizer) -> None:
    """One file, complete: weights, sizes, vocabulary, merges, template, name and licence."""
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("tollhouse/tiny")
    writer.add_description(
        "A demo chat model of about two million parameters, trained from scratch by the Tollhouse project."
    )
    writer.add_license("apache-2.0")
    writer.add_size_label("2M")
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.norm_eps)
    writer.add_vocab_size(shape.vocab)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    write_vocabulary(writer, tokenizer)
    for name, value in params.items():
        plain = np.asarray(value, np.float32)
        if plain.ndim == 1:
            writer.add_tensor(f"{name}.weight", plain)
        else:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(f"{name}.weight", gguf.quants.quantize(plain, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_vocabulary(writer: gguf.GGUFWriter, tokenizer: Tokenizer) -> None:
    """The tokenizer's keys. ``qwen2`` is the pre-tokenizer that `bpe` mirrors."""
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokenizer.tokens)
    kinds = [gguf.TokenType.CONTROL if token in SPECIALS else gguf.TokenType.NORMAL for token in tokenizer.tokens]
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in tokenizer.merges])
    writer.add_eos_token_id(tokenizer.ids["<|end|>"])
    writer.add_eot_token_id(tokenizer.ids["<|end|>"])
    writer.add_pad_token_id(tokenizer.ids["<|pad|>"])
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
