"""Whatever happens to files, service and watch: in the end every image has the one answer of its last bytes."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monolayer_client.errors import RefusedError, RefusedOptionsError, ServiceFaultError, UnavailableError
from monolayer_client.result_folder import ResultFolder
from monolayer_client.watching.sightings import image_id_of, is_candidate


def kept(world):
    """Answers in the folder: SHA-256 of the bytes they are of, by image."""
    answers = [json.loads(path.read_bytes()) for path in world.folder.glob("*.confluency.json")]
    return {answer["image_id"]: answer["image"]["sha256"] for answer in answers}


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def later(world, seconds):
    world.now_s += seconds


def test_an_image_is_answered_once_it_is_whole(world):
    world.live([lambda: world.write("a.png", b"1"), lambda: world.grow("a.png", b"23")])
    assert world.asked == [("a", b"123")]
    assert kept(world) == {"a": sha256(b"123")}
    ((image_id, count, latency_s),) = world.answered
    assert (image_id, count) == ("a", 3)
    assert latency_s == pytest.approx(2.0, abs=0.01)  # the time it had to stand still
    assert world.rows["a"]["count"] == 3


def test_the_service_is_told_the_name_of_the_file_without_its_folders(world):
    world.live([lambda: world.write("B03/field 2.ome.tif", b"1")])
    assert world.file_names == ["field 2.ome.tif"]
    assert kept(world) == {"B03_field 2.ome": sha256(b"1")}


def test_of_what_lay_there_at_the_start_no_latency_is_told(world):
    world.write("a.png", b"1", age_s=500)
    world.live()
    assert world.answered == [("a", 1, None)]


def test_a_file_that_grows_after_its_answer_is_done_again(world):
    world.live([lambda: world.write("a.png", b"1", age_s=500), lambda: later(world, 5), lambda: None])
    world.live([lambda: world.grow("a.png", b"2")])
    assert [content for _, content in world.asked] == [b"1", b"12"]
    assert kept(world) == {"a": sha256(b"12")}


def test_a_second_life_asks_only_for_what_is_new(world):
    world.write("a.png", b"1")
    world.live()
    world.write("b.png", b"2")
    world.live()
    assert world.asked == [("a", b"1"), ("b", b"2")]
    assert world.watcher.already_done == 1
    assert set(world.rows) == {"a", "b"}


def test_a_second_life_with_other_options_asks_again(world):
    world.write("a.png", b"1")
    world.live()
    world.live(method="kmeans")
    world.live(method="kmeans")
    assert len(world.asked) == 2


def test_images_that_are_gone_keep_their_answers_and_rows(world):
    world.write("a.png", b"1")
    world.live()
    world.delete("a.png")
    world.live()
    assert set(world.rows) == set(kept(world)) == {"a"}


def test_the_rows_of_the_summary_are_there_without_reading_the_answers(world, monkeypatch):
    world.write("a.png", b"1")
    world.live()
    world.delete("a.png")
    monkeypatch.delattr(ResultFolder, "answer_of")
    world.write("b.png", b"22")
    world.live()
    assert {name: row["count"] for name, row in world.rows.items()} == {"a": 1, "b": 2}


def test_of_a_journal_without_rows_the_answers_are_read(world):
    world.write("a.png", b"1")
    world.live()
    world.delete("a.png")
    told = world.rows
    journal = world.folder / "confluency.csv.journal"
    head, entry = map(json.loads, journal.read_text().splitlines())
    del entry["row"]
    journal.write_text(f"{json.dumps(head)}\n{json.dumps(entry)}\n")
    world.rows = {}
    world.live()
    assert world.rows == told
    assert told["a"]["count"] == 1


def test_an_answer_that_was_damaged_since_is_asked_for_again(world):
    world.write("a.png", b"1")
    world.live()
    (world.folder / "a.confluency.json").write_bytes(bytes(100))
    world.live()
    assert len(world.asked) == 2
    assert kept(world) == {"a": sha256(b"1")}


def test_rows_of_results_whose_files_are_gone_are_not_told(world):
    world.write("a.png", b"1")
    world.write("b.png", b"22")
    world.live()
    for name in ("a.png", "b.png"):
        world.delete(name)
    (world.folder / "a.confluency.json").unlink()
    world.live()
    assert set(world.rows) == {"b"}


def test_a_refused_image_is_listed_until_its_file_changes_also_in_another_life(world):
    world.write("a.png", b"bad")
    world.write("b.png", b"good")
    world.live()
    world.live()
    assert [content for _, content in world.asked] == [b"bad", b"good"]
    assert [(each.name, each.reason) for each in world.listed] == [("a.png", "no image")]
    world.live([lambda: world.write("a.png", b"better")])
    assert world.listed == []
    assert kept(world)["a"] == sha256(b"better")


def test_an_answer_does_not_outlive_the_image_that_a_refused_one_replaced(world):
    world.write("a.png", b"good")
    world.live()
    world.live([lambda: world.write("a.png", b"bad")])
    assert kept(world) == {}
    assert world.rows == {}


@pytest.mark.parametrize(
    "error",
    [
        UnavailableError("full", status=429, retry_after_s=40.0),
        UnavailableError("cannot be reached"),
        RefusedError("no such model", status=404, service_code="unknown_model"),
        RefusedError("no key", status=401),
    ],
    ids=["full", "out of reach", "no model", "no key"],
)
def test_images_wait_for_the_service_however_long(world, error):
    world.write("a.png", b"1")
    world.service.extend([error] * 100)
    world.live()
    assert kept(world) == {"a": sha256(b"1")}
    assert world.held_up == [str(error), None]
    assert world.listed == []


def test_told_to_stop_it_does_not_wait_for_the_service(world):
    world.write("a.png", b"1", age_s=500)
    world.service.extend([UnavailableError("cannot be reached")] * 1000)
    world.live([lambda: None] * 5, ends="stop")
    assert world.service
    world.service.clear()
    world.live()
    assert kept(world) == {"a": sha256(b"1")}


def test_a_fault_is_borne_three_times_then_listed_and_tried_again_in_another_life(world):
    world.write("a.png", b"1")
    world.service.extend([ServiceFaultError("it broke", status=500)] * 3)
    world.live()
    assert len(world.asked) == 3
    assert [each.reason for each in world.listed] == ["it broke"]
    world.live()
    assert kept(world) == {"a": sha256(b"1")}


def test_an_option_that_is_refused_for_every_image_ends_the_watch_and_touches_no_result(world):
    world.write("a.png", b"1")
    world.write("b.png", b"22")
    world.live()
    world.refused_options = {"clusters": "nine"}
    world.rows = {"what": "was told before"}
    with pytest.raises(RefusedOptionsError, match="clusters=nine cannot be used"):
        world.live(clusters="nine")
    assert kept(world) == {"a": sha256(b"1"), "b": sha256(b"22")}
    assert world.rows == {"what": "was told before"}
    asked = len(world.asked)
    world.live()
    assert len(world.asked) == asked
    assert set(world.rows) == {"a", "b"}


def test_an_option_that_does_not_suit_one_image_lists_that_image_and_keeps_its_older_result(world):
    world.write("a.png", b"1")
    world.write("b.png", b"22")
    world.live()
    world.unsuited = b"1"
    world.live(channel="5")
    assert [(each.name, each.reason) for each in world.listed] == [("a.png", "channel=5 is outside the image")]
    assert kept(world) == {"a": sha256(b"1"), "b": sha256(b"22")}
    assert set(world.rows) == {"b"}
    asked = len(world.asked)
    world.live()
    assert [content for _, content in world.asked[asked:]] == [b"22"]  # the older answer to a.png stands


def test_the_service_being_away_while_the_options_are_looked_into_is_waited_out(world):
    world.write("a.png", b"1")
    refusal = RefusedError("channel=5 is outside the image", status=422, service_code="invalid_option")
    world.service.extend([refusal, UnavailableError("cannot be reached")])
    world.live(channel="5")
    assert world.held_up == ["cannot be reached", None]
    assert kept(world) == {"a": sha256(b"1")}


@pytest.mark.parametrize(
    ("content", "options", "told"),
    [(b"1", {"method": "kmeans"}, None), (b"changed", {}, {})],
    ids=["same bytes, other options", "other bytes"],
)
def test_faults_of_the_service_remove_no_result(world, content, options, told):
    world.write("a.png", b"1")
    world.live()
    world.rows = None
    world.write("a.png", content)
    world.service.extend([ServiceFaultError("it broke", status=500)] * 3)
    world.live(**options)
    assert kept(world) == {"a": sha256(b"1")}
    assert [each.reason for each in world.listed] == ["it broke"]
    assert world.rows == told  # no row of older bytes among those of the images as they are
    world.live(**options)
    assert kept(world) == {"a": sha256(content)}
    assert set(world.rows) == {"a"}


def test_a_refusal_of_bytes_that_were_answered_with_other_options_keeps_the_answer(world):
    world.write("a.png", b"1")
    world.live()
    world.service.append(RefusedError("more pixels than admitted", status=413, service_code="image_too_large"))
    world.live(method="kmeans")
    assert kept(world) == {"a": sha256(b"1")}
    assert [each.reason for each in world.listed] == ["more pixels than admitted"]


def test_files_without_a_journal_stay_at_a_refusal_only_where_they_say_that_they_are_of_these_bytes(world):
    world.write("a.png", b"1")
    world.write("b.png", b"22")
    world.live()
    (world.folder / "confluency.csv.journal").unlink()
    world.write("b.png", b"other")
    world.service.extend([RefusedError("no more", status=415, service_code="unknown_format")] * 2)
    world.live()
    assert [each.name for each in world.listed] == ["a.png", "b.png"]
    assert kept(world) == {"a": sha256(b"1")}


def test_a_disk_that_is_full_loses_no_image(world):
    world.write("a.png", b"1", age_s=500)
    world.is_full = True
    world.live([lambda: later(world, 20)] * 5, ends="stop")
    assert [each.reason for each in world.listed] == ["no space left on device"]
    world.is_full = False
    world.live()
    assert kept(world) == {"a": sha256(b"1")}
    assert world.listed == []


def test_a_folder_that_is_out_of_reach_is_looked_at_again(world):
    world.write("a.png", b"1", age_s=500)
    world.is_reachable = False
    world.live([lambda: None, lambda: setattr(world, "is_reachable", True)])
    assert world.held_up == ["the folder cannot be read: the network path was not found", None]
    assert kept(world) == {"a": sha256(b"1")}


def test_of_two_files_with_one_name_of_results_the_first_is_answered_and_the_other_listed(world):
    world.write("a.png", b"png")
    world.write("a.tif", b"tif")
    world.live()
    assert kept(world) == {"a": sha256(b"png")}
    assert [each.name for each in world.listed] == ["a.tif"]
    world.live([lambda: world.delete("a.png")])
    assert kept(world) == {"a": sha256(b"tif")}
    assert world.listed == []


NAMES = ["a.png", "b.png", "b.tif", "day/a.png", "a.png.part", ".b.png"]
name = st.sampled_from(NAMES)
content = st.sampled_from([b"1", b"22", b"333", b"bad", b"worse"])
event = st.one_of(
    st.tuples(st.just("write"), name, content),
    st.tuples(st.just("move_in"), name, content),
    st.tuples(st.just("grow"), name, content),
    st.tuples(st.just("rename"), name, name),
    st.tuples(st.just("delete"), name),
    st.tuples(st.just("pass"), st.sampled_from([0.0, 0.5, 2.0, 100.0])),
    st.tuples(st.just("fail"), st.sampled_from(["unavailable", "fault"])),
)
life = st.tuples(st.lists(event, max_size=8), st.sampled_from(["stop", "crash", "quiet"]))


def act(world, kind, *values):
    if kind == "move_in":
        world.write(*values, age_s=500.0)
    elif kind == "pass":
        later(world, *values)
    elif kind == "fail":
        error = UnavailableError("full") if values == ("unavailable",) else ServiceFaultError("it broke", status=500)
        world.service.append(error)
    else:
        getattr(world, kind)(*values)


def check_that_all_is_answered(world):
    """Each image has the one answer of its bytes as they are; the others are listed, and faults cost no answer."""
    images = {name: world.files[name][0] for name in sorted(world.files) if is_candidate(name)}
    owners = {}
    for each in images:
        owners.setdefault(image_id_of(each), each)
    reasons = {each.name: each.reason for each in world.listed}
    without = {each for each in images if images[each].startswith(b"bad") or reasons.get(each) == "it broke"}
    answers = kept(world)
    assert answers == world.made
    for image_id, each in owners.items():
        if each in without:
            assert answers.get(image_id) != sha256(images[each])
            assert image_id not in world.rows
        else:
            assert answers[image_id] == sha256(images[each])
            assert world.rows[image_id]["count"] == len(images[each])
    assert set(reasons) == {each for each in images if each not in owners.values() or each in without}


@given(lives=st.lists(life, min_size=1, max_size=4))
def test_in_the_end_every_image_has_one_answer_made_of_its_last_bytes(lives, make_world, tmp_path_factory):
    world = make_world(tmp_path_factory.mktemp("results"))
    for events, ends in lives:
        world.live([lambda each=each: act(world, *each) for each in events], ends=ends)
        if ends == "quiet":
            check_that_all_is_answered(world)
    world.service.clear()
    world.live()
    check_that_all_is_answered(world)
    assert "it broke" not in {each.reason for each in world.listed}
    before = len(world.asked)
    world.live()
    assert len(world.asked) == before  # a last life finds all done
