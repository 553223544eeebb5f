"""Which images are meant, and what they are called."""

import hashlib
import zipfile

import pytest

from monolayer_client.errors import InputError
from monolayer_client.image_files import find_images

LAYOUTS = {
    "Kaggle's": (
        ["a1/images/a1.png", "a1/masks/m1.png", "b2/images/b2.png", "b2/masks/m2.png", "readme.md"],
        {"a1": "a1/images/a1.png", "b2": "b2/images/b2.png"},
    ),
    "Kaggle's below a folder": (
        ["stage1/a1/images/a1.png", "stage1/a1/masks/m.png"],
        {"a1": "stage1/a1/images/a1.png"},
    ),
    "plain": (["x.png", "y.TIF", "notes.txt", "more/z.png"], {"x": "x.png", "y": "y.TIF"}),
    "images beside labels": (["images/x.png", "labels/x.tif"], {"x": "images/x.png"}),
    "one folder down": (["plate/x.png", "plate/y.png"], {"x": "plate/x.png", "y": "plate/y.png"}),
    "with hidden files": (["x.png", ".thumb.png", "__MACOSX/._x.png"], {"x": "x.png"}),
}


@pytest.fixture(params=["folder", "zip"])
def make(request, tmp_path):
    """Make a folder or an archive with these files, each holding its own name."""

    def make_source(names):
        if request.param == "zip":
            path = tmp_path / "files.zip"
            with zipfile.ZipFile(path, "w") as archive:
                for name in names:
                    archive.writestr(name, name)
            return path
        for name in names:
            path = tmp_path / "files" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
        return tmp_path / "files"

    return make_source


@pytest.mark.parametrize(("names", "expected"), LAYOUTS.values(), ids=LAYOUTS.keys())
def test_every_layout_is_understood(make, names, expected):
    images = find_images([str(make(names))])
    assert {image.image_id: image.read().decode() for image in images} == expected


def test_files_and_patterns_are_taken_in_order(tmp_path):
    for name in ("b.png", "a.png", "c.txt"):
        (tmp_path / name).write_text(name)
    assert [image.image_id for image in find_images([str(tmp_path / "*")])] == ["a", "b"]
    both = find_images([str(tmp_path / "b.png"), str(tmp_path / "a.png"), str(tmp_path / "b.png")])
    assert [image.image_id for image in both] == ["b", "a"]
    assert str(both[0]) == str(tmp_path / "b.png")


def test_a_name_with_brackets_is_a_name_before_it_is_a_pattern(tmp_path):
    (tmp_path / "well[1].png").write_text("x")
    assert [image.image_id for image in find_images([str(tmp_path / "well[1].png")])] == ["well[1]"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("nowhere", "nowhere is not there"),
        ("nowhere.png", "nowhere.png is not there"),
        ("*.png", "no image matches"),
        ("empty", "holds no image"),
        ("notes.txt", "no suffix of an image format"),
        ("broken.zip", "is no zip archive"),
        ("twice", "would both be called x"),
    ],
)
def test_what_gives_no_images_is_named(tmp_path, argument, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "broken.zip").write_text("x")
    (tmp_path / "twice").mkdir()
    (tmp_path / "twice" / "x.png").write_text("x")
    (tmp_path / "twice" / "x.tif").write_text("x")
    with pytest.raises(InputError, match=message):
        find_images([str(tmp_path / argument)])


def test_images_of_one_name_from_two_places_are_refused(tmp_path):
    for folder in ("day1", "day2"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.png").write_text("x")
    with pytest.raises(InputError, match="would both be called x"):
        find_images([str(tmp_path / "day1"), str(tmp_path / "day2")])


def test_a_damaged_member_of_an_archive_is_named(tmp_path):
    path = tmp_path / "files.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.png", b"0123456789")
    path.write_bytes(path.read_bytes().replace(b"0123456789", b"0123456780"))
    (image,) = find_images([str(path)])
    with pytest.raises(InputError, match=r"x\.png is damaged"):
        image.read()
    assert not image.has_sha256(hashlib.sha256(b"0123456789").hexdigest())


def test_an_image_is_known_by_its_bytes(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(b"as it was")
    (image,) = find_images([str(path)])
    digest = hashlib.sha256(b"as it was").hexdigest()
    assert image.has_sha256(digest)
    path.write_bytes(b"changed")
    assert not image.has_sha256(digest)
    path.unlink()
    assert not image.has_sha256(digest)
