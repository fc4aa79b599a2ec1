"""Write the repositories of the sandbox hub: tiny Llama models with random weights and a real tokenizer.

Seeded throughout: every build writes the same bytes, so the commits that the hub derives from them stay.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
from pathlib import Path

# The tokenizer trains in threads and the order of equal counts would depend on them.
os.environ.update(TOKENIZERS_PARALLELISM="false", RAYON_NUM_THREADS="1", HF_HUB_OFFLINE="1")

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SEED = 405
VOCABULARY = 1536
BEGIN, END, HEADER, HEADER_END, TURN_END = SPECIAL = [
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
]
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n{{ message['content'] | trim }}<|eot_id|>"
    "{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
CORPUS = """
The engine room of a data centre is louder than most people expect. Fans push cold air through rows of tall
cabinets, and behind every door there are lights that blink whenever a packet of data passes by. An operator
walks along the corridor, reads the temperature from a small display, and writes a short note about it.

A cluster is a group of machines that work together as if they were one. Each node holds a part of the model,
computes its share of the answer, and hands the result to the next node in the line. When one of them stops,
the others wait for it, so somebody has to notice quickly, find out why it happened, and bring it back again.

Large language models are trained on books, letters, questions and conversations. They learn which word is
likely to follow another word, and from many such small guesses whole sentences grow. A model with random
weights has learned nothing at all: it answers every question with a stream of words that make no sense, but
it does so in exactly the same way as a model that has read the whole library.

In the morning the engineers meet around a table near the window. They look at the plan for the day: two new
machines will arrive before lunch, an old disk must be replaced, and a customer has asked for a longer context.
Nobody wants to restart the service while people are using it, therefore the work is done step by step, and
after every step somebody sends a question to the server and reads the answer carefully.

The river behind the building runs slowly in the summer and fast in the spring. Children throw stones from the
bridge, and an old man with a brown dog counts how often they jump across the water. He says that seven is a
good number, but that he has once seen eleven, many years ago, when he was young and the water was still.

If you ask for help, say what you wanted to do, what you did, and what happened instead. Show the message that
the program has printed, because the first line is often more useful than the last one. Then explain which
version you are running, on what kind of hardware, and whether the same thing worked yesterday. Most problems
become small when they are described well, and some of them disappear while you are still writing.

A good report begins with the result. It gives the numbers with their units, it tells how they were measured,
and it does not hide what went wrong. Time, memory, bandwidth and money are limited; the reader's patience is
limited too. Write short sentences. Use simple words. Finish when everything that matters has been said.
"""


def train_tokenizer() -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer on the text above."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([CORPUS], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BEGIN, eos_token=TURN_END, model_max_length=4096
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def write_model(target: Path, tokenizer: PreTrainedTokenizerFast, shard: str, **shape: int) -> None:
    """Write weights, configuration and tokenizer of one model."""
    torch.manual_seed(SEED)
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        # vLLM's attention kernels for the CPU begin at 32
        head_dim=32,
        max_position_embeddings=4096,
        # wide enough that greedy decoding has a clear winner whatever the split over ranks rounds
        initializer_range=0.2,
        bos_token_id=ids[BEGIN],
        eos_token_id=[ids[END], ids[TURN_END]],
        tie_word_embeddings=False,
        **shape,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        # a control token never wins: an answer of random weights must not end before it began
        model.lm_head.weight[list(ids.values())] = 0
    model.to(torch.bfloat16)
    model.generation_config = GenerationConfig(
        bos_token_id=ids[BEGIN], eos_token_id=[ids[END], ids[TURN_END]], do_sample=True, temperature=0.6, top_p=0.9
    )
    model.save_pretrained(target, max_shard_size=shard)
    tokenizer.save_pretrained(target)


def write_extras(target: Path, name: str) -> None:
    """Write what a real repository holds beside the model, above all weights that must not be downloaded."""
    original = target / "original"
    original.mkdir()
    decoy = random.Random(f"{SEED} {name}").randbytes(2 << 20)
    (original / "consolidated.00.pth").write_bytes(decoy)
    (original / "params.json").write_text('{"dim": 128, "n_layers": 8}\n', encoding="utf-8")
    (target / ".gitattributes").write_text("*.safetensors filter=lfs\n*.pth filter=lfs\n", encoding="utf-8")
    (target / "LICENSE").write_text("CC0-1.0: random numbers, free for any use.\n", encoding="utf-8")
    readme = f"---\nlicense: cc0-1.0\n---\n# {name}\n\nRandom weights for the llmserve sandbox. They know nothing.\n"
    (target / "README.md").write_text(readme, encoding="utf-8")


def main() -> None:
    """Write all repositories below the given folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    output: Path = parser.parse_args().output / "sandbox"
    tokenizer = train_tokenizer()

    llama = output / "tiny-llama-open"
    write_model(
        llama,
        tokenizer,
        shard="1500KB",
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=4,
    )
    shutil.copytree(llama, output / "tiny-llama-instruct")
    write_model(
        output / "odd-heads",
        tokenizer,
        shard="1GB",
        hidden_size=96,
        intermediate_size=192,
        num_hidden_layers=4,
        num_attention_heads=6,
        num_key_value_heads=2,
    )
    for repo in sorted(output.iterdir()):
        write_extras(repo, repo.name)


if __name__ == "__main__":
    main()
