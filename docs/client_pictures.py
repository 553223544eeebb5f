"""Make the pictures of the how-tos of the clients: each is what a client gave for the examples, asked of the service.

    python -m docs.client_pictures [NAME ...]

They need the packages of `make test-clients` and, for ImageJ, Java and Micro-Manager's script, its programs from
Debian's packages; Xvfb stands in for a screen.
"""

import io
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from benchmarks.server import running_service
from docs.made_frames import Nucleus, cut_nuclei, plate, plate_map, time_lapse
from docs.screenshots import reduced
from docs.terminal import command_line, draw_terminal, environment, typed
from matplotlib.figure import Figure

from monolayer_client.client import Client
from monolayer_client.microscope.frame import FrameMetadata, FrameResult
from monolayer_client.microscope.poster import FramePoster
from monolayer_client.microscope.pycromanager_hook import PycromanagerHook
from monolayer_core.image_io import decode_image
from monolayer_core.normalization import normalize
from monolayer_core.overlay import draw_overlay

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures" / "clients"
EXAMPLES = ROOT / "examples"
EXAMPLE = EXAMPLES / "fluorescence_large.png"
SHOWN = ("fluorescence_dense", "fluorescence_large", "fluorescence_sparse", "fluorescence_touching")
IMAGEJ = Path("/usr/share/java/ij.jar")
STAND_IN = ROOT / "docs" / "micromanager_stand_in.bsh"

IMAGEJ_DRIVER = """
open("{image}");
runMacro("{macro}", "{url}");
roiManager("Show All with labels");
selectWindow("ROI Manager"); setLocation(684, 82);
selectWindow("Log"); setLocation(684, 350);
wait(1500);
run("Capture Screen");
makeRectangle(304, 0, 696, 470);
run("Crop");
saveAs("PNG", "{picture}");
run("Quit");
"""
"""Macro for ImageJ; without a window manager the main window lies at 304, 0."""

Draw = Callable[[Path, str, Path], None]
"""Makes a picture: in a folder with the examples, of the service at an address, at a path."""


def main(names: Sequence[str]) -> None:
    PICTURES.mkdir(exist_ok=True)
    with running_service(start_seconds=60) as server:
        for name in names or DRAWINGS:
            with tempfile.TemporaryDirectory() as folder:
                shutil.copytree(EXAMPLES, Path(folder, "examples"))
                DRAWINGS[name](Path(folder), f"http://127.0.0.1:{server.port}", PICTURES / f"{name}.png")


def command_line_tool(folder: Path, url: str, picture: Path) -> None:
    """Draw the terminal while a folder is segmented and summed up."""
    segment = typed("monolayer segment examples --out results --format table", folder, url)
    draw_terminal([segment, typed("monolayer stats results", folder, url)], picture)


def watch(folder: Path, url: str, picture: Path) -> None:
    """Draw the terminal while images appear in a folder, each as soon as the one before is answered."""
    command = "monolayer watch acquisition --out objects --segment -f table"
    (folder / "acquisition").mkdir()
    lines = [f"$ {command}"]
    process = subprocess.Popen(
        command_line(command),
        cwd=folder,
        env=environment(url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        for time_point, example in enumerate(SHOWN):
            part = folder / "part"
            shutil.copy(EXAMPLES / f"{example}.png", part)
            part.rename(folder / "acquisition" / f"A01_t{time_point:03}.png")
            lines.append(process.stdout.readline().rstrip())
        process.send_signal(signal.SIGTERM)
        lines += ["^C", process.stderr.read()]
    draw_terminal(lines, picture)


def submission(folder: Path, url: str, picture: Path) -> None:
    """Draw the terminal while a submission is made, looked at and checked."""
    commands = (
        "monolayer submit examples -o submission.csv",
        "cut -c 1-100 submission.csv",
        "monolayer validate submission.csv --images examples",
    )
    submit, table, valid = [typed(command, folder, url) for command in commands]
    draw_terminal([submit, *table.splitlines()[:5], "...", valid], picture)


def java(folder: Path, url: str, picture: Path) -> None:
    """Draw the terminal while the example in Java is run."""
    called = "java examples/clients/Segment.java examples/{}.png {} answer.json"
    told = [
        typed(called.format(name, url), folder, url, shown=called.format(name, "http://127.0.0.1:8000"))
        for name in SHOWN[:2]
    ]
    draw_terminal(told, picture)


def micromanager(folder: Path, url: str, picture: Path) -> None:
    """Draw the terminal while Micro-Manager's script is run with a stand-in for the program, on an example."""
    script = EXAMPLES / "clients" / "micromanager_script.bsh"
    text = script.read_text(encoding="utf-8").replace("http://127.0.0.1:8000", url)
    (folder / script.name).write_text(text, encoding="utf-8")
    shutil.copy(STAND_IN, folder)
    jars = f"{IMAGEJ.with_name('bsh.jar')}:{IMAGEJ}"
    shutil.copy(EXAMPLES / "phase_contrast.png", folder)
    called = f"bsh.Interpreter {STAND_IN.name} phase_contrast.png {script.name}"
    told = typed(f"java -cp {jars} {called}", folder, url, shown=f"java -cp bsh.jar:ij.jar {called}")
    draw_terminal([told], picture)


def python(folder: Path, url: str, picture: Path) -> None:
    """Run the code that the page shows, which draws the picture."""
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    code = next(code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "savefig" in code)
    code = code.replace("http://127.0.0.1:8000", url)
    subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment(url) | {"MPLBACKEND": "agg"}, check=True)
    picture.write_bytes(reduced((folder / "areas.png").read_bytes()))


def imagej(folder: Path, url: str, picture: Path) -> None:
    """Let ImageJ run its macro before a screen that is not there, and take its own picture of it."""
    macro = EXAMPLES / "clients" / "imagej_macro.ijm"
    driver, screen = folder / "driver.ijm", folder / "screen.png"
    driver.write_text(IMAGEJ_DRIVER.format(image=EXAMPLE, macro=macro, url=url, picture=screen), encoding="utf-8")
    screen_size = ["xvfb-run", "--auto-servernum", "--server-args=-screen 0 1000x700x24"]
    program = ["java", f"-Duser.home={folder}", "-cp", str(IMAGEJ), "ij.ImageJ", "-macro", str(driver)]
    subprocess.run([*screen_size, *program], check=True, timeout=120)
    picture.write_bytes(reduced(screen.read_bytes()))


def qupath(_: Path, url: str, picture: Path) -> None:
    """Draw what QuPath's script sends, and the detections that it is given back."""
    with Client(url) as client:
        features = json.loads(client.segment(EXAMPLE, format="geojson"))["features"]
    image = decode_image(EXAMPLE.read_bytes()).pixels
    figure, (sent, given) = plt.subplots(1, 2, figsize=(10, 5.3), layout="constrained")
    for axis in (sent, given):
        axis.imshow(image * 2, extent=(0, image.shape[1], image.shape[0], 0))
        axis.axis("off")
    for feature in features:
        colour = np.array(feature["properties"]["classification"]["color"]) / 255
        shapes = feature["geometry"]["coordinates"]
        for ring in shapes if feature["geometry"]["type"] == "Polygon" else [ring for part in shapes for ring in part]:
            given.plot(*np.transpose(ring), color=colour, linewidth=1.2)
        given.text(
            *np.mean(ring, axis=0), feature["properties"]["name"], color="w", fontsize=7, ha="center", va="center"
        )
    sent.set_title("sent: the region as PNG")
    given.set_title(f"given back: {len(features)} detections as GeoJSON")
    save(figure, picture)


def pymmcore(_: Path, url: str, picture: Path) -> None:
    """Draw the frames of a sequence of the demo microscope with the objects that were found meanwhile."""
    import mm_test_adapters
    import useq
    from pymmcore_plus import CMMCorePlus

    from monolayer_client.microscope.pymmcore_hook import PymmcoreHook

    adapters = mm_test_adapters.device_adapter_path()
    core = CMMCorePlus(adapter_paths=[str(adapters)])
    core.loadSystemConfiguration(str(Path(adapters) / "MMConfig_demo.cfg"))
    core.setProperty("Camera", "Mode", "Fluorescent Beads")
    core.setProperty("Camera", "PixelType", "16bit")
    sequence = useq.MDASequence(
        stage_positions=[{"x": 300.0 * place, "y": 0.0, "name": f"A0{place + 1}"} for place in range(3)],
        channels=[{"config": "DAPI", "exposure": 5}, {"config": "FITC", "exposure": 8}],
    )
    frames: list[Any] = []
    results: list[FrameResult] = []
    core.mda.events.frameReady.connect(lambda frame, *_: frames.append(frame.copy()))
    with (
        Client(url) as client,
        FramePoster(client, results.append, call="segment", when_full="wait", model="nuclei") as poster,
        PymmcoreHook(core, poster),
    ):
        core.mda.run(sequence)
    core.unloadAllDevices()
    draw_frames(frames, results, lambda seen: f"{seen.position}, {seen.channel}", picture)


def pycromanager(_: Path, url: str, picture: Path) -> None:
    """Draw the time points that Pycro-Manager took of the demo microscope, with the objects that were found."""
    import mm_test_adapters
    import pycromanager as manager

    adapters = Path(mm_test_adapters.device_adapter_path())
    manager.start_headless(str(adapters), str(adapters / "MMConfig_demo.cfg"), python_backend=True, buffer_size_mb=64)
    frames: list[Any] = []
    results: list[FrameResult] = []
    try:
        manager.Core().set_property("Camera", "Mode", "Fluorescent Beads")
        events = manager.multi_d_acquisition_events(
            num_time_points=3,
            channel_group="Channel",
            channels=["DAPI", "FITC"],
            channel_exposures_ms=[5, 8],
            order="tc",
        )
        with (
            Client(url) as client,
            FramePoster(client, results.append, call="segment", when_full="wait", model="nuclei") as poster,
        ):
            hook = PycromanagerHook(poster)

            def take(image: Any, metadata: Any) -> Any:  # noqa: ANN401 - as Pycro-Manager calls it
                frames.append(image.copy())
                return hook.take(image, metadata)

            with manager.Acquisition(
                directory=None, name="run", image_process_fn=take, show_display=False
            ) as acquisition:
                acquisition.acquire(events)
    finally:
        manager.stop_headless()
    draw_frames(frames, results, lambda seen: f"t = {seen.index['t']}, {seen.channel}", picture)


def draw_frames(
    frames: Sequence[Any], results: Sequence[FrameResult], place: Callable[[FrameMetadata], str], picture: Path
) -> None:
    """Draw a quarter of each frame with outlines, in two rows, with where it was taken and the count of the whole."""
    figure, axes = plt.subplots(2, -(-len(frames) // 2), figsize=(10, 7.2), layout="constrained")
    for axis, frame, each in zip(axes.T.flat, frames, results, strict=True):
        drawn = draw_overlay(normalize(frame), each.result.labels(), class_ids=np.zeros(each.result.count, int))
        axis.imshow(drawn[: frame.shape[0] // 2, : frame.shape[1] // 2])
        axis.set_title(f"{place(each.metadata)}: {each.result.count} objects", fontsize=11)
        axis.axis("off")
    save(figure, picture)


def save(figure: Figure, picture: Path) -> None:
    """Write a figure as a PNG of few colours that is the same each time."""
    stream = io.BytesIO()
    figure.savefig(stream, dpi=80, metadata={"Software": None})
    plt.close(figure)
    picture.write_bytes(reduced(stream.getvalue()))


def series(folder: Path, url: str, picture: Path) -> None:
    """Draw the curves of a time lapse of two wells."""
    (folder / "timelapse").mkdir()
    for name, frame in time_lapse(made_of(url)):
        (folder / "timelapse" / name).write_bytes(frame)
    typed("monolayer confluency timelapse --out numbers --set model=nuclei", folder, url)
    typed("monolayer series numbers --target 12 -o growth.png", folder, url)
    picture.write_bytes(reduced((folder / "growth.png").read_bytes()))


def heat_map(folder: Path, url: str, picture: Path) -> None:
    """Draw the heat map of a plate with four conditions."""
    (folder / "plate7").mkdir()
    for name, frame in plate(made_of(url)):
        (folder / "plate7" / name).write_bytes(frame)
    (folder / "map.csv").write_text(plate_map(), encoding="utf-8")
    typed("monolayer confluency plate7 --out numbers --set model=nuclei", folder, url)
    typed("monolayer plate numbers --map map.csv -o plate.png", folder, url)
    picture.write_bytes(reduced((folder / "plate.png").read_bytes()))


def made_of(url: str) -> list[Nucleus]:
    """Nuclei for frames that are made up."""
    with Client(url) as client:
        return cut_nuclei(client, EXAMPLE)


DRAWINGS: dict[str, Draw] = {
    "command-line": command_line_tool,
    "watch": watch,
    "submission": submission,
    "python": python,
    "imagej": imagej,
    "qupath": qupath,
    "java": java,
    "micromanager": micromanager,
    "pymmcore": pymmcore,
    "pycromanager": pycromanager,
    "series": series,
    "plate": heat_map,
}

if __name__ == "__main__":
    main(sys.argv[1:])
