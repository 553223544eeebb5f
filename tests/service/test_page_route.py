"""The page at ``/``: its files are all there, and it may load and run nothing else."""

import re
from pathlib import Path

import pytest

from monolayer_service.routes import page

FOLDER = Path(page.__file__).parents[1] / "pages" / "page"
FILES = sorted(path.name for path in FOLDER.iterdir())
MODULES = [name for name in FILES if name.endswith(".js")]


def test_the_page_may_load_and_run_only_what_the_service_serves(client):
    answer = client.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    (policy,) = answer.headers.get_list("content-security-policy")
    assert policy == (
        "default-src 'none'; connect-src 'self'; img-src 'self' blob:; script-src 'self'; style-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    )
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_the_policy_opens_nothing(client):
    policy = client.get("/").headers["content-security-policy"]
    names = [part.split()[0] for part in policy.split("; ")]
    assert len(names) == len(set(names))  # of a directive that is there twice, browsers read the first alone
    sources = {source for part in policy.split("; ") for source in part.split()[1:]}
    assert sources == {"'none'", "'self'", "'script'", "blob:"}  # no 'unsafe-inline', 'unsafe-eval', data:, host or *
    assert [part for part in policy.split("; ") if "blob:" in part] == ["img-src 'self' blob:"]


def test_nothing_is_written_into_the_page_itself(client):
    text = client.get("/").text
    assert re.findall(r"<style|style=|\son\w+=|<script(?![^>]*\ssrc=)", text) == []
    assert "://" not in text


@pytest.mark.parametrize("name", [name for name in FILES if name != "index.html"])
def test_every_file_is_served_as_what_it_is(client, name):
    answer = client.get(f"/page/{name}")
    kinds = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    assert answer.headers["content-type"].partition(";")[0] == kinds[Path(name).suffix]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.content == (FOLDER / name).read_bytes()


def test_all_that_is_named_is_there():
    named = re.findall(r'(?:src|href)="page/([^"]+)"', (FOLDER / "index.html").read_text(encoding="utf-8"))
    for module in MODULES:
        named += re.findall(r'from "\./([^"]+)"', (FOLDER / module).read_text(encoding="utf-8"))
    assert set(named) == set(FILES) - {"index.html"}


@pytest.mark.parametrize("module", MODULES)
def test_no_module_makes_markup_of_text_or_runs_it(module):
    text = (FOLDER / module).read_text(encoding="utf-8")
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text) == []
    assert set(re.findall(r"\w+://[\w./]+", text)) <= {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("path", ["/page/index.html", "/page/..%2fdocs.html", "/page/", "/page/nothing.js"])
def test_nothing_else_is_served(client, path):
    assert client.get(path).status_code == 404
