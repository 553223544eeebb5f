"""What the load balancers' configurations admit and wait for fits the defaults of the service."""

import re

import pytest
from benchmarks.places import ROOT

from monolayer_service.__main__ import _KEEP_ALIVE_SECONDS
from monolayer_service.settings import Settings

NGINX = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
HAPROXY = (ROOT / "deploy" / "haproxy.cfg").read_text(encoding="utf-8")
SETTINGS = Settings()


def numbers(text, pattern):
    """Give every number that the pattern's group finds in the lines that are no comments."""
    found = re.findall(pattern, re.sub(r"#.*", "", text))
    assert found
    return [float(number) for number in found]


def test_bodies_of_the_services_size_are_admitted():
    assert numbers(NGINX, r"client_max_body_size (\d+)m;") == [SETTINGS.max_body_mib]


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        (NGINX, r"proxy_read_timeout (\d+)s;"),
        (HAPROXY, r"timeout server (\d+)s"),
        (HAPROXY, r"timeout client (\d+)s"),
    ],
    ids=["nginx", "haproxy, replica", "haproxy, caller"],
)
def test_the_largest_image_is_waited_for_until_its_deadline(text, pattern):
    megapixels = SETTINGS.max_image_megapixels
    deadline = SETTINGS.deadline_seconds + SETTINGS.deadline_seconds_per_megapixel * megapixels
    assert all(deadline < seconds < 2 * deadline for seconds in numbers(text, pattern))


@pytest.mark.parametrize(
    ("text", "pattern"),
    [(NGINX, r"keepalive_timeout (\d+)s;\s*\}"), (HAPROXY, r"timeout http-keep-alive (\d+)s")],
    ids=["nginx", "haproxy"],
)
def test_a_connection_to_the_service_is_not_kept_longer_than_the_service_keeps_it(text, pattern):
    assert max(numbers(text, pattern)) < _KEEP_ALIVE_SECONDS


@pytest.mark.parametrize(
    ("text", "pattern"),
    [(NGINX, r"proxy_send_timeout (\d+)s;"), (HAPROXY, r"(?s)backend .*timeout http-request (\d+)s")],
    ids=["nginx", "haproxy"],
)
def test_a_body_has_as_long_as_the_service_gives_it(text, pattern):
    assert numbers(text, pattern) == [SETTINGS.upload_seconds]


@pytest.mark.parametrize(
    ("text", "pattern"),
    [(NGINX, r"client_header_timeout (\d+)s;"), (HAPROXY, r"(?s)defaults\n.*timeout http-request (\d+)s.*\nbackend ")],
    ids=["nginx", "haproxy"],
)
def test_a_head_has_as_long_as_the_service_gives_it(text, pattern):
    assert numbers(text, pattern) == [SETTINGS.head_seconds]


def test_a_replica_that_drains_is_looked_away_from_in_time():
    """The comment in haproxy.cfg names a drain time: two checks, and a third that was under way at the signal."""
    (interval,) = numbers(HAPROXY, r"check inter (\d+)s")
    (fall,) = numbers(HAPROXY, r"fall (\d+)")
    drain = float(re.search(r"MONOLAYER_DRAIN_SECONDS=(\d+)", HAPROXY)[1])
    assert interval * (fall + 1) < drain


def test_every_replica_is_named_in_both():
    ports = ["8001", "8002", "8003"]
    assert re.findall(r"server 127\.0\.0\.1:(\d+)", NGINX) == ports
    assert re.findall(r"server \w+ 127\.0\.0\.1:(\d+)", HAPROXY) == ports
