"""`python -m capsnet.parallel_repro` under real DVC: order, devices, failures and violent ends."""

import json
import os
import pty
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from dvc.lock import Lock
from hypothesis import given
from hypothesis import strategies as st

from capsnet.errors import UserError
from capsnet.parallel_repro import __main__ as driver
from capsnet.parallel_repro import mps
from capsnet.parallel_repro.jobs import Pipeline, environment
from capsnet.parallel_repro.schedule import Needs, State, cut_off, startable
from capsnet.parallel_repro.stages import Stage, last_line, load_stages
from helpers.copies import tiny_copy
from helpers.running import DEADLINE, command, output, wait_for

# DVC itself reads a deprecated property of the trie that it keeps outputs in.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")

# source -> left, right; left -> after; after, right -> table. `left` and `right` wait for each
# other, so that they can only finish side by side.
PIPELINE = """\
stages:
  source: {cmd: python stage.py source, deps: [stage.py], outs: [source.out]}
  left: {cmd: python stage.py left right, deps: [source.out], outs: [left.out]}
  right: {cmd: python stage.py right left, deps: [source.out], outs: [right.out]}
  after: {cmd: python stage.py after, deps: [left.out], outs: [after.out]}
  table: {cmd: python stage.py table, deps: [after.out, right.out], outs: [table.out]}
"""
NEEDS = {
    "source": set(),
    "left": {"source"},
    "right": {"source"},
    "after": {"source", "left"},
    "table": {"source", "left", "right", "after"},
}
SMALL = """\
stages:
  lone: {cmd: python stage.py lone, wdir: .., outs: [lone.out]}
  other: {cmd: python stage.py other, wdir: .., outs: [other.out]}
"""
# Notes its start and end; the files hold/NAME, deaf/NAME, busy/NAME and broken/NAME steer it.
STAGE = """\
import os, signal, sys, time
from pathlib import Path

name, *others = sys.argv[1:]

def note(what):
    with open("notes", "a") as notes:
        notes.write(f"{what} {name} {os.environ['CUDA_VISIBLE_DEVICES']} {os.getpid()}\\n")

def wait(reason):
    deadline = time.monotonic() + 150  # longer than the tests wait for an end
    while reason():
        time.sleep(0.02)
        assert time.monotonic() < deadline

def told_to(what):
    return Path(what, name).exists()

if told_to("deaf"):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
note("start")
Path(f"{name}.here").touch()
wait(lambda: not all(Path(f"{other}.here").exists() for other in others))
wait(lambda: told_to("hold"))
if told_to("busy"):
    sys.exit("error: another process is training in runs/x: wait for it or stop it")
if told_to("broken"):
    sys.exit("broken as asked")
Path(f"{name}.out").write_text(name)
note("end")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    (tmp_path / "stage.py").write_text(STAGE)
    (tmp_path / "small").mkdir()
    (tmp_path / "small/dvc.yaml").write_text(SMALL)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    analytics = false\n")
    for steering in ("hold", "deaf", "busy", "broken"):
        (tmp_path / steering).mkdir()
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    return tmp_path


def start(project: Path, *arguments: str) -> subprocess.Popen[str]:
    return command("parallel_repro", *arguments, "--devices", "3,5", cwd=project)


def finishes(project: Path, *arguments: str) -> str:
    code, printed = output("parallel_repro", *arguments, "--devices", "3,5", cwd=project)
    assert code == 0, printed
    return printed


def notes(project: Path) -> list[tuple[str, str, str, int]]:
    """Return the notes of the stages, in order: start or end, name, device, process."""
    file = project / "notes"
    lines = file.read_text().splitlines() if file.exists() else []
    return [(what, name, device, int(pid)) for what, name, device, pid in map(str.split, lines)]


def runs(project: Path) -> list[str]:
    """The stages in the order in which they started."""
    return [name for what, name, _, _ in notes(project) if what == "start"]


def steer(project: Path, what: str, stage: str) -> Path:
    (project / what / stage).touch()
    return project / what / stage


def ps(column: str, pid: int) -> str:
    return subprocess.run(
        ["ps", "-ww", "-o", f"{column}=", "-p", str(pid)], capture_output=True, text=True
    ).stdout.strip()


def alive(pid: int) -> bool:
    return ps("stat", pid)[:1] not in ("", "Z")


def all_gone(project: Path) -> bool:
    return not any(alive(pid) for _, _, _, pid in notes(project))


@pytest.mark.slow
def test_stages_run_in_order_side_by_side_and_once(project: Path) -> None:
    assert "5 stages done, 5 of them run" in finishes(project)
    busy: dict[str, str] = {}  # device -> stage
    ended: set[str] = set()
    for what, name, device, _ in notes(project):
        if what == "start":
            assert device in {"3", "5"}
            assert device not in busy
            assert ended >= NEEDS[name]
            busy[device] = name
        else:
            assert busy.pop(device) == name
            ended.add(name)
    assert ended == set(NEEDS)
    assert sorted(runs(project)) == sorted(NEEDS)

    printed = finishes(project)
    assert "5 stages done, 0 of them run" in printed
    assert "table: done after" in printed
    assert sorted(runs(project)) == sorted(NEEDS)


@pytest.mark.slow
def test_a_failure_stops_what_depends_on_it_and_nothing_else(project: Path) -> None:
    broken = steer(project, "broken", "left")
    code, printed = output("parallel_repro", "--devices", "3,5", cwd=project)
    assert code == 1, printed
    assert printed.splitlines()[-1] == (
        "error: failed: left (see runs/pipeline/left.log); "
        "not run because of that: after, table; the same command carries on"
    )
    assert "broken as asked" in (project / "runs/pipeline/left.log").read_text()
    assert (project / "right.out").exists()
    broken.unlink()
    finishes(project)
    assert runs(project).count("right") == 1
    assert (project / "table.out").exists()


@pytest.mark.slow
def test_ctrl_c_stops_the_stages_and_the_second_one_kills(project: Path) -> None:
    held = [steer(project, "hold", name) for name in ("left", "right")]
    deaf = steer(project, "deaf", "left")
    process = start(project)
    wait_for(lambda: {"left", "right"} <= set(runs(project)), process)
    process.send_signal(signal.SIGINT)
    wait_for(lambda: not alive(pid_of(project, "right")), process)
    assert not all_gone(project)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130, printed
    assert printed.splitlines()[-1] == "stopped: left, right; the same command carries on"
    assert all_gone(project)
    for file in (*held, deaf):
        file.unlink()
    finishes(project)
    assert runs(project).count("source") == 1


@pytest.mark.slow
def test_sigterm_stops_the_stages(project: Path) -> None:
    steer(project, "hold", "lone")
    process = start(project, "small/dvc.yaml")
    wait_for(lambda: "lone" in runs(project) and (project / "other.out").exists(), process)
    process.terminate()
    printed, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130, printed
    assert "small/dvc.yaml:lone" in printed.splitlines()[-1]
    assert all_gone(project)


@pytest.mark.slow
def test_nothing_outlives_a_killed_driver(project: Path) -> None:
    held = [steer(project, "hold", name) for name in ("lone", "other")]
    process = start(project, "small/dvc.yaml")
    wait_for(lambda: {"lone", "other"} <= set(runs(project)), process)
    code, printed = output("parallel_repro", cwd=project)
    assert code == 1
    assert "another pipeline runs in" in printed
    process.kill()
    process.communicate()
    wait_for(lambda: all_gone(project))
    for file in held:
        file.unlink()
    assert "2 stages done, 2 of them run" in finishes(project, "small/dvc.yaml")


@pytest.mark.slow
def test_killed_processes_fail_their_stages_alone(project: Path) -> None:
    """The stage itself is killed, or DVC above it, or the guard above that."""
    (project / "wide").mkdir()
    victims = {"a": "stage.py", "b": "repro", "c": "guard.py"}
    lines = (f"  {k}: {{cmd: python stage.py {k}, wdir: .., outs: [{k}.out]}}" for k in "abcd")
    (project / "wide/dvc.yaml").write_text("\n".join(["stages:", *lines]))
    held = [steer(project, "hold", name) for name in victims]
    process = command("parallel_repro", "wide/dvc.yaml", "--devices", "0,1,2", cwd=project)
    wait_for(lambda: set(victims) <= set(runs(project)), process)
    for name, victim in victims.items():
        os.kill(ancestor(pid_of(project, name), victim), signal.SIGKILL)
    printed, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 1, printed
    failed = (f"wide/dvc.yaml:{name} (see runs/pipeline/wide/{name}.log)" for name in victims)
    assert printed.splitlines()[-1] == (
        f"error: failed: {', '.join(failed)}; the same command carries on"
    )
    assert (project / "d.out").exists()
    assert all_gone(project)
    for file in held:
        file.unlink()
    assert "4 stages done, 3 of them run" in finishes(project, "wide/dvc.yaml")


def pid_of(project: Path, name: str) -> int:
    return next(pid for _, stage, _, pid in reversed(notes(project)) if stage == name)


def ancestor(pid: int, named: str) -> int:
    """The nearest one, or `pid` itself, whose command line holds the name."""
    while named not in ps("args", pid):
        pid = int(ps("ppid", pid))
    return pid


@pytest.mark.slow
def test_what_passes_is_waited_for(project: Path) -> None:
    """DVC's locks on paths, held by this process, and another trainer in a stage's folder."""
    busy = steer(project, "busy", "lone")
    (project / ".dvc/tmp").mkdir()
    lock = Lock(str(project / ".dvc/tmp/rwlock.lock"))
    lock.lock()
    process = start(project, "small/dvc.yaml")
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")

    def waits(reason: str) -> None:
        assert any("lone: waiting" in line and reason in line for line in lines), reason

    waits("Unable to acquire lock")
    rwlock = project / ".dvc/tmp/rwlock"
    mine = {"pid": os.getpid(), "cmd": "a test"}
    rwlock.write_text(json.dumps({"write": {str(project / "lone.out"): mine}}))
    lock.unlock()
    waits("is busy, it is being blocked by")
    rwlock.write_text("{}")
    waits("another process is training in")
    busy.unlink()
    printed, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, printed
    assert (project / "lone.out").exists()


@pytest.mark.slow
def test_a_stage_that_cannot_be_noted_at_once_is_not_run_again(project: Path) -> None:
    held = steer(project, "hold", "lone")
    process = start(project, "small/dvc.yaml")
    wait_for(lambda: len(runs(project)) == 2, process)
    lock = Lock(str(project / ".dvc/tmp/lock"), wait=True)
    lock.lock()
    held.unlink()
    wait_for(lambda: [what for what, *_ in notes(project)].count("end") == 2, process)
    time.sleep(4)  # DVC alone gives up after three
    lock.unlock()
    printed, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, printed
    assert sorted(runs(project)) == ["lone", "other"]


@pytest.mark.slow
def test_a_terminal_gets_a_table(project: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "capsnet.parallel_repro", "small/dvc.yaml"],
        cwd=project,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "20"},
        stdout=theirs,
    )
    os.close(theirs)
    shown = b""
    while chunk := read(ours):
        shown += chunk
    os.close(ours)
    assert process.wait(DEADLINE) == 0
    for words in (b"1 running", b"2 done", b"small/dvc.yaml:lone", b"device"):
        assert words in shown


def read(terminal: int) -> bytes:
    """Read what was written to it; empty at the end, where Linux gives an error."""
    try:
        return os.read(terminal, 1 << 16)
    except OSError:
        return b""


def test_bad_input_is_refused_in_a_sentence(project: Path) -> None:
    code, printed = output("parallel_repro", "nowhere/dvc.yaml", cwd=project)
    assert (code, printed) == (1, "error: there is no file nowhere/dvc.yaml\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "stages: {a: {cmd: x, deps: [b]}, b: {cmd: x, outs: [b], deps: [b]}}",
            "both a dependency and an output",
        ),
        (
            "stages: {a: {cmd: x, deps: [b], outs: [c]}, b: {cmd: x, deps: [c], outs: [b]}}",
            "both a dependency and an output in stages",
        ),
        ("stages: {a: {cmd: x, outs: [o]}, b: {cmd: x, outs: [o]}}", "specified"),
        ("stages: [", "Unable to read|invalid|YAML"),
        ("stages: {a: {}}", "validation failed|is invalid"),
        ("stages: {}", "holds no stages"),
    ],
)
def test_a_bad_file_is_told_in_a_line(project: Path, text: str, message: str) -> None:
    file = project / "dvc.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=message) as told:
        load_stages(file)
    assert "\n" not in str(told.value)


def test_files_that_are_not_of_dvc_are_refused(project: Path, tmp_path_factory) -> None:
    with pytest.raises(UserError, match=r"stage\.py holds no stages"):
        load_stages(project / "stage.py")
    stray = tmp_path_factory.mktemp("elsewhere") / "dvc.yaml"
    stray.write_text(SMALL)
    with pytest.raises(UserError, match="not inside of a DVC repository"):
        load_stages(stray)


@pytest.mark.parametrize("devices", ["", ",", "0,", "0,0", "0, 1,0"])
def test_bad_device_lists_are_refused(devices: str) -> None:
    with pytest.raises(UserError, match="list each device once"):
        driver.parse_devices(devices)


def test_devices_are_the_visible_ones(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-7")
    assert driver.parse_devices(driver.visible_devices()) == ["2", "GPU-7"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert driver.parse_devices(driver.visible_devices()) == ["-1"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("capsnet.parallel_repro.__main__.cores", lambda: 3)
    assert driver.parse_devices(driver.visible_devices()) == ["0", "1", "2"]
    driver.warn_without_gpu(3)
    assert "no NVIDIA GPU found: stages run on the CPU, up to 3" in capsys.readouterr().out
    first, second = "GPU 0: RTX Laptop GPU (UUID: GPU-1)", "GPU 1: H200 (UUID: x)"
    listing = f"{first}\n  MIG 1g Device 0: (UUID: MIG-1)\n{second}"
    stand_in(tmp_path, "nvidia-smi", f"echo '{listing}'")
    assert driver.parse_devices(driver.visible_devices()) == ["0", "1"]
    driver.warn_without_gpu(3)
    assert not capsys.readouterr().out
    with pytest.raises(UserError, match="there are 2 GPUs, from 0; no 2"):
        driver.parse_devices("1,2")


def stand_in(folder: Path, name: str, script: str) -> None:
    """An executable that `PATH=folder` finds in place of NVIDIA's."""
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.mark.slow
def test_several_stages_run_on_each_device(project: Path) -> None:
    held = [steer(project, "hold", name) for name in ("lone", "other")]
    options = ("--devices", "3", "--jobs-per-device", "2")
    process = command("parallel_repro", "small/dvc.yaml", *options, cwd=project)
    wait_for(lambda: len(runs(project)) == 2, process)
    assert [device for _, _, device, _ in notes(project)] == ["3", "3"]
    for file in held:
        file.unlink()
    printed, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, printed
    assert "2 stages done, 2 of them run" in printed
    assert "share each GPU" not in printed  # there is none here


def test_a_stage_starts_on_the_device_with_most_free_slots(project: Path) -> None:
    stages, needs, root = load_stages(project / "small/dvc.yaml")
    pipeline = Pipeline(stages, needs, root, ["0", "1", "1"])
    pipeline.step()
    assert [stage.device for stage in pipeline.named(State.RUNNING)] == ["1", "0"]
    pipeline.stop(lambda: True, lambda: None)
    assert sorted(pipeline.free) == ["0", "1", "1"]


@pytest.mark.parametrize(
    ("daemon", "said"),
    [
        ('read word && [ "$word" = get_server_list ] && echo 4711', "by MPS"),
        ("cat; echo 'Cannot find MPS control daemon process'; exit 1", "by taking turns: no MPS"),
        ("cat; echo 'Cannot find MPS control daemon process'", "by taking turns: no MPS"),
        (None, "`nvidia-cuda-mps-control -d` starts one"),
    ],
)
def test_how_stages_share_a_gpu_is_told(
    daemon: str | None,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    stand_in(tmp_path, "nvidia-smi", "echo 'GPU 0: H100 (UUID: GPU-1)'")
    if daemon is not None:
        stand_in(tmp_path, "nvidia-cuda-mps-control", daemon)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert driver.slots_of(["0"], 3) == ["0", "0", "0"]
    printed = capsys.readouterr().out
    assert printed.startswith("3 stages at a time share each GPU by ")
    assert said in printed
    assert printed.count("\n") == 1
    for devices, jobs in ((["0"], 1), (["-1"], 2)):  # nothing is shared; the CPU is asked for
        assert driver.slots_of(devices, jobs) == devices * jobs
        assert capsys.readouterr().out == ""


def test_a_daemon_that_hangs_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stand_in(tmp_path, "nvidia-cuda-mps-control", "exec sleep 60")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(mps, "ANSWER", 0.2)
    assert not mps.running()


@pytest.mark.parametrize("jobs", [0, -2])
def test_less_than_one_job_per_device_is_refused(jobs: int) -> None:
    with pytest.raises(UserError, match=f"jobs-per-device {jobs}: one stage or more"):
        driver.slots_of(["0"], jobs)


def test_slots_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capsnet.parallel_repro.jobs.cores", lambda: 7)
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert environment("0", 2)["OMP_NUM_THREADS"] == "3"
    assert environment("0", 9)["OMP_NUM_THREADS"] == "1"
    assert "OMP_NUM_THREADS" not in environment("0", 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert environment("0", 2)["OMP_NUM_THREADS"] == "5"


def test_the_last_line_is_what_a_terminal_shows() -> None:
    assert last_line("epoch 1\n\x1b[2K 10%\r\x1b[31m 20%\x1b[0m\a\r\n\n") == "20%"
    assert last_line("\n") == ""


def test_a_stage_waits_at_most_half_a_minute_however_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    stage = Stage("train", tmp_path / "train.log")
    stage.log.write_text("error: another process is training in runs/x\n")
    for _ in range(2000):
        stage.end(1)
    assert stage.state is State.WAITING
    assert stage.not_before == pytest.approx(100 + 0.5 * 1.5**10)  # 29 s


def test_a_log_that_was_deleted_ends_nothing(tmp_path: Path) -> None:
    stage = Stage("train", tmp_path / "train.log")
    stage.refresh()
    stage.end(0)
    assert (stage.state, stage.line) == (State.DONE, "was up to date")


def test_an_unfinished_matrix_depends_on_data_and_composition() -> None:
    stages, needs, root = load_stages(Path(__file__).parents[1] / "demo/dvc.yaml")
    train, data = "demo/dvc.yaml:train@mnist_capsnet_r1-0", "demo/dvc.yaml:digits"
    assert needs[train] == {data, "demo/dvc.yaml:compose"}
    assert needs["demo/dvc.yaml:report"] >= {train, data}
    logs = {stage.name: stage.log for stage in stages}
    assert logs[data] == root / "runs/pipeline/demo/digits.log"
    assert len(set(logs.values())) == len(logs)
    assert all(name.startswith("demo/dvc.yaml:") for name in needs)


@st.composite
def graphs(draw: st.DrawFn) -> Needs:
    """Up to nine stages in any order; each needs some of the others, and what those need."""
    names = draw(st.permutations([f"s{k}" for k in range(draw(st.integers(0, 9)))]))
    needs: dict[str, set[str]] = {}
    for name in names:
        direct = draw(st.sets(st.sampled_from(sorted(needs)))) if needs else set()
        needs[name] = direct.union(*(needs[other] for other in direct))
    return {name: needs[name] for name in sorted(needs)}


@given(graphs(), st.integers(1, 4), st.integers(0, 2**32))
def test_every_stage_ends_once_and_as_it_must(needs: Needs, num_slots: int, seed: int) -> None:
    chance = random.Random(seed)
    bad = {stage for stage in needs if chance.random() < 0.2}
    states = dict.fromkeys(needs, State.WAITING)
    ended: list[str] = []
    for _ in range(1000):
        if not set(states.values()) & {State.WAITING, State.RUNNING}:
            break
        for stage in cut_off(needs, states):
            states[stage] = State.NOT_RUN
        held = {stage for stage in needs if chance.random() < 0.2}
        started = startable(needs, states, num_slots, held)
        assert not held & set(started)
        for stage in started:
            assert states[stage] == State.WAITING
            assert all(states[need] == State.DONE for need in needs[stage])
            states[stage] = State.RUNNING
        running = [stage for stage, state in states.items() if state == State.RUNNING]
        assert len(running) <= num_slots
        able = [s for s in needs if states[s] == State.WAITING and s not in held]
        idle = all(any(states[n] != State.DONE for n in needs[s]) for s in able)
        assert len(running) == num_slots or idle
        if running:
            stage = chance.choice(running)
            states[stage] = State.FAILED if stage in bad else State.DONE
            ended.append(stage)
    assert len(ended) == len(set(ended))
    for stage, state in states.items():
        without = any(states[need] == State.FAILED for need in needs[stage])
        assert (state == State.NOT_RUN) == without
        assert (stage in ended) == (not without)
        assert without or (state == State.FAILED) == (stage in bad)


@pytest.mark.slow
def test_a_killed_pipeline_of_real_trainings_ends_in_the_table(tmp_path: Path) -> None:
    tiny_copy(tmp_path)
    pipeline, profile = tmp_path / "demo/dvc.yaml", tmp_path / "conf/profile/demo.yaml"
    read_yaml = yaml.safe_load(pipeline.read_text())
    kept = ("digits", "compose", "train", "report")
    read_yaml["stages"] = {name: read_yaml["stages"][name] for name in kept}
    read_yaml["stages"]["report"]["deps"].remove("results/demo-data")  # of a stage that is left out
    pipeline.write_text(yaml.safe_dump(read_yaml))
    long = profile.read_text().replace("steps: 3,", "steps: 150,")
    profile.write_text(
        long.replace("progress: false", "progress: false, log_every: 7, checkpoint_every: 0")
    )
    arguments, source = ("demo/dvc.yaml", "--devices", "0,1"), str(tmp_path / "src")
    process = command("parallel_repro", *arguments, cwd=tmp_path, PYTHONPATH=source)
    wait_for(lambda: any(tmp_path.glob("runs/demo/*/seed0/checkpoints/last.ckpt")), process)
    process.kill()
    process.communicate()
    code, printed = output("parallel_repro", *arguments, cwd=tmp_path, PYTHONPATH=source)
    assert code == 0, printed
    assert ("on the CPU, up to 2 at a time" in printed) == (driver.gpus() == 0)
    logs = [log.read_text() for log in tmp_path.glob("runs/pipeline/demo/train@*.log")]
    assert len(logs) == 2
    assert any("resuming from last.ckpt" in log for log in logs)
    page, *_ = (tmp_path / "results/demo.md").read_text().partition("## Claims")
    assert page.count("uci-digits") == 2
