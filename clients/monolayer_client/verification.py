"""Does a service give the same answer once more? What is asked again, and what has become different."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from monolayer_client.errors import InputError
from monolayer_client.options import ConfluencyOptions

MAX_SHOWN_CHARACTERS = 60
"""Of a value that differs; lists of objects are named only."""

_NO_FINDINGS = {"image": frozenset({"sha256", "axes", "plane"}), "receipt": frozenset({"service_version"})}
"""What is said of the file and of the service, by part of the answer."""


class Outcome(StrEnum):
    """What came of asking again."""

    same = "same"
    other_image = "other image"
    other_model = "other model"
    differs = "differs"


@dataclass(frozen=True)
class Verification:
    """What came of asking again for one answer; `details` is empty where there is nothing to say."""

    outcome: Outcome
    details: str = ""


def repeated_options(answer: Mapping[str, Any]) -> ConfluencyOptions:
    """Give the options with which an image must be sent to get an answer once more.

    The model that answered is named, so that a service with another default is asked for the same; so is K-means, but
    where it only stood in for a network.

    Raises
    ------
    InputError
        The answer has no receipt: it is of a service that wrote none.
    """
    receipt = answer.get("receipt")
    if not isinstance(receipt, Mapping) or not isinstance(receipt.get("options"), Mapping):
        raise InputError("the answer has no receipt; a service that writes one must answer first")
    options: dict[str, Any] = {**receipt["options"], "image_id": answer["image_id"]}
    if answer["model"] is not None:
        options["model"] = answer["model"]["name"]
    elif answer["fallback"] is None:
        options["method"] = answer["method"]
    if answer.get("echo"):
        options["echo"] = answer["echo"]
    return cast("ConfluencyOptions", options)


def compare_answers(then: Mapping[str, Any], now: Mapping[str, Any]) -> Verification:
    """Compare two answers to the same question.

    The file may be another one that holds the same pixels, and the service a newer one: what counts is what was found.
    """
    was, is_ = then["receipt"], now["receipt"]
    if was["pixels_sha256"] != is_["pixels_sha256"]:
        return Verification(Outcome.other_image, "the pixels are not those of the answer")
    if was["model_sha256"] != is_["model_sha256"]:
        return Verification(Outcome.other_model, f"{_model(then)} then, {_model(now)} now")
    names = dict.fromkeys([*then, *now])
    different = [name for name in names if _findings(then, name) != _findings(now, name)]
    if different:
        return Verification(Outcome.differs, "; ".join(_difference(then, now, name) for name in different))
    if was["service_version"] != is_["service_version"]:
        return Verification(Outcome.same, f"service {was['service_version']} then, {is_['service_version']} now")
    return Verification(Outcome.same)


def _findings(answer: Mapping[str, Any], name: str) -> object:
    """Give a part of the answer without what may be another although the same was found."""
    value = answer.get(name)
    leave_out = _NO_FINDINGS.get(name, frozenset())
    return value if not isinstance(value, Mapping) else {key: value[key] for key in value if key not in leave_out}


def _model(answer: Mapping[str, Any]) -> str:
    model = answer["model"]
    return str(answer["method"]) if model is None else f"{model['name']} {model['version']} ({model['sha256'][:12]})"


def _difference(then: Mapping[str, Any], now: Mapping[str, Any], name: str) -> str:
    values = [then.get(name), now.get(name)]
    if isinstance(values[0], Mapping) and isinstance(values[1], Mapping):
        changed = [key for key in dict.fromkeys([*values[0], *values[1]]) if values[0].get(key) != values[1].get(key)]
        return "; ".join(_difference(values[0], values[1], key).replace(key, f"{name}.{key}", 1) for key in changed)
    texts = [str(value) for value in values]
    if any(isinstance(value, list) for value in values) or max(map(len, texts)) > MAX_SHOWN_CHARACTERS:
        return f"{name} differ" if name.endswith("s") else f"{name} differs"
    return f"{name} {texts[0]} then, {texts[1]} now"
