"""`python -m capsnet.explorer [CHECKPOINT]`: look into a trained CapsNet, on a page in the browser.

CHECKPOINT is the folder of a finished run with a decoder, its weights.safetensors, or a name in
results/weights/; without it, the one that `make demo` leaves. The page is served to this machine
alone, and needs no other.
"""

import argparse
import socket
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from capsnet.data import storage
from capsnet.data.pictures import located
from capsnet.errors import UserError, exit_on_user_error
from capsnet.records.run_folder import KEPT, kept_names, trained_run
from capsnet.startup import quick_imports

DEMO = Path("runs/demo/mnist_capsnet_r3_recon/seed0")
PORT = 2017  # the year of the paper


def main() -> None:
    """Open the checkpoint, serve the page until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m capsnet.explorer", description=__doc__)
    parser.add_argument("checkpoint", nargs="?", type=Path, metavar="CHECKPOINT")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0: all who reach this machine")
    parser.add_argument("--port", type=int, default=PORT, help=f"({PORT})")
    arguments = parser.parse_args()
    with exit_on_user_error():
        explore(arguments.checkpoint, arguments.host, arguments.port)


def explore(checkpoint: Path | None, host: str, port: int) -> None:
    """Serve the page. Raises UserError when that, or showing the checkpoint, is not possible."""
    if find_spec("nicegui") is None:
        raise UserError("the explorer needs NiceGUI: run `pip install -e '.[explore]'`")
    require_free(host, port)
    if checkpoint is None and not DEMO.is_dir():
        trained = "".join(f", or {name}, which is in {KEPT}/" for name in kept_names())
        raise UserError(
            f"{DEMO} does not exist: run `make demo`, or name the folder of a finished run{trained}"
        )
    # What may be missing comes before torch, whose import takes seconds.
    data = located(trained_run(checkpoint or DEMO).data)
    storage.read_manifest(Path(data.root) / data.source)

    with quick_imports():
        from capsnet.explorer.checkpoint import load_run
        from capsnet.explorer.page import serve

    loaded = load_run(checkpoint or DEMO)
    print(f"Capsule explorer: http://{host}:{port} (Ctrl-C ends it)", flush=True)
    with suppress(KeyboardInterrupt):  # the way to end it
        serve(loaded, host, port)


def require_free(host: str, port: int) -> None:
    """Raise UserError when `port` cannot be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or error
            raise UserError(
                f"port {port} of {host} is not available ({why}): name another one with --port"
            ) from error


if __name__ == "__main__":
    main()
