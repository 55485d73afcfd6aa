"""Reads W&B's offline files: a 7-byte header, then a LevelDB log of protobufs."""

import json
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HEADER = b":W&B\xe1\xbe\x00"
BLOCK = 32768


@dataclass(frozen=True)
class Artifact:
    files: list[str]
    aliases: list[str]
    used: bool  # an input of the run; else an output


@dataclass
class OfflineRun:
    folder: Path = Path()  # of its files
    id: str = ""
    name: str = ""
    group: str = ""
    job_type: str = ""
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    step_metrics: dict[str, str] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    artifacts: dict[str, Artifact] = field(default_factory=dict)  # by "type/name"
    exit_code: int | None = None

    def table(self, key: str) -> list[dict[str, Any]]:
        """The rows of the one table that was logged as `key`."""
        [name] = [row[f"{key}.path"] for row in self.history if f"{key}.path" in row]
        told = json.loads((self.folder / name).read_text())
        return [dict(zip(told["columns"], row, strict=True)) for row in told["data"]]


def read_runs(folder: Path) -> list[OfflineRun]:
    return [read_run(path) for path in sorted(folder.glob("wandb/offline-run-*/*.wandb"))]


def read_run(path: Path, patience: float = 30) -> OfflineRun:
    """W&B's service may still be writing when `finish` has returned."""
    deadline = time.monotonic() + patience
    while (run := _read(path)).exit_code is None and time.monotonic() < deadline:
        time.sleep(0.2)
    return run


def _read(path: Path) -> OfflineRun:
    run = OfflineRun(path.parent / "files")
    for record in _records(path.read_bytes()):
        match record.WhichOneof("record_type"):
            case "run":
                about = record.run
                run.id, run.name, run.group = about.run_id, about.display_name, about.run_group
                run.job_type, run.tags = about.job_type, list(about.tags)
                run.config.update(_values(about.config.update))
            case "config":
                run.config.update(_values(record.config.update))
            case "history":
                run.history.append(_values(record.history.item))
            case "metric":
                name = record.metric.name or record.metric.glob_name
                run.step_metrics[name] = record.metric.step_metric
            case "summary":
                run.summary.update(_values(record.summary.update))
            case "artifact":
                about = record.artifact
                files = sorted(entry.path for entry in about.manifest.contents)
                made = Artifact(files, list(about.aliases), about.use_after_commit)
                run.artifacts[f"{about.type}/{about.name}"] = made
            case "exit":
                run.exit_code = record.exit.exit_code
    return run


def _values(items: Any) -> dict[str, Any]:
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


def _records(raw: bytes) -> Iterator[Any]:
    from wandb.proto import wandb_internal_pb2 as pb  # no test of kernels needs W&B

    assert HEADER.startswith(raw[: len(HEADER)])
    position, buffer = len(HEADER), b""
    while position + 7 <= len(raw):
        left = BLOCK - position % BLOCK
        if left < 7:
            position += left
            continue
        _, length, kind = struct.unpack("<IHB", raw[position : position + 7])
        part, position = raw[position + 7 : position + 7 + length], position + 7 + length
        if len(part) < length:
            return  # W&B's service has not yet written the rest
        buffer = part if kind in (1, 2) else buffer + part  # 1 whole, 2 first, 3 middle, 4 last
        if kind in (1, 4):
            record = pb.Record()  # pyright: ignore[reportAttributeAccessIssue]
            record.ParseFromString(buffer)
            yield record
