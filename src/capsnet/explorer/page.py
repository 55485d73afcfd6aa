"""The page, one for every visitor, and the server."""

from pathlib import Path

import numpy as np
from nicegui import ui

from capsnet.explorer.checkpoint import ExploredRun, caveats, describe
from capsnet.explorer.panels.equivariance import Equivariance
from capsnet.explorer.panels.input import Input
from capsnet.explorer.panels.lengths import Lengths
from capsnet.explorer.panels.pose import Pose
from capsnet.explorer.panels.routing import Routing
from capsnet.explorer.session import Recompute, Result, Session
from capsnet.explorer.widgets import box, html

STYLE = Path(__file__).with_name("style.css")
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">'
    '<rect width="16" height="16" rx="4" fill="#0072b2"/>'
    '<path d="M4 12V8M8 12V3M12 12v-2" stroke="#fff" stroke-width="2"/></svg>'
)


async def show(loaded: ExploredRun) -> None:
    """Build one visitor's page and show its first picture."""
    session = Session(loaded.network, np.zeros(loaded.info.image, np.float32))
    with ui.element("header"):
        html("h1", content="Capsule explorer")
        show_description(loaded)
    with box("panels"):
        first, lengths = Input(session, loaded), Lengths(session, loaded)
        routing, pose = Routing(loaded), Pose(session, loaded)
        equivariance = Equivariance(session, loaded)

    def update(result: Result, recompute: Recompute) -> None:
        pose.show(result, recompute)
        if recompute > Recompute.RECONSTRUCTION:
            for panel in (first, lengths, routing, equivariance):
                panel.show(result)

    session.subscribe(update, equivariance.draw)
    await first.start()


def show_description(loaded: ExploredRun) -> None:
    """Describe the weights, and name their caveats prominently."""
    with box("weights"):
        for caveat in caveats(loaded):
            ui.label(caveat).classes("caveat")
        for fact in describe(loaded):
            ui.label(fact).classes("fact")


def serve(loaded: ExploredRun, host: str, port: int) -> None:
    """Serve the page until Ctrl-C."""

    async def page() -> None:
        ui.add_css(STYLE)
        await show(loaded)

    ui.run(
        page,
        host=host,
        port=port,
        title="Capsule explorer",
        favicon=ICON,
        dark=None,
        language="en-US",
        reload=False,
        show=False,
        show_welcome_message=False,
        tailwind=False,
    )
