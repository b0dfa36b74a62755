"""Plain talk: how often a policy answers in words alone what wants words, and with a pose what wants a pose.

    python -m benchmarks.plain_talk --checkpoint default

Sixty prompts that want words, less any that training has, and the prompts of the benchmark everyday-prompts, all
answered at temperature 0. Prints both shares with 95 % intervals, and the answers in words for somebody to read:
whether they are true is not measured.
"""

import argparse

import torch
from rich.console import Console
from rich.table import Table

from pose_rft.data.everyday import everyday_prompts
from pose_rft.data.mixtures.chat import written_pairs
from pose_rft.data.sample import POSE_TOKEN
from pose_rft.devices import pick_device
from pose_rft.evaluation.metrics import bootstrap_interval
from pose_rft.policy import PosePolicy

WANT_WORDS = (
    "Hello, dear computer!", "hi, long time no see", "Good afternoon", "How are you doing?", "Thanks a lot!",
    "ok bye", "What can I ask you?", "Nice to talk to you", "I feel a bit tired today.", "Do you like music?",
    "That is not what I meant.", "Who wrote Hamlet?", "Who painted The Starry Night?", "Who was Galileo Galilei?",
    "What is the capital of Portugal?", "Which city is the capital of Kenya?", "What year did World War II end?",
    "Which planet is the largest?", "How many oceans are there?", "What is the longest river in the world?",
    "Name three fruits.", "Name two European countries.", "List the months of the year.", "What colour is the sky?",
    "How many wings does a fly have?", "What do cows eat?", "What sound does a cow make?",
    "What is the opposite of hot?", "What is 7 plus 5?", "Is 12 an even number?", "How many hours has a week?",
    "Translate 'good morning' into French.", "What does 'gracias' mean?", "How do you spell 'beautiful'?",
    "Tell me a short story about a cat.", "Can you write a poem about autumn?", "Write one sentence about snow.",
    "Suggest a name for a dog.", "Give me a tip for sleeping better.", "How do I cook rice?", "How do I make tea?",
    "What should I pack for a weekend trip?", "Why is the sea salty?", "Why do leaves fall in autumn?",
    "How do vaccines work?", "What is a magnet?", "What is a volcano?", "What is machine learning?",
    "What is a web browser?", "What's the weather like today?", "Is water wet?", "What is bread made of?",
    "Why do we need sleep?", "What is the heart for?", "How many teeth does an adult have?",
    "What is good for a sore back?", "Which sport is played at Wimbledon?", "Who sits in a parliament?",
    "What is a handstand?", "Is running healthy?",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="default")
    arguments = parser.parse_args()
    known = {prompt.casefold().strip(" .!?") for prompt, _ in written_pairs()}
    talk = [prompt for prompt in WANT_WORDS if prompt.casefold().strip(" .!?") not in known]
    policy = PosePolicy.from_pretrained(arguments.checkpoint, pick_device("auto"))
    said = answers(policy, talk)
    posed = answers(policy, [sample.prompt for sample in everyday_prompts()])
    console, table = Console(soft_wrap=True), Table("prompts", "number", "answered as they want")
    for name, right in (
        ("that want words", [POSE_TOKEN not in text for text in said]),
        ("that want a pose", [text.count(POSE_TOKEN) == 1 for text in posed]),
    ):
        found = bootstrap_interval(torch.tensor(right).double())
        table.add_row(name, str(len(right)), f"{found.mean:.1%} ({found.low:.1%} to {found.high:.1%})")
    for prompt, text in zip(talk, said, strict=True):
        console.print(f"[bold]{prompt}[/] {text}", highlight=False)
    console.print(table)


def answers(policy: PosePolicy, prompts: list[str]) -> list[str]:
    """What a policy says to each prompt at temperature 0."""
    return [group[0].text for group in policy.generate(prompts, temperature=0.0)]


if __name__ == "__main__":
    main()
