"""What a message may hold, there and back, and what is refused of the network."""

import io
import json
import pickle
from contextlib import suppress

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gr00t_assets.core.errors import ServingError
from gr00t_assets.serving.messages import decode, encode

ARRAY = "__ndarray_class__"


def array_message(content: object) -> bytes:
    """A message with an array of these bytes."""
    return bytes(msgpack.packb({"data": {ARRAY: True, "as_npy": content}}) or b"")


def header(text: str, data: bytes = b"") -> bytes:
    """A ``.npy`` file with a header of one's own."""
    padded = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded + data


@pytest.mark.parametrize(
    "value",
    [
        np.zeros((1, 4, 5, 3), np.uint8),
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array(["pick it up"]),
        np.array(1.5),
        np.zeros((0, 3)),
    ],
)
def test_arrays_come_back(value: np.ndarray) -> None:
    back = decode(encode({"data": {"a": value}}))["data"]["a"]
    assert back.dtype == value.dtype
    np.testing.assert_array_equal(back, value)


def test_numbers_of_numpy_and_modality_configs_come_back() -> None:
    config = {"delta_indices": [0], "modality_keys": ["video.front"]}
    sent = {"__ModalityConfig_class__": True, "as_json": json.dumps(config)}
    message = {"fps": np.float64(30), "video": sent}
    assert decode(encode(message)) == {"fps": 30.0, "video": config}


def npy(value: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, value, allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "cannot be read"),
        (b"\xc1", "cannot be read"),
        (b"GET / HTTP/1.1\r\n\r\n", "cannot be read"),
        (b"\x81" * 100_000, "cannot be read"),
        (msgpack.packb([1, 2]), "no map"),
        (msgpack.packb({"data": list(range(5000))}), "cannot be read"),
        (array_message("text"), "no bytes"),
        (array_message(b"no npy file"), "cannot be read"),
        (array_message(npy(np.array([{}], object))), "object"),
        (array_message(npy(np.zeros(2, "c16"))), "complex128"),
        (array_message(npy(np.zeros((1,) * 7))), "7 axes"),
        (array_message(npy(np.zeros(3))[:-1]), "has 23"),
        (
            array_message(
                header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }")
            ),
            "8,000,000,000,000 bytes, and has 0",
        ),
        (
            array_message(header("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }")),
            "object",
        ),
        (
            array_message(
                header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -1), }", bytes(8))
            ),
            "an array",
        ),
        (array_message(header("__import__('os').getpid()")), "cannot be read"),
        (array_message(b"\x93NUMPY\x09\x00"), "version"),
    ],
)
def test_what_is_no_message_is_refused(content: bytes, found: str) -> None:
    with pytest.raises(ServingError, match=found):
        decode(content)


class Trap:
    """Its pickle fails the test that loads it."""

    def __reduce__(self) -> tuple:
        return pytest.fail, ("a message was unpickled",)


def test_nothing_is_unpickled() -> None:
    trap = pickle.dumps(Trap())
    for content in (trap, array_message(trap), array_message(npy(np.array([Trap()], object)))):
        with pytest.raises(ServingError):
            decode(content)


def test_a_large_message_is_refused_before_it_is_read() -> None:
    with pytest.raises(ServingError, match="2,000 bytes, of 1,000"):
        decode(bytes(2000), most_bytes=1000)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_give_a_message_or_an_error(content: bytes) -> None:
    for message in (content, array_message(content), array_message(b"\x93NUMPY\x01\x00" + content)):
        with suppress(ServingError):
            assert isinstance(decode(message), dict)
