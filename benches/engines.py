#!/usr/bin/env python3
"""Engines beside each other, under wrk: what a flag, a feature or an allocator brings on the real path.

    engines.py NAME=ENGINE NAME=ENGINE [...]

Run with target/python/bin/python; wants wrk, and the debug build's potoroo-ops, which publishes the models. Engines
take turns, so that what else the machine does meets all of them; figures are medians of the rounds. Memory is
the most that an engine held since it began and what it held when all was over. Variables that begin with MIMALLOC_
or MALLOC_ go on to the engines.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

PROJECT = Path(__file__).parent.parent
ROUNDS, SECONDS = 5, 2
RECORDS = "application/json; format=pandas-records"
ARROW = "application/vnd.apache.arrow.file"


def bodies(directory):
    """What is asked: pipeline, title, body, content type."""
    script = PROJECT / "tests/fixtures/reference.py"
    subprocess.run([sys.executable, script, "inputs", directory], check=True, stdout=subprocess.DEVNULL)
    pixels = np.random.default_rng(1).random(3 * 224 * 224, dtype=np.float32)
    table = pa.table({"input": pa.array([pixels], type=pa.list_(pa.float32(), len(pixels)))})
    with pa.ipc.new_file(directory / "mobilenet_v2.arrow", table.schema) as writer:
        writer.write(table)
    return [
        ("fraud", "1 row, JSON", "fraud_1.json", RECORDS),
        ("fraud", "1,000 rows, Arrow", "fraud_1000.arrow", ARROW),
        ("mobilenet-v2", "MobileNetV2, Arrow", "mobilenet_v2.arrow", ARROW),
    ]


def published(model, home):
    """A layout with a pipeline of this model: its PIPELINE_URL."""
    ops = PROJECT / "target/debug/potoroo-ops"
    command = [ops, "publish", model, "--layout", home / "layout"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return re.search(r"^pipeline_url: (\S+)", said, re.MULTILINE).group(1)


class Engine:
    """A running engine."""

    def __init__(self, program, url, home, cpus):
        kept = {name: value for name, value in os.environ.items() if "MALLOC_" in name}
        variables = {
            "PIPELINE_URL": url,
            "POTOROO_LISTEN": "127.0.0.1:0",
            "POTOROO_PERSIST": str(home),
            "CONFIG_CPUS": cpus,
            **kept,
        }
        self.process = subprocess.Popen(
            [program], env=variables, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        for line in self.process.stderr:
            if "msg=ready" in line:
                self.address = re.search(r"listen=(\S+)", line).group(1)
                break
        else:
            sys.exit(f"{program} did not start")

    def cpu(self):
        """Seconds of user and system time."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self, field):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{field}:\s+(\d+)", status, re.MULTILINE).group(1)) / 1024

    def asked(self, seconds, connections, pipeline, body, kind):
        """Answers a second, and microseconds of CPU time for each."""
        before = self.cpu()
        url = f"http://{self.address}/pipelines/{pipeline}"
        script = PROJECT / "benches/load/post.lua"
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script, url, "--", body, kind]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        if "Non-2xx" in said or "Socket errors" in said:
            sys.exit(said)
        count = int(re.search(r"(\d+) requests in", said).group(1))
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said).group(1))
        return rate, (self.cpu() - before) / count * 1e6


def main():
    engines = dict(argument.split("=", 1) for argument in sys.argv[1:])
    for name, program in engines.items():
        print(f"{name}: {Path(program).stat().st_size:,} bytes")
    print(f"medians of {ROUNDS} rounds of {SECONDS} s; load average {os.getloadavg()[0]:.1f}")
    print("| | threads | connections | engine | answers/s | CPU us | peak MiB | kept MiB |")
    print("| --- | --: | --: | --- | --: | --: | --: | --: |")
    with tempfile.TemporaryDirectory() as home:
        home = Path(home)
        nets = PROJECT / "benches/runtime/nets.py"
        made = PROJECT / "target/tmp/nets"
        subprocess.run([sys.executable, nets, "make", made, "mobilenet_v2"], check=True)
        models = {"fraud": PROJECT / "tests/fixtures/models/fraud.onnx", "mobilenet-v2": made / "mobilenet_v2.onnx"}
        urls = {name: published(model, home / name) for name, model in models.items()}
        for pipeline, title, body, kind in bodies(home):
            for cpus, connections in (("1", 1), ("1", 16), ("2", 16)):
                running = {
                    name: Engine(program, urls[pipeline], tempfile.mkdtemp(dir=home), cpus)
                    for name, program in engines.items()
                }
                ask = (connections, pipeline, home / body, kind)
                for engine in running.values():
                    engine.asked(1, *ask)
                rounds = {name: [] for name in running}
                for _ in range(ROUNDS):
                    for name, engine in running.items():
                        rounds[name].append(engine.asked(SECONDS, *ask))
                for name, engine in running.items():
                    rate, cpu = (statistics.median(values) for values in zip(*rounds[name]))
                    peak, kept = engine.memory("VmHWM"), engine.memory("VmRSS")
                    print(
                        f"| {title} | {cpus} | {connections} | {name} | {rate:,.0f} | {cpu:,.1f} "
                        f"| {peak:.1f} | {kept:.1f} |",
                        flush=True,
                    )
                    engine.process.kill()
                    engine.process.wait()
    print(f"load average at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
