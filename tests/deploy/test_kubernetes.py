"""The Kubernetes manifests are valid, and fit the service: its settings, its image, its probes."""

import re

import pytest
from benchmarks.places import ROOT

from monolayer_service.segmenters.base import WHOLE_BYTES_PER_PX, WINDOWS_BYTES_PER_PX
from monolayer_service.settings import PREFIX, Settings

kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="make test brings kubernetes-validate")
yaml = pytest.importorskip("yaml")

OLDEST = "1.27"
MIB_OF = {"Mi": 1, "Gi": 1024}


@pytest.fixture(scope="module")
def objects():
    text = (ROOT / "deploy" / "kubernetes" / "monolayer.yaml").read_text(encoding="utf-8")
    return {document["kind"]: document for document in yaml.safe_load_all(text)}


@pytest.fixture(scope="module")
def pod(objects):
    return objects["Deployment"]["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def container(pod):
    (container,) = pod["containers"]
    return container


@pytest.fixture(scope="module")
def settings(container):
    values = {variable["name"]: variable["value"] for variable in container["env"]}
    assert all(name.startswith(PREFIX) for name in values)
    fields = {name.removeprefix(PREFIX).lower(): value for name, value in values.items()}
    assert set(fields) <= set(Settings.model_fields)
    return Settings(**fields)


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
def test_every_object_is_valid_and_has_no_field_that_is_not_known(objects, version):
    assert set(objects) == {"Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"}
    for document in objects.values():
        kubernetes_validate.validate(document, version, strict=True)


def test_all_objects_mean_the_same_pods(objects):
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert objects["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert objects["Service"]["spec"]["selector"] == labels
    assert objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert objects["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == "monolayer"
    assert "replicas" not in objects["Deployment"]["spec"]  # applying it again must not undo the autoscaler


def test_the_grace_period_holds_draining_and_shutting_down(pod, settings):
    assert pod["terminationGracePeriodSeconds"] >= settings.drain_seconds + settings.shutdown_seconds + 5


def test_a_pod_that_drains_is_found_out_before_its_port_closes(container, settings):
    probe = container["readinessProbe"]
    assert probe["httpGet"]["path"] == "/readyz"
    assert probe["periodSeconds"] * probe["failureThreshold"] < settings.drain_seconds


def test_only_a_process_that_stands_still_is_restarted(container):
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert container["startupProbe"]["httpGet"]["path"] == "/livez"


def test_it_runs_as_the_image_does_and_may_do_nothing_else(pod, container):
    uid = int(re.search(r"^USER (\d+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)[1])
    assert pod["securityContext"]["runAsUser"] == uid == 10001
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert [port["containerPort"] for port in container["ports"]] == [8000]


def test_the_memory_holds_the_bodies_and_the_large_images_in_windows_or_one_as_a_whole(container, settings):
    """Busy with small images it stays below 1.4 GB; an image as a whole is computed beside no other large one."""
    limit = container["resources"]["limits"]["memory"]
    limit_mib = int(limit[:-2]) * MIB_OF[limit[-2:]]
    windows_bytes = WINDOWS_BYTES_PER_PX * settings.running_megapixels * 1e6
    whole_bytes = WHOLE_BYTES_PER_PX * settings.max_whole_pixels
    assert windows_bytes < whole_bytes
    assert limit_mib >= 1400 + settings.held_mib + whole_bytes / 2**20


def test_one_pod_may_go_and_requests_still_find_two(objects):
    assert objects["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1
    assert objects["HorizontalPodAutoscaler"]["spec"]["minReplicas"] >= 3
    assert objects["Deployment"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
