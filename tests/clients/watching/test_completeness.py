"""When a file counts as whole."""

import os

import pytest

from monolayer_client.watching.completeness import LONG_AGO_S, Completeness
from monolayer_client.watching.sightings import Sighting, Stamp, image_id_of, is_candidate, look

WALL_S = 1_000_000.0


def seen(size, changed_s=0.0, file_id=None):
    """A file last changed so many seconds after `WALL_S`."""
    return Sighting(Stamp(size, round((WALL_S + changed_s) * 1e9)), None if file_id is None else (1, file_id))


@pytest.fixture
def files():
    """Give a function that looks at files after so many seconds, and names those that are whole."""
    completeness = Completeness(settle_s=2.0)

    def observe(at_s, **files):
        named = {name.replace("_", "."): sighting for name, sighting in files.items()}
        completeness.observe(named, now_s=at_s, wall_s=WALL_S + at_s)
        return [arrival.name for arrival in completeness.whole()]

    observe.state = completeness
    return observe


def test_a_file_is_whole_when_it_stood_still(files):
    assert files(0.1, a_png=seen(5)) == []
    assert files.state.next_due_s() == pytest.approx(2.1)
    assert files(2.0, a_png=seen(5)) == []
    assert files(2.1, a_png=seen(5)) == ["a.png"]
    assert files.state.next_due_s() is None


def test_a_file_that_grows_is_not_whole(files):
    for at_s in range(10):
        assert files(at_s, a_png=seen(5 + at_s, at_s)) == []
    assert files(11, a_png=seen(14, 9)) == ["a.png"]


def test_a_file_written_anew_in_the_same_size_is_judged_anew(files):
    files(0, a_png=seen(5))
    assert files(3, a_png=seen(5)) == ["a.png"]
    assert files(4, a_png=seen(5, 3.5)) == []
    assert files(6, a_png=seen(5, 3.5)) == ["a.png"]


def test_a_file_that_got_its_name_is_whole_at_once(files):
    files(0, a_png_part=seen(5, 0, file_id=7))
    assert files(0.5, a_png=seen(9, 0.4, file_id=7)) == ["a.png"]


def test_a_link_is_no_move(files):
    files(0, a_png_part=seen(5, 0, file_id=7))
    assert files(0.5, a_png_part=seen(5, 0, file_id=7), a_png=seen(5, 0, file_id=7)) == []


def test_where_the_system_numbers_no_files_a_move_takes_its_time(files):
    files(0, a_png_part=seen(5))
    assert files(0.5, a_png=seen(5)) == []


def test_a_new_file_that_changed_long_ago_is_whole_at_once(files):
    assert files(0, a_png=seen(5, -LONG_AGO_S), b_png=seen(5, -LONG_AGO_S + 1)) == ["a.png"]
    assert files(1, a_png=seen(6, -LONG_AGO_S), b_png=seen(5, -LONG_AGO_S + 1)) == []


def test_what_is_complete_first_comes_first_and_knows_when_it_was(files):
    files(0, a_png=seen(5, -1), b_png=seen(5, -2))
    files(1, a_png=seen(5, -1), b_png=seen(5, -2), c_png=seen(5, -500))
    files(2, a_png=seen(5, -1), b_png=seen(5, -2), c_png=seen(5, -500))
    assert [(each.name, each.complete_s - WALL_S, each.is_new) for each in files.state.whole()] == [
        ("b.png", -2, False),
        ("a.png", -1, False),
        ("c.png", 1, True),
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.tif", True),
        ("day 1/A01.TIFF", True),
        ("a.npy", True),
        (".a.tif", False),
        (".cache/a.tif", False),
        ("~a.tif", False),
        ("~$a.tif", False),
        ("a.tif.part", False),
        ("a.part.tif", False),
        ("a.tmp.tif", False),
        ("notes.txt", False),
    ],
)
def test_which_names_are_of_images(name, expected):
    assert is_candidate(name) is expected


def test_an_image_in_a_folder_is_called_after_both():
    assert image_id_of("plate1/B03/f2.ome.tif") == "plate1_B03_f2.ome"


def test_looking_sees_files_and_what_tells_them_apart(tmp_path):
    (tmp_path / "day1" / "deep").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "results").mkdir()
    for name in ("a.tif", ".b.tif", "day1/c.tif", "day1/deep/d.tif", ".hidden/e.tif", "results/f.png"):
        (tmp_path / name).write_bytes(b"123")
    os.utime(tmp_path / "a.tif", ns=(5, 7))
    assert set(look(tmp_path, recursive=False)) == {"a.tif", ".b.tif"}
    found = look(tmp_path, recursive=True, leave_out=tmp_path / "results")
    assert set(found) == {"a.tif", ".b.tif", "day1/c.tif", "day1/deep/d.tif"}
    assert found["a.tif"].stamp == Stamp(3, 7)
    (tmp_path / "a.tif").rename(tmp_path / "g.tif")
    assert look(tmp_path, recursive=False)["g.tif"] == found["a.tif"]
    with pytest.raises(FileNotFoundError):
        look(tmp_path / "gone", recursive=False)


def test_looking_goes_round_in_no_circle(tmp_path):
    (tmp_path / "day1").mkdir()
    (tmp_path / "day1" / "a.tif").write_bytes(b"1")
    try:
        (tmp_path / "day1" / "up").symlink_to(tmp_path, target_is_directory=True)
    except OSError:
        pytest.skip("links cannot be made here")
    assert set(look(tmp_path, recursive=True)) == {"day1/a.tif"}
