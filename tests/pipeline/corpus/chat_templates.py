"""Chat templates in the styles of six families, each with and without generation marks."""

from __future__ import annotations

from transformers import PreTrainedTokenizerBase

from pipeline.corpus.tokenizers import train_tokenizer

_PIECES = (
    "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
    "<|eot_id|>", "<bos>", "<start_of_turn>", "<end_of_turn>", "<|user|>", "<|assistant|>",
    "<|system|>", "<|end|>",
)  # fmt: skip
_TEXT = (
    "system user assistant model tool You are Qwen, made to help. How far is Oslo from Bergen? "
    "It is far, some 460 km. And Tromsø? [INST] [/INST] <think> First the map. </think> Hello! "
    '<tool_call> {"name": "distance", "arguments": {}} </tool_call> <tool_response>'
)

CHATML = (
    "{%- if messages[0].role == 'system' -%}{{- '<|im_start|>system\n' + messages[0].content + "
    "'<|im_end|>\n' -}}{%- else -%}{{- '<|im_start|>system\nYou are Qwen.<|im_end|>\n' -}}"
    "{%- endif -%}{%- for message in messages -%}{%- if message.role == 'assistant' -%}"
    "{{- '<|im_start|>assistant\n' -}}«{{- message.content -}}"
    "{%- for call in message.tool_calls or [] -%}{{- '\n<tool_call>\n' + (call.function | tojson) "
    "+ '\n</tool_call>' -}}{%- endfor -%}{{- '<|im_end|>' -}}»{{- '\n' -}}"
    "{%- elif message.role == 'tool' -%}"
    "{%- if messages[loop.index0 - 1].role != 'tool' -%}{{- '<|im_start|>user' -}}{%- endif -%}"
    "{{- '\n<tool_response>\n' + message.content + '\n</tool_response>' -}}"
    "{%- if loop.last or messages[loop.index0 + 1].role != 'tool' -%}{{- '<|im_end|>\n' -}}"
    "{%- endif -%}"
    "{%- elif message.role != 'system' or not loop.first -%}{{- '<|im_start|>' + message.role + "
    "'\n' + message.content + '<|im_end|>\n' -}}{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)
"""Qwen2.5's: a system prompt of its own where there is none, tool results within one turn."""

QWEN3 = (
    "{%- set ns = namespace(last=-1) -%}{%- for message in messages -%}"
    "{%- if message.role == 'user' -%}{%- set ns.last = loop.index0 -%}{%- endif -%}{%- endfor -%}"
    "{%- for message in messages -%}{%- if message.role == 'assistant' -%}"
    "{%- set said = message.content.split('</think>')[-1].lstrip('\n') -%}"
    "{%- set thought = message.content.split('</think>')[0].split('<think>')[-1].strip('\n') "
    "if '</think>' in message.content else '' -%}"
    "{{- '<|im_start|>assistant\n' -}}«{%- if loop.index0 > ns.last -%}"
    "{{- '<think>\n' + thought + '\n</think>\n\n' -}}{%- endif -%}{{- said + '<|im_end|>' -}}»"
    "{{- '\n' -}}{%- else -%}{{- '<|im_start|>' + message.role + '\n' + message.content + "
    "'<|im_end|>\n' -}}{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)
"""Qwen3's: earlier answers lose their reasoning, the last one has a block of it in any case."""

LLAMA3 = (
    "{{- '<|begin_of_text|>' -}}{%- for message in messages -%}"
    "{{- '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' -}}"
    "{%- if message.role == 'assistant' -%}«{{- message.content | trim + '<|eot_id|>' -}}»"
    "{%- else -%}{{- message.content | trim + '<|eot_id|>' -}}{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' -}}{%- endif -%}"
)

GEMMA = (
    "{{- bos_token -}}{%- if messages[0].role == 'system' -%}"
    "{{- raise_exception('System role not supported') -}}{%- endif -%}"
    "{%- for message in messages -%}"
    "{%- if (message.role == 'user') != (loop.index0 % 2 == 0) -%}"
    "{{- raise_exception('Conversation roles must alternate') -}}{%- endif -%}"
    "{%- if message.role == 'assistant' -%}{{- '<start_of_turn>model\n' -}}"
    "«{{- message.content | trim + '<end_of_turn>' -}}»{{- '\n' -}}{%- else -%}"
    "{{- '<start_of_turn>user\n' + message.content | trim + '<end_of_turn>\n' -}}"
    "{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<start_of_turn>model\n' -}}{%- endif -%}"
)

MISTRAL = (
    "{{- bos_token -}}{%- for message in messages -%}{%- if message.role == 'user' -%}"
    "{{- '[INST] ' + message.content + ' [/INST]' -}}{%- elif message.role == 'assistant' -%}"
    "«{{- ' ' + message.content + eos_token -}}»{%- else -%}"
    "{{- raise_exception('Only user and assistant roles are supported!') -}}"
    "{%- endif -%}{%- endfor -%}"
)
"""No header before an answer."""

PHI3 = (
    "{%- for message in messages -%}{%- if message.role == 'assistant' -%}"
    "{{- '<|assistant|>\n' -}}«{{- message.content + '<|end|>' -}}»{{- '\n' -}}{%- else -%}"
    "{{- '<|' + message.role + '|>\n' + message.content + '<|end|>\n' -}}{%- endif -%}"
    "{%- endfor -%}{%- if add_generation_prompt -%}{{- '<|assistant|>\n' -}}{%- endif -%}"
)

FAMILIES = {
    "chatml": CHATML,
    "qwen3": QWEN3,
    "llama-3": LLAMA3,
    "gemma": GEMMA,
    "mistral": MISTRAL,
    "phi-3": PHI3,
}


def chat_tokenizer(template: str, marked: bool = False) -> PreTrainedTokenizerBase:
    """A small byte-level tokenizer that has every family's special tokens."""
    tokenizer = train_tokenizer([_TEXT] * 4, 400)
    tokenizer.add_special_tokens({"additional_special_tokens": list(_PIECES)})
    begin, end = ("{%- generation -%}", "{%- endgeneration -%}") if marked else ("", "")
    tokenizer.chat_template = template.replace("«", begin).replace("»", end)
    return tokenizer
