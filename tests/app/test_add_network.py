"""A network of one's own, added on the page, attacked there, and removed again."""

from __future__ import annotations

from pathlib import Path

import torch
import torchvision.models
from playwright.sync_api import expect
from safetensors.torch import save_file

from tests.support.browser import Playground

NAME = "my_shuffle"


def weights(folder: Path) -> Path:
    """Return a file of a small network's random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = torchvision.models.shufflenet_v2_x0_5(num_classes=7)
    save_file(network.state_dict(), folder / "mine.safetensors")
    return folder / "mine.safetensors"


def test_a_network_is_added_attacked_and_removed_on_the_page(playground: Playground, tmp_path: Path) -> None:
    page = playground.page
    page.goto(f"{playground.site.url}/catalogue?part=models")
    page.get_by_role("button", name="Add a network").click()
    page.get_by_label("Call it").fill(NAME)
    page.get_by_label("Name there").fill("shufflenet_v2_x0_5")
    with page.expect_response(lambda response: response.request.method == "PUT"):  # it moves the button
        page.locator("[class*=st-key-added-file] input[type=file]").set_input_files(weights(tmp_path))
    page.get_by_text("What you know of it").click()
    playground.still()
    page.get_by_label("Side of its images in pixels").fill("64")
    page.get_by_role("button", name="Check and add").click()
    expect(page.get_by_role("heading", name="What was checked")).to_be_visible()
    expect(page.get_by_role("heading", name=NAME)).to_be_visible()
    expect(page.get_by_text("Nobody says how images are normalised")).to_be_visible()
    try:
        playground.open(f"?model={NAME}&attack=bim&steps=3&stop=steps")
        playground.run()
        playground.reaches("finished")
        assert playground.count == 4
    finally:
        page.goto(f"{playground.site.url}/catalogue?part=models&network={NAME}")
        page.get_by_role("button", name="Remove it").click()
        page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_role("button", name=NAME)).to_have_count(0)
    assert not playground.complaints
