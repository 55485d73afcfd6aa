"""Ask for NVIDIA's Multi-Process Service (MPS), by which several processes compute on one GPU.

Without it they take turns. A program uses MPS by itself where a control daemon runs. The user
starts that one (`nvidia-cuda-mps-control -d`); the pipeline starts none, since a daemon would stay
behind after kill -9, and on a shared machine it is the administrator's to run.
"""

import subprocess

CONTROL = "nvidia-cuda-mps-control"
ANSWER = 10.0  # seconds that the daemon has to answer


def running() -> bool:
    """Return whether an MPS control daemon answers."""
    try:
        asked = subprocess.run(
            [CONTROL], input="get_server_list\n", capture_output=True, text=True, timeout=ANSWER
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0 and "Cannot find MPS control daemon" not in (
        asked.stdout + asked.stderr
    )


def sharing(jobs: int) -> str:
    """Return one line that says how `jobs` stages at a time share a GPU."""
    how = (
        "by MPS"
        if running()
        else f"by taking turns: no MPS daemon answers, `{CONTROL} -d` starts one"
    )
    return f"{jobs} stages at a time share each GPU {how}"
