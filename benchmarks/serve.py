"""How many poses a second `pose-rft serve` answers: many clients at once against one alone.

    python -m benchmarks.serve

Starts a server of its own, asks it typed prompts (everyday-prompts, another seed each) over keep-alive connections,
first from one client, then from many, and prints a table; the rows go to runs/benchmarks/serve.json.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from benchmarks.steps import markdown
from pose_rft.data.everyday import everyday_prompts


@contextmanager
def server(checkpoint: str) -> Iterator[tuple[int, int]]:
    """Port and process id of a server that runs inside the block."""
    command = [sys.executable, "-m", "pose_rft.cli", "serve", "--port", "0", "--checkpoint", checkpoint]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "200"}) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline().split()[1].rsplit(":", 1)[1]), process.pid
        finally:
            process.terminate()


class Client(threading.Thread):
    """Asks its questions one after the other and remembers statuses and seconds."""

    def __init__(self, port: int, prompts: list[str], samples: int, seed: int) -> None:
        super().__init__()
        self.port, self.prompts, self.samples, self.seed = port, prompts, samples, seed
        self.seconds: list[float] = []
        self.statuses: list[int] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        for number, prompt in enumerate(self.prompts):
            body = {"prompt": prompt, "num_samples": self.samples, "seed": 1000 * self.seed + number}
            start = time.perf_counter()
            connection.request("POST", "/v1/poses", json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
            self.seconds.append(time.perf_counter() - start)
            self.statuses.append(response.status)


def measure(port: int, clients: int, requests: int, samples: int) -> dict[str, float]:
    """Ask ``requests`` questions from each of ``clients`` at once."""
    prompts = [sample.prompt for sample in everyday_prompts("all")]
    threads = [
        Client(port, [prompts[(c * requests + r) % len(prompts)] for r in range(requests)], samples, c)
        for c in range(clients)
    ]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - start
    seconds = [value for thread in threads for value in thread.seconds]
    failures = sum(status != 200 for thread in threads for status in thread.statuses)
    return {
        "clients": clients,
        "requests": clients * requests,
        "failures": failures + clients * requests - len(seconds),
        "per_second": clients * requests / wall,
        "p50": float(np.percentile(seconds, 50)),
        "p95": float(np.percentile(seconds, 95)),
        "slowest": max(seconds),
    }


def resident_mb(pid: int) -> float:
    """Memory of a process (Linux)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="default")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 32], help="the first is what others compare to")
    parser.add_argument("--requests", type=int, default=10, help="of each client")
    parser.add_argument("--samples", type=int, default=1, help="poses of each request")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/serve.json"))
    arguments = parser.parse_args()

    rows = []
    with server(arguments.checkpoint) as (port, pid):
        measure(port, 1, 3, arguments.samples)  # to warm up
        for clients in track(arguments.clients, "Measuring", console=Console(stderr=True)):
            row = measure(port, clients, arguments.requests, arguments.samples)
            rows.append(row | {"resident_mb": resident_mb(pid)})
    header = ["clients", "requests", "failures", "requests/s", "ratio", "p50 s", "p95 s", "slowest s", "server MB"]
    lines = [
        [
            f"{row['clients']}", f"{row['requests']}", f"{row['failures']}", f"{row['per_second']:.2f}",
            f"{row['per_second'] / rows[0]['per_second']:.1f}x", f"{row['p50']:.2f}", f"{row['p95']:.2f}",
            f"{row['slowest']:.2f}", f"{row['resident_mb']:.0f}",
        ]
        for row in rows
    ]  # fmt: skip
    Console().print(markdown(header, lines), highlight=False, soft_wrap=True)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(
        json.dumps({"cores": os.cpu_count(), "samples": arguments.samples, "rows": rows}, indent=1)
    )


if __name__ == "__main__":
    main()
