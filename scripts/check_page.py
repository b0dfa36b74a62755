"""Use the chat page as a person does, in headless Chromium, and take pictures of it on the way.

    pip install playwright                       # its own browser is not needed
    pose-rft serve --port 7860 &
    python scripts/check_page.py http://127.0.0.1:7860 --pictures runs/page

Types a prompt, waits for words and bodies, turns a body (its pixels change), downloads the GLB and reads it, holds a
conversation of ten turns (each has to do what it says, by geometry), goes back by pictures and button, uploads a
picture; on a desktop and on a telephone, light and dark. Ends with status 1 if anything is not as it should be, at any
request to another host, and at any error in the browser's console.
"""

import argparse
import io
import sys
from pathlib import Path

import numpy as np
import torch
import trimesh
from PIL import Image
from playwright.sync_api import Locator, Page, sync_playwright

from pose_rft.body import load_body
from pose_rft.body.pose_files import read_poses
from pose_rft.data.photographs import TWO_PEOPLE
from pose_rft.posescript.checks import satisfied
from pose_rft.posescript.edits.comparisons import compare

SIZES = {"desktop": {"width": 1360, "height": 860}, "phone": {"width": 390, "height": 844}}
FLAGS = [
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
]  # fmt: skip
PATIENCE = 240_000  # milliseconds; a busy machine draws bodies without a GPU
SAME = "the same"  # as before the turn; a number is the turn whose pose it is
TURNS: list[tuple[str, str | int]] = [  # what is said, and what must hold of the body then
    ("A person stands upright with both arms hanging down.", "height(pelvis) > 0.7"),
    ("raise the left arm above the head", "up(left_wrist, head) > 0"),
    ("the other arm too", "min(up(left_wrist, head), up(right_wrist, head)) > 0"),
    ("look up", "gaze() > 10"),
    ("now sit down", "max(angle(left_knee), angle(right_knee)) < 130 and height(pelvis) < 0.7"),
    ("undo", 3),
    ("now on tiptoe like a ballerina", "min(height(left_heel), height(right_heel)) > 0.05"),
    ("thanks!", SAME),
    ("lower the left arm a lot", "change(y(left_wrist) - y(pelvis)) < -0.15"),
    ("show me a squat", "max(angle(left_knee), angle(right_knee)) < 120"),
]


def pixels(place: Locator) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(place.screenshot())).convert("RGB"), np.int16)


def settled(page: Page, canvas: Locator) -> np.ndarray:
    """What the canvas shows once it shows something and stays as it is."""
    before = pixels(canvas)
    for _ in range(60):
        page.wait_for_timeout(500)
        now = pixels(canvas)
        if now.std() > 5 and np.abs(now - before).mean() < 0.05:
            return now
        before = now
    raise AssertionError("the body does not appear")


def say(page: Page, text: str) -> str:
    """Send a message and wait for the words that answer it."""
    before = page.locator("#chat .user.message").count()
    box = page.locator("#box textarea")
    box.fill(text)
    box.press("Enter")
    page.wait_for_function(
        "before => { const last = [...document.querySelectorAll('#chat .bot.message, #chat .user.message')].at(-1);"
        " return document.querySelectorAll('#chat .user.message').length > before"
        " && last.matches('.bot') && last.innerText.trim() !== '...' }",
        arg=before,
        timeout=PATIENCE,
    )
    return " ".join(page.locator("#chat .bot.message").last.inner_text().split())


def shown_pose(page: Page) -> np.ndarray:
    """(22, 3) axis-angle of the first body, from the file that its button gives."""
    with page.expect_download(timeout=PATIENCE) as download:
        page.locator(".body:visible .downloads").first.get_by_text("npz").click()
    return read_poses(download.value.path()).pose[0]


def converse(page: Page, name: str, pictures: Path) -> None:
    """Ten turns, each of which has to do what it says; then back by a picture, and by the button."""
    canvas, poses = page.locator("#body-1 canvas"), []
    for number, (words, expected) in enumerate(TURNS):
        print(f"{name}: {words}", "->", say(page, words))
        page.wait_for_timeout(1000)  # the buttons get their files
        settled(page, canvas)
        page.screenshot(path=pictures / f"{name}-turn-{number + 1:02d}.png", full_page=True)
        poses.append(shown_pose(page))
        if isinstance(expected, int) or expected == SAME:
            before = poses[-2] if expected == SAME else poses[int(expected)]
            assert np.array_equal(poses[-1], before), f"{words!r} changes the body"
        else:
            before, now = load_body().points(torch.from_numpy(np.stack([poses[-2:][0], poses[-1]])))
            holds = compare([expected], before, now) if "change(" in expected else satisfied([expected], now)
            assert holds.all(), f"{words!r} is not followed: {expected}"
    thumbnails = page.locator("#strip button img, #strip .thumbnail-item img")
    assert thumbnails.count() >= len(set(map(bytes, poses))), "a pose without a picture"
    thumbnails.nth(thumbnails.count() - len(set(map(bytes, poses)))).click()
    page.wait_for_timeout(3000)
    assert np.array_equal(shown_pose(page), poses[0]), "the picture brings another pose back"
    thumbnails.last.click()
    page.wait_for_timeout(3000)
    page.locator("#undo").click()
    page.wait_for_timeout(3000)
    assert np.array_equal(shown_pose(page), poses[-2]), "the button does not go back"
    page.screenshot(path=pictures / f"{name}-undone.png", full_page=True)


def use(page: Page, address: str, name: str, pictures: Path) -> None:
    page.goto(address, wait_until="load", timeout=PATIENCE)
    canvas = page.locator("#body-1 canvas")
    canvas.wait_for(timeout=PATIENCE)
    rest = settled(page, canvas)
    assert not page.locator("#body-2").is_visible(), "a body too many"
    page.screenshot(path=pictures / f"{name}-empty.png", full_page=True)

    print(f"{name}: answer:", say(page, "a boxer throwing a left jab"))
    shown = settled(page, canvas)
    assert np.abs(shown - rest).mean() > 1, "the body is still at rest"

    canvas.scroll_into_view_if_needed()
    frame = canvas.bounding_box()
    assert frame is not None
    x, y = frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 120, y + 10, steps=8)
    page.mouse.up()
    turned = settled(page, canvas)
    assert np.abs(turned - shown).mean() > 1, "dragging does not turn the body"

    with page.expect_download(timeout=PATIENCE) as download:
        page.locator(".body:visible .downloads").first.get_by_text("GLB").click()
    content = Path(download.value.path()).read_bytes()
    mesh = trimesh.load(io.BytesIO(content), file_type="glb", force="mesh")
    assert len(mesh.faces) > 20_000
    print(f"{name}:", "downloaded", download.value.suggested_filename, len(content), "bytes")

    converse(page, name, pictures)
    page.locator("#box input[type=file]").set_input_files(
        files=[{"name": TWO_PEOPLE.name, "mimeType": "image/jpeg", "buffer": TWO_PEOPLE.read_bytes()}]
    )
    page.wait_for_timeout(1500)
    print(f"{name}: picture:", say(page, "What is the pose of the person on the left?"))
    settled(page, page.locator("#body-1 canvas"))
    page.screenshot(path=pictures / f"{name}-photograph.png", full_page=True)
    number = page.get_by_label("number input for Bodies")
    number.fill("4")
    number.press("Tab")
    page.wait_for_timeout(500)
    print(f"{name}: four:", say(page, "Someone sits cross-legged with the hands on the knees."))
    page.locator("#body-4 canvas").wait_for(timeout=PATIENCE)
    for body in range(1, 5):
        settled(page, page.locator(f"#body-{body} canvas"))
    page.screenshot(path=pictures / f"{name}-four.png", full_page=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("--pictures", type=Path, default=Path("runs/page"))
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--only", choices=[f"{size}-{scheme}" for size in SIZES for scheme in ("light", "dark")])
    arguments = parser.parse_args()
    arguments.pictures.mkdir(parents=True, exist_ok=True)
    problems: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=arguments.chromium, args=FLAGS)
        for size, viewport in SIZES.items():
            for scheme in ("light", "dark"):
                name = f"{size}-{scheme}"
                if arguments.only not in (None, name):
                    continue
                context = browser.new_context(viewport=viewport, color_scheme=scheme, has_touch=size == "phone")
                page = context.new_page()
                # Babylon tries WebGPU, which a headless browser does not have, before WebGL.
                page.on(
                    "console",
                    lambda m: m.type == "error" and "WebGPU" not in m.text and problems.append(f"console: {m.text}"),
                )
                page.on(
                    "request",
                    lambda r: (
                        r.url.startswith(("http", "ws"))
                        and not r.url.startswith(arguments.address)
                        and problems.append(f"asks {r.url}")
                    ),
                )
                use(page, arguments.address, name, arguments.pictures)
                context.close()
        browser.close()
    print("\n".join(problems) or "nothing was asked from another host, and the console shows no error")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
