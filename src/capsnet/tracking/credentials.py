"""Find out whether W&B has a key to its server."""

import netrc
import os
from urllib.parse import urlsplit

CLOUD = "https://api.wandb.ai"


def host() -> str:
    """Return the host of W&B's own server, or of WANDB_BASE_URL, with its port if it has one."""
    return urlsplit(os.environ.get("WANDB_BASE_URL") or CLOUD).netloc


def logged_in() -> bool:
    """Tell whether there is a key to `host()`, in the environment or from `wandb login`."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host()) is not None
    except (FileNotFoundError, netrc.NetrcParseError):
        return False
