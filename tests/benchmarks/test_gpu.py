"""The benchmark of a GPU, tried on a processor: what its rows say, not how fast it is."""

import numpy as np
import pytest
from benchmarks.gpu import __main__ as command
from benchmarks.gpu import bare, device
from benchmarks.gpu.agreement import Apart, compare, worst_of
from benchmarks.gpu.report import Report, choice_table
from benchmarks.gpu.served import Case, alone_in_folder, logged_service, sum_of
from benchmarks.places import NUCLEI

from monolayer_core.model_card import read_card
from monolayer_service.compute import NetworkThreads
from monolayer_service.segmenters.bundle import open_bundle

SMALL = ["--device", "cpu", "--seconds", "500", "--largest-side", "256", "--largest-batch", "2", "--images", "1"]


@pytest.fixture
def few_rounds(monkeypatch):
    """One run for each figure."""
    monkeypatch.setattr(bare, "WARM_RUNS", 1)
    monkeypatch.setattr(bare, "ROUNDS", 1)
    bench = command.Bench.__init__

    def init(self, *given):
        bench(self, *given)
        self.figure_seconds, self.case_seconds = 0.0, 0.5

    monkeypatch.setattr(command.Bench, "__init__", init)


def rows_of(document, title):
    """Cells of the first table under a title, by the first cell; without the header."""
    blocks = document.split(f"## {title}\n")[1].split("\n\n")
    table = next(block for block in blocks if block.lstrip().startswith("|"))
    rows = [line.strip("| ").split(" | ") for line in table.strip().splitlines()]
    return {row[0]: row[1:] for row in rows[2:]}


@pytest.mark.slow
@pytest.mark.usefixtures("few_rounds")
def test_every_part_within_the_process_has_its_rows(tmp_path, capsys):
    parts = ["bare", "transfer", "agreement", "turns", "options"]
    assert command.main([*SMALL, "--only", *parts, "--output", str(tmp_path)]) == 0

    document = (tmp_path / "gpu.md").read_text()
    assert (tmp_path / "gpu.png").stat().st_size > 1000
    assert "not a GPU" in document
    assert "Failed" not in document
    assert list(rows_of(document, "Bare runs")) == ["1 of 256²", "2 of 256²"]
    assert rows_of(document, "Transfer between host and device")["1 of 256²"][0] in ("float32", "TF32")
    agreement = rows_of(document, "Agreement with float32 on a CPU")
    assert list(agreement) == ["float32", "TF32", "float32, batches of 2"]
    assert agreement["float32"] == ["1", "1", "0", "0.000 %", "0.0000 %", "1.00000", "1.0000"]
    options = rows_of(document, "Other options of the CUDA provider")
    assert len(options) == 8
    assert {tuple(row[4:]) for row in options.values()} == {("0", "0.000 %")}
    assert "## Other options" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.enable_socket
@pytest.mark.usefixtures("few_rounds")
def test_a_service_is_started_asked_and_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "CASES", (Case(256, 2),))
    monkeypatch.setattr(command, "BATCHED_CASES", (Case(256, 2),))
    monkeypatch.setattr(command, "BATCHINGS", ((2, 3),))
    given = [*SMALL, "--only", "bare", "served", "batches", "--shapes", "4", "--output", str(tmp_path)]
    assert command.main(given) == 0

    document = (tmp_path / "gpu.md").read_text()
    served = rows_of(document, "Served in float32")["256², 2 connections"]
    assert float(served[0]) > 0
    assert served[5] == "1.0"
    assert "on CPUExecutionProvider" in document
    assert "Runs that failed: none." in document
    assert "after 8 requests of 4 shapes" in document
    assert "`MONOLAYER_BATCH_SIZE=2`" in document


def test_without_cuda_it_says_so_and_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(device.ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert command.main(["--output", str(tmp_path / "results")]) == 2
    assert "CUDA does not work here: this onnxruntime" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_cuda_that_is_listed_but_does_not_work_is_no_gpu(monkeypatch, capsys):
    from monolayer_service.segmenters.runtime import CPU
    from monolayer_service.segmenters.session import Network

    create = Network._create
    monkeypatch.setattr(device.ort, "get_available_providers", lambda: ["CUDAExecutionProvider", CPU])
    monkeypatch.setattr(Network, "_create", lambda self, key: create(self, key._replace(provider=CPU)))
    assert command.main([]) == 2
    assert "runs on CPUExecutionProvider, not on CUDAExecutionProvider" in capsys.readouterr().err


def test_a_part_that_fails_is_noted_and_the_others_go_on(tmp_path, capsys):
    document = Report("# Head", tmp_path / "new" / "gpu.md", seconds=1000)

    def fail():
        raise ValueError("no such network")

    document.attempt("First", fail)
    document.attempt("Second", lambda: "a row")
    text = (tmp_path / "new" / "gpu.md").read_text()
    assert document.failed == ["First"]
    assert "ValueError: no such network" in text
    assert text.index("# Head") < text.index("## First") < text.index("## Second\n\na row")
    assert "a row" in capsys.readouterr().out


def test_what_would_begin_too_late_is_left_out_and_said(tmp_path):
    document = Report("# Head", tmp_path / "gpu.md", seconds=0)
    document.attempt("First", lambda: "a row")
    document.attempt("Plot", lambda: "a picture", always=True)
    text = (tmp_path / "gpu.md").read_text()
    assert document.failed == []
    assert "Left out" in text
    assert "a row" not in text
    assert "a picture" in text


def test_half_precision_that_is_not_there_is_left_out_of_the_tables(capsys):
    bench = command.Bench(
        command.parse_arguments([*SMALL, "--float16-bundle", str(NUCLEI)]), is_late=lambda share: False
    )
    assert list(bench.openable()) == ["float32", "TF32"]
    assert "float16 is left out" in capsys.readouterr().out


def test_answers_are_compared_by_probability_and_by_object():
    card = read_card(NUCLEI)
    network = open_bundle(NUCLEI, prefer_cuda=False, threads=NetworkThreads(1, 1), precision="float32")
    image = np.load(NUCLEI / "test_input.npy")[0]
    expected = network.run(image[np.newaxis])[0]
    found = expected.copy()
    found[expected >= 3] -= 3
    found[:, :10] = 0
    same, other = compare(image, card, expected, expected), compare(image, card, expected, found)
    assert same == Apart(0, 0.0, (same.counts[0],) * 2, 0.0, 1.0, 1.0)
    assert same.counts[0] > 0
    assert other.levels == expected[:, :10].max()
    assert other.differing > 0.1
    assert other.iou < 1


def test_the_worst_of_several_images_is_told():
    found = [Apart(1, 0.1, (3, 3), 0.0, 1.0, 1.0), Apart(0, 0.2, (4, 5), 0.01, 0.98, 0.9)]
    assert worst_of(found) == (2, 1, 1, 0.2, 0.01, 0.98, 0.9)


def test_metrics_of_all_labels_are_summed():
    text = 'runs_count{side="256"} 3.0\nruns_count{side="512"} 2.0\nruns_sum{side="256"} 7.0\n'
    assert (sum_of(text, "runs_count"), sum_of(text, "runs_sum"), sum_of(text, "others")) == (5.0, 7.0, 0.0)


def test_an_option_that_fails_has_a_row_that_says_why():
    table = choice_table({("new", bare.Shape(256, 8)): "unknown provider option"})
    assert "| new | 8 of 256² | failed: unknown provider option | - | - | - | - |" in table


@pytest.mark.slow
@pytest.mark.enable_socket
def test_a_service_that_does_not_start_says_why(tmp_path):
    settings = {"MONOLAYER_MODELS": str(tmp_path / "nowhere"), "MONOLAYER_BATCH_SIZE": "many"}
    with (
        pytest.raises(RuntimeError, match=r"(?s)was not ready after .*MONOLAYER_BATCH_SIZE"),
        logged_service(30, settings),
    ):
        pass


def test_a_folder_with_one_bundle_holds_all_its_files():
    with alone_in_folder(NUCLEI) as folder:
        assert [path.name for path in folder.iterdir()] == ["nuclei"]
        assert {path.name for path in (folder / "nuclei").iterdir()} == {path.name for path in NUCLEI.iterdir()}
    assert not folder.exists()


def test_tiles_of_a_run_are_different_parts_of_the_picture():
    network = open_bundle(NUCLEI, prefer_cuda=False, threads=NetworkThreads(1, 1))
    picture = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    tiles = bare.make_tiles(picture, network, bare.Shape(256, 4))
    assert tiles.shape == (4, 256, 256, 3)
    np.testing.assert_array_equal(tiles[0, 3:], tiles[3, :-3])
    assert not np.array_equal(tiles[0], tiles[3])
