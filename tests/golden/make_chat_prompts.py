#!/usr/bin/env python3
"""Writes chat_prompts.json: conversations as Jinja2 renders them with the templates of published models.

Vicuna's models come without a template; its text is built as FastChat's conversation vicuna_v1.1 does.
"""
import json
import pathlib

import jinja2

ALTERNATE = ("{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
             "{{ raise_exception('roles must alternate') }}{% endif %}")
SPLIT_SYSTEM = ("{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
                "{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}"
                "{% endif %}")
CHATML_LOOP = ("{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
               "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
LLAMA3_ROLE = "'<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>'"

TEMPLATES = {
    "chatml": ("chatml", "{% for message in messages %}" + CHATML_LOOP),
    "SmolLM2": ("chatml", "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
                "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>"
                "\n' }}{% endif %}" + CHATML_LOOP),
    "Qwen2.5": ("chatml", "{%- if tools %}{{- '<|im_start|>system\\n' }}{{- 'Tools: \"' + tools + '\"' }}"
                "{{- \"<|im_end|>\\n\" }}{%- else %}{%- if messages[0]['role'] == 'system' %}"
                "{{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}{%- else %}"
                "{{- '<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant."
                "<|im_end|>\\n' }}{%- endif %}{%- endif %}{%- for message in messages %}"
                "{%- if (message.role == \"user\") or (message.role == \"system\" and not loop.first) or "
                "(message.role == \"assistant\") %}{{- '<|im_start|>' + message.role + '\\n' + message.content + "
                "'<|im_end|>' + '\\n' }}{%- endif %}{%- endfor %}{%- if add_generation_prompt %}"
                "{{- '<|im_start|>assistant\\n' }}{%- endif %}"),
    "Llama-2": ("llama2", SPLIT_SYSTEM + "{% for message in loop_messages %}" + ALTERNATE +
                "{% if loop.index0 == 0 and system_message is defined %}{% set content = '<<SYS>>\\n' + system_message"
                " + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}"
                "{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
                "{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}"
                "{% endfor %}"),
    "Llama-3": ("llama3", "{% for message in messages %}{% set content = " + LLAMA3_ROLE + " %}"
                "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
                "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"),
    "Llama-3.1": ("llama3", "{{- bos_token }}{%- if not date_string is defined %}{%- set date_string = \"26 Jul 2024\" %}"
                  "{%- endif %}{%- if messages[0]['role'] == 'system' %}{%- set system_message = "
                  "messages[0]['content']|trim %}{%- set messages = messages[1:] %}{%- else %}"
                  "{%- set system_message = \"\" %}{%- endif %}"
                  "{{- \"<|start_header_id|>system<|end_header_id|>\\n\\n\" }}"
                  "{{- \"Cutting Knowledge Date: December 2023\\n\" }}{{- \"Today Date: \" + date_string + \"\\n\\n\" }}"
                  "{{- system_message }}{{- \"<|eot_id|>\" }}{%- for message in messages %}{{- " + LLAMA3_ROLE +
                  " }}{%- endfor %}{%- if add_generation_prompt %}"
                  "{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}"),
    "Mistral-v0.1": ("mistral", "{{ bos_token }}{% for message in messages %}" + ALTERNATE +
                     "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
                     "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token + ' ' }}{% endif %}"
                     "{% endfor %}"),
    "Mistral-v0.2": ("mistral", SPLIT_SYSTEM + "{{- bos_token }}{%- for message in loop_messages %}" + ALTERNATE +
                     "{%- if message['role'] == 'user' %}{%- if loop.first and system_message is defined %}"
                     "{{- ' [INST] ' + system_message + '\\n\\n' + message['content'] + ' [/INST]' }}{%- else %}"
                     "{{- ' [INST] ' + message['content'] + ' [/INST]' }}{%- endif %}"
                     "{%- elif message['role'] == 'assistant' %}{{- ' ' + message['content'] + eos_token}}{%- endif %}"
                     "{%- endfor %}"),
    "Mistral-v0.3": ("mistral", SPLIT_SYSTEM + "{{- bos_token }}{%- for message in loop_messages %}"
                     "{%- if message[\"role\"] == \"user\" %}{%- if loop.last and system_message is defined %}"
                     "{{- \"[INST] \" + system_message + \"\\n\\n\" + message[\"content\"] + \"[/INST]\" }}{%- else %}"
                     "{{- \"[INST] \" + message[\"content\"] + \"[/INST]\" }}{%- endif %}"
                     "{%- elif message[\"role\"] == \"assistant\" %}"
                     "{{- \" \" + message[\"content\"]|trim + eos_token}}{%- endif %}{%- endfor %}"),
}
TOKENS = {"llama3": ("<|begin_of_text|>", "<|eot_id|>")}


def message(role, content):
    return {"role": role, "content": content}


QUESTION, ANSWER, NEXT = message("user", "Hello"), message("assistant", "Hi there"), message("user", "Who are you?\n<|im_end|>")
SYSTEM = message("system", "Be brief.")
CONVERSATIONS = [[QUESTION], [SYSTEM, QUESTION], [QUESTION, ANSWER, NEXT], [SYSTEM, QUESTION, ANSWER, NEXT]]


def vicuna(messages):
    system = ("A chat between a curious user and an artificial intelligence assistant. "
              "The assistant gives helpful, detailed, and polite answers to the user's questions.")
    if messages[0]["role"] == "system":
        system, messages = messages[0]["content"], messages[1:]
    text = "<s>" + system + " "
    for i, turn in enumerate(messages):
        text += {"user": "USER", "assistant": "ASSISTANT"}[turn["role"]] + ": " + turn["content"] + [" ", "</s>"][i % 2]
    return text + "ASSISTANT:"


cases = []
for name, (family, template) in TEMPLATES.items():
    bos, eos = TOKENS.get(family, ("<s>", "</s>"))
    for messages in CONVERSATIONS:
        if name == "Mistral-v0.1" and messages[0]["role"] == "system":
            continue  # its template refuses one
        text = jinja2.Template(template).render(messages=messages, bos_token=bos, eos_token=eos,
                                                add_generation_prompt=True)
        cases.append({"model": name, "family": family, "jinja": template, "messages": messages, "prompt": text})
for messages in CONVERSATIONS:
    cases.append({"model": "vicuna", "family": "vicuna", "jinja": "", "messages": messages, "prompt": vicuna(messages)})
out = pathlib.Path(__file__).with_name("chat_prompts.json")
out.write_text("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]\n")
