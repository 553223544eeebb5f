"""What the thread of the event loop does with its processor time while requests go through the service.

Runs the service in this process under a profiler that counts the processor time of one thread, posts a small image
again and again to be clustered, and adds up by package what the functions themselves took. Everything else a request
needs is done in other threads: `benchmarks.steps` has that.

    python -m benchmarks.event_loop
"""

import argparse
import cProfile
import itertools
import os
import pstats
import signal
import sysconfig
import threading
import time
from collections import Counter
from pathlib import PurePath
from types import FrameType

from benchmarks.load import Post, post_all
from benchmarks.pictures import encode_mosaic, read_picture
from benchmarks.places import EXAMPLES, ROOT
from benchmarks.server import free_port, is_ready
from benchmarks.tables import markdown_table

from monolayer_service.__main__ import serve
from monolayer_service.settings import Settings

SIDE = 64
PATH = "/v1/segment?method=kmeans"
SHOWN = 12
FUNCTIONS = ("solve_dependencies", "receive_image")
"""Whose time, with all they call, is told besides."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=300)
    requests = parser.parse_args().requests
    profile = cProfile.Profile(time.thread_time)
    port = free_port()

    def begin(_: int, __: FrameType | None) -> None:
        profile.enable()

    signal.signal(signal.SIGUSR1, begin)  # handlers run in the main thread, which is the one to be profiled
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the server passes the signal on when it has stopped
    driver = threading.Thread(target=drive, args=(port, requests))
    driver.start()
    serve(Settings().model_copy(update={"host": "127.0.0.1", "port": port}))
    profile.disable()
    driver.join()
    print(report(pstats.Stats(profile), requests))


def drive(port: int, requests: int) -> None:
    """Warm up, let the profile begin, post, and stop the server."""
    while not is_ready(port, "/livez"):
        time.sleep(0.1)
    post = Post(PATH, encode_mosaic(read_picture(EXAMPLES / "fluorescence_tissue.png"), SIDE))
    try:
        post_all(port, itertools.repeat(post, 10), clients=1)
        os.kill(os.getpid(), signal.SIGUSR1)
        post_all(port, itertools.repeat(post, requests), clients=1)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


def report(stats: pstats.Stats, requests: int) -> str:
    """Shares by package, and those of single functions with all they call."""
    own: Counter[str] = Counter()
    within: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    for (file, _, name), (_, number, own_seconds, seconds, _) in stats.stats.items():
        own[package_of(file)] += own_seconds
        if name in FUNCTIONS:
            within[name] += seconds
            calls[name] += number
    total = own.total()
    rows = [(package, f"{100 * seconds / total:.0f} %") for package, seconds in own.most_common(SHOWN)]
    rows += [
        (
            f"`{name}` and all it calls, begun or resumed {calls[name] / requests:.0f} times a request",
            f"{100 * seconds / total:.0f} %",
        )
        for name, seconds in within.items()
    ]
    return markdown_table(("the event loop's processor time", "share"), rows)


def package_of(file: str) -> str:
    """The installed package, the project's part or the standard library that a file belongs to.

    Examples
    --------
    >>> package_of("~")
    'built-in functions'
    """
    if file == "~":
        return "built-in functions"
    path = PurePath(file)
    for folder in (sysconfig.get_path("purelib"), *(str(part) for part in ROOT.iterdir() if part.is_dir())):
        if path.is_relative_to(folder):
            return path.relative_to(folder).parts[0].removesuffix(".py")
    return "standard library"


if __name__ == "__main__":
    main()
